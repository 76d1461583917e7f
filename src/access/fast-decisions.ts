/**
 * Whether a token is good, and whether its own account may, by the short way: the calls that services make on every
 * request. The declared routes (decision-routes.ts) say everything else, refusals first of all.
 */
import { LRUCache } from 'lru-cache'
import type { Identify } from '../http/authenticate.ts'
import type { Exchange, FastHandler } from '../http/dispatcher.ts'
import type { PolicyDecision } from './policy-decision.ts'
import { type PolicyExpression, parseQuery } from './policy-expression.ts'
import type { TokenVerdict } from './token-verdict.ts'

export interface FastDecisionsDeps {
  decisions: Pick<PolicyDecision, 'answer' | 'combinedPermissions'>
  identify: Identify
  verdictOn(token: string): Promise<TokenVerdict>
  /** The `aud` of tokens for this API. */
  audience: string
}

/** RFC 6750 section 2.1, as authenticate.ts reads it. */
const BEARER = /^Bearer ([\w.~+/-]{1,8192}=*)$/
const OWNER = /^\/api\/v1\/(?:users|accounts)\/([0-9a-f-]{36})\/combined_permissions(\/validation)?$/
const HEADERS = ['Vary', 'Origin', 'Cache-Control', 'no-store', 'Content-Type', 'application/json; charset=utf-8']
const VALID = JSON.stringify({ msg: 'Token is valid' })
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
  async function mayAsk(token: string, accountId: string): Promise<boolean> {
    const bearer = await identify(token)
    if (bearer?.kind === 'account') return bearer.identity.subject === accountId
    return bearer?.kind === 'client' && bearer.audience === audience && bearer.scopes.has(READ)
  }

  async function about(exchange: Exchange, token: string, accountId: string, isQuestion: boolean): Promise<boolean> {
    const question = isQuestion ? questionOf(exchange.query) : undefined
    if (isQuestion ? question === undefined : exchange.query !== '') return false
    if (!(await mayAsk(token, accountId))) return false
    const body =
      question === undefined
        ? { permissions: await decisions.combinedPermissions(accountId) }
        : await decisions.answer(accountId, question)
    exchange.answer(200, HEADERS, JSON.stringify(body))
    return true
  }

  const validation: FastHandler = async (exchange) => {
    const token = bearerOf(exchange)
    if (token === undefined || exchange.query !== '' || (await verdictOn(token)) !== 'valid') return false
    exchange.answer(200, HEADERS, VALID)
    return true
  }

  const permissions: FastHandler = (exchange) => {
    const [, accountId, question] = OWNER.exec(exchange.path) ?? []
    const token = bearerOf(exchange)
    if (accountId === undefined || token === undefined) return false
    return about(exchange, token, accountId, question !== undefined)
  }

  return { validation, permissions }
}

const bearerOf = ({ request }: Exchange): string | undefined => BEARER.exec(request.headers.authorization ?? '')?.[1]
