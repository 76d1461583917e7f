/**
 * Whether a token is good, and whether its own account may, by the short way: the calls that services make on every
 * request. The declared routes (decision-routes.ts) say everything else, refusals first of all.
 */
import { LRUCache } from 'lru-cache'
import type { Bearer, Identify } from '../http/authenticate.ts'
import type { Exchange, FastHandler } from '../http/dispatcher.ts'
import type { PolicyDecision } from './policy-decision.ts'
import { type PolicyExpression, parseQuery } from './policy-expression.ts'
import { DEAD_TOKEN_CHALLENGE, type JudgeToken, type TokenVerdict, VERDICTS } from './token-verdict.ts'

export interface FastDecisionsDeps {
  decisions: Pick<PolicyDecision, 'answer' | 'answerNow' | 'combinedPermissions'>
  identify: Identify
  verdictOn: JudgeToken
  /** The `aud` of tokens for this API. */
  audience: string
}

/** RFC 6750 section 2.1, as authenticate.ts reads it. */
const BEARER = /^Bearer ([\w.~+/-]{1,8192}=*)$/
const OWNER = /^\/api\/v1\/(?:users|accounts)\/([0-9a-f-]{36})\/combined_permissions(\/validation)?$/
const HEADERS = ['Vary', 'Origin', 'Cache-Control', 'no-store', 'Content-Type', 'application/json; charset=utf-8']
const CHALLENGED = ['WWW-Authenticate', DEAD_TOKEN_CHALLENGE, ...HEADERS]
const answerTo = ({ status, msg }: { status: number; msg: string }) => ({
  status,
  headers: status === 401 ? CHALLENGED : HEADERS,
  body: JSON.stringify({ msg }),
})
const ANSWERS = {
  valid: answerTo(VERDICTS.valid),
  expired: answerTo(VERDICTS.expired),
  revoked: answerTo(VERDICTS.revoked),
  unverifiable: answerTo(VERDICTS.unverifiable),
}
const READ = 'access:read'
const MAX_QUESTIONS = 1_000
/** Longer ones are rarely asked twice. */
const MAX_REMEMBERED_LENGTH = 1_000

export function createFastDecisions({ decisions, identify, verdictOn, audience }: FastDecisionsDeps) {
  const questions = new LRUCache<string, PolicyExpression>({ max: MAX_QUESTIONS })

  /** Services ask the same few questions about everybody. Undefined for what is not `permissions` alone, and well formed. */
  function questionOf(query: string): PolicyExpression | undefined {
    const known = questions.get(query)
    if (known !== undefined) return known
    const fields = new URLSearchParams(query)
    const text = fields.get('permissions')
    if (text === null || fields.size !== 1) return undefined
    const parsed = parseQuery(text)
    if (!parsed.ok) return undefined
    if (query.length <= MAX_REMEMBERED_LENGTH) questions.set(query, parsed.expression)
    return parsed.expression
  }

  /** The account itself, with a token for whatever audience, or a client that may read decisions. */
  function mayAsk(bearer: Bearer | undefined, accountId: string): boolean {
    if (bearer?.kind === 'account') return bearer.identity.subject === accountId
    return bearer?.kind === 'client' && bearer.audience === audience && bearer.scopes.has(READ)
  }

  function send(exchange: Exchange, body: object): true {
    exchange.answer(200, HEADERS, JSON.stringify(body))
    return true
  }

  const validation: FastHandler = (exchange) => {
    const token = bearerOf(exchange)
    if (token === undefined || exchange.query !== '') return false
    const verdict = verdictOn(token)
    return verdict instanceof Promise ? verdict.then((late) => tell(exchange, late)) : tell(exchange, verdict)
  }

  function decide(exchange: Exchange, bearer: Bearer | undefined, accountId: string, question: PolicyExpression) {
    if (!mayAsk(bearer, accountId)) return false
    const answer = decisions.answerNow(accountId, question)
    if (answer) return send(exchange, answer)
    return decisions.answer(accountId, question).then((late) => send(exchange, late))
  }

  async function list(exchange: Exchange, bearer: Bearer | undefined, accountId: string): Promise<boolean> {
    if (!mayAsk(bearer, accountId)) return false
    return send(exchange, { permissions: await decisions.combinedPermissions(accountId) })
  }

  const permissions: FastHandler = (exchange) => {
    const [, accountId, asks] = OWNER.exec(exchange.path) ?? []
    const token = bearerOf(exchange)
    if (accountId === undefined || token === undefined) return false
    const question = asks === undefined ? undefined : questionOf(exchange.query)
    if (asks === undefined ? exchange.query !== '' : question === undefined) return false
    const answer = (bearer: Bearer | undefined) =>
      question === undefined ? list(exchange, bearer, accountId) : decide(exchange, bearer, accountId, question)
    const bearer = identify(token)
    return bearer instanceof Promise ? bearer.then(answer) : answer(bearer)
  }

  return { validation, permissions }
}

/** What the declared route says of each verdict. A bound token would need a proof. */
function tell(exchange: Exchange, verdict: TokenVerdict): boolean {
  if (verdict === 'bound') return false
  const { status, headers, body } = ANSWERS[verdict]
  exchange.answer(status, headers, body)
  return true
}

const bearerOf = ({ request }: Exchange): string | undefined => BEARER.exec(request.headers.authorization ?? '')?.[1]
