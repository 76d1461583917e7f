/**
 * OpenID AuthZEN Authorization API 1.0 put to our own policy decision: who a request is about, and which permissions
 * would permit it. Knows neither HTTP nor where permissions are held.
 */
export interface Entity {
  type: string
  id: string
}

/** A request for one decision; in a list parts may be left to the defaults. */
export interface EvaluationRequest {
  subject?: Entity
  action?: { name: string }
  resource?: Entity
  context?: object
}

const SEMANTICS = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'] as const
export type EvaluationsSemantic = (typeof SEMANTICS)[number]
export const EVALUATIONS_SEMANTICS: readonly EvaluationsSemantic[] = SEMANTICS

export interface EvaluationsRequest extends EvaluationRequest {
  evaluations?: EvaluationRequest[]
  options?: { evaluations_semantic?: EvaluationsSemantic }
}

/** As it is sent: a refusal is an answer like any other, and says why where that is not simply the permission. */
export interface Evaluation {
  decision: boolean
  context?: object
}

/** Whether the account holds one of these permissions. */
export type HoldsAny = (accountId: string, permissions: readonly string[]) => Promise<boolean>

/** What an account is called there; the specification's own examples say `user`. */
const SUBJECT_TYPES = ['user', 'account']

/** The id of the account that a subject is; undefined for what is none. */
export const accountOf = (subject: Entity | undefined): string | undefined =>
  subject && SUBJECT_TYPES.includes(subject.type) ? subject.id : undefined

/** Any one of these is enough: `document:read`, and `read` where somebody has made a permission of that name. */
export const permissionsFor = (resource: Entity, action: { name: string }): string[] => [
  `${resource.type}:${action.name}`,
  action.name,
]

/**
 * "If a top-level key is specified in the 4-tuples present in the evaluations array then the value of that will take
 * precedence": whole values, never parts of them.
 */
export const evaluationsOf = ({ evaluations = [], options: _, ...defaults }: EvaluationsRequest): EvaluationRequest[] =>
  evaluations.map((evaluation) => ({ ...defaults, ...evaluation }))

/** Throws Unavailable (503). */
export async function evaluate(request: EvaluationRequest, holdsAny: HoldsAny): Promise<Evaluation> {
  const { subject, action, resource } = request
  // "Decisions default to closed (i.e. false), but the context field can include errors that are specific to that request."
  if (!subject || !action || !resource) return incomplete(request)
  const accountId = accountOf(subject)
  if (accountId === undefined) return { decision: false, context: { reason: 'unknown_subject_type' } }
  return { decision: await holdsAny(accountId, permissionsFor(resource, action)) }
}

/** Throws Unavailable (503): no decision is better than half of them. */
export async function evaluateAll(
  requests: readonly EvaluationRequest[],
  semantic: EvaluationsSemantic,
  holdsAny: HoldsAny,
): Promise<Evaluation[]> {
  const evaluations: Evaluation[] = []
  for (const request of requests) {
    const evaluation = await evaluate(request, holdsAny)
    evaluations.push(evaluation)
    if (semantic !== 'execute_all' && evaluation.decision === (semantic === 'permit_on_first_permit')) break
  }
  return evaluations
}

function incomplete({ subject, action, resource }: EvaluationRequest): Evaluation {
  const [missing] = Object.entries({ subject, action, resource }).find(([, value]) => value === undefined) ?? []
  return { decision: false, context: { error: { status: 400, message: `The ${missing} is missing.` } } }
}
