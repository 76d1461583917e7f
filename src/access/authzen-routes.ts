/** /access/v1 and its metadata: policy decisions in the words of the OpenID AuthZEN Authorization API 1.0. */
import { AppError } from '../errors.ts'
import type { Api } from '../http/api.ts'
import type { Caller, Need } from '../http/gatekeeper.ts'
import {
  accountOf,
  type EvaluationRequest,
  type EvaluationsRequest,
  evaluate,
  evaluateAll,
  evaluationsOf,
  type HoldsAny,
} from './authzen.ts'
import * as schemas from './authzen-schemas.ts'
import { ACCOUNTS_ADMIN, PERMISSIONS_ADMIN } from './permission.ts'

export interface AuthzenRoutesDeps {
  issuer: string
  holdsAny: HoldsAny
}

const TAG = 'Decisions'
const ONE = '/access/v1/evaluation'
const MANY = '/access/v1/evaluations'
/** A client that asks for others; an account about itself, and about others who administers them. */
const WHO: Need = { scopes: ['access:read'], account: true }

export function mountAuthzen(api: Api, { issuer, holdsAny }: AuthzenRoutesDeps): void {
  async function refuseStrangers(caller: Caller, requests: readonly EvaluationRequest[]): Promise<void> {
    if (caller.kind !== 'account') return
    const self = caller.identity.subject
    if (requests.every(({ subject }) => accountOf(subject) === self)) return
    if (await holdsAny(self, [PERMISSIONS_ADMIN, ACCOUNTS_ADMIN])) return
    throw new AppError('forbidden', 403, 'You may only ask about yourself.')
  }

  api.add<EvaluationRequest>(
    {
      id: 'evaluateAccess',
      method: 'post',
      path: ONE,
      tag: TAG,
      summary: 'Ask for one decision (AuthZEN)',
      description:
        'Permitted is who holds `<resource.type>:<action.name>`, or a permission called as the action. The id of the ' +
        'resource is not looked at. A refusal is 200 with `"decision": false`.',
      who: WHO,
      body: schemas.evaluationRequest,
      answers: { 200: { description: 'The decision.', schema: schemas.evaluation } },
    },
    async function evaluateAccess(ctx, { caller, body }) {
      await refuseStrangers(caller, [body])
      ctx.set('Cache-Control', 'no-store')
      ctx.body = await evaluate(body, holdsAny)
    },
  )

  api.add<EvaluationsRequest>(
    {
      id: 'evaluateAccesses',
      method: 'post',
      path: MANY,
      tag: TAG,
      summary: 'Ask for several decisions at once (AuthZEN)',
      description:
        'At most 100, in their order. `deny_on_first_deny` and `permit_on_first_permit` end with the first of theirs.',
      who: WHO,
      body: schemas.evaluationsRequest,
      answers: { 200: { description: 'The decisions.', schema: schemas.evaluations } },
    },
    async function evaluateAccesses(ctx, { caller, body }) {
      const requests = evaluationsOf(body)
      await refuseStrangers(caller, requests.length === 0 ? [body] : requests)
      ctx.set('Cache-Control', 'no-store')
      // "If an evaluations array is NOT present or is empty, the request behaves in a backwards-compatible manner."
      if (requests.length === 0) ctx.body = await evaluate(complete(body), holdsAny)
      else ctx.body = { evaluations: await evaluateAll(requests, semanticOf(body), holdsAny) }
    },
  )

  api.add(
    {
      id: 'getAuthzenConfiguration',
      method: 'get',
      path: '/.well-known/authzen-configuration',
      tag: TAG,
      summary: 'Find the addresses of AuthZEN',
      who: { anyone: true },
      answers: { 200: { description: 'The metadata.', schema: schemas.authzenConfiguration } },
    },
    async function describeAuthzen(ctx) {
      ctx.set('Cache-Control', 'public, max-age=3600')
      ctx.body = {
        policy_decision_point: issuer,
        access_evaluation_endpoint: `${issuer}${ONE}`,
        access_evaluations_endpoint: `${issuer}${MANY}`,
      }
    },
  )
}

const semanticOf = ({ options }: EvaluationsRequest) => options?.evaluations_semantic ?? 'execute_all'

/** Throws bad_request (400): there is no other decision that this one could be answered beside. */
function complete(body: EvaluationsRequest): EvaluationRequest {
  const faults = (['subject', 'action', 'resource'] as const)
    .filter((name) => body[name] === undefined)
    .map((name) => ({ pointer: `/${name}`, message: 'is missing' }))
  if (faults.length > 0)
    throw new AppError('bad_request', 400, 'The body does not have the expected shape.', { faults })
  return body
}
