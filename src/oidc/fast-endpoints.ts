/**
 * Introspection, revocation and client credentials of the ordinary kind, answered without the engine and exactly as it
 * would: a differential test holds both to the same answers. What is not ordinary is passed on to the engine untouched.
 */
import { hashingUnavailable } from '../accounts/hash-pool.ts'
import type { Client } from '../clients/client.ts'
import { type Clock, epochSeconds } from '../clock.ts'
import type { Exchange, FastHandler } from '../http/dispatcher.ts'
import { readPlainForm } from '../http/plain-form.ts'
import { opaqueId } from '../ids.ts'
import { RefusedForNow } from './engine-errors.ts'
import { PASSWORD_GRANT } from './password-grant.ts'
import type { AuthenticatePlainly } from './plain-client.ts'
import { isOidcScope } from './scopes.ts'
import type { TokenInspection } from './token-inspection.ts'

export interface FastEndpointsDeps {
  issuer: string
  accessTokenTtlSeconds: number
  /** The audience of a client that names no other. */
  ownAudience: string
  clock: Clock
  /** By which sign-ins begin. */
  signInClock: Clock
  authenticate: AuthenticatePlainly
  inspection: TokenInspection
  sign(claims: object): string
  /** fast-refresh.ts */
  refresh: FastGrant
  /** Whether no password can be checked now. */
  isHashingFull(): boolean
}

/** What the engine says to callers without an Origin. */
const CORS = ['Vary', 'Origin', 'Access-Control-Allow-Origin', '*', 'Access-Control-Expose-Headers', 'WWW-Authenticate']
/** Of its JSON answers. */
export const ENGINE_JSON_HEADERS = [
  'Cache-Control',
  'no-store',
  'Content-Type',
  'application/json; charset=utf-8',
  ...CORS,
]
const EMPTY_HEADERS = ['Content-Type', 'text/plain; charset=utf-8', ...CORS]

const CLIENT_FIELDS = ['client_id', 'client_secret']
const TOKEN_FIELDS = new Set([...CLIENT_FIELDS, 'token', 'token_type_hint'])
const GRANT_FIELDS = new Set([...CLIENT_FIELDS, 'grant_type', 'scope', 'refresh_token', 'username', 'password'])
/** What the engine takes for a signed token. */
const SIGNED = /^[\w-]+\.[\w-]+\.[\w-]+$/
/** RFC 6749 section 3.3: tokens divided by single spaces. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/

type Fields = ReadonlyMap<string, string>
/** Answers a request of an authenticated client; false when it is not of the ordinary kind. */
export type FastGrant = (exchange: Exchange, client: Client, fields: Fields) => boolean | Promise<boolean>
type Work = FastGrant

const isRefresh = (fields: Fields): boolean => fields.get('grant_type') === 'refresh_token'
const isPassword = (fields: Fields): boolean => fields.get('grant_type') === PASSWORD_GRANT
const hasAny = (fields: Fields, names: readonly string[]): boolean => names.some((name) => fields.has(name))

export function createFastEndpoints(deps: FastEndpointsDeps) {
  const { inspection, clock } = deps

  /** A request whose form has only these fields, of a client that has proved who it is. */
  const plainly =
    (known: ReadonlySet<string>, work: Work, mayBePublic?: (fields: Fields) => boolean): FastHandler =>
    async (exchange) => {
      if (exchange.query !== '') return false
      const form = await readPlainForm(exchange.request)
      if (!form) return false
      const { fields, unread } = form
      try {
        const isKnown = [...fields.keys()].every((name) => known.has(name))
        const options = { mayBePublic: mayBePublic?.(fields) === true }
        const client = isKnown ? await deps.authenticate(exchange.request, fields, options) : undefined
        if (client && (await work(exchange, client, fields))) return true
      } catch {
        // The engine meets the same fault, and says so in the words of OAuth.
      }
      unread()
      return false
    }

  const introspection: Work = async (exchange, client, fields) => {
    const token = fields.get('token') ?? ''
    if (!SIGNED.test(token)) return false
    const body = await inspection.introspect({ clientId: client.id, audience: client.audience }, token)
    exchange.answer(200, ENGINE_JSON_HEADERS, JSON.stringify(body))
    return true
  }

  const revocation: Work = async (exchange, client, fields) => {
    const token = fields.get('token') ?? ''
    if (!SIGNED.test(token)) return false
    await inspection.revoke({ clientId: client.id }, token)
    exchange.answer(200, EMPTY_HEADERS, '')
    return true
  }

  const grant: Work = (exchange, client, fields) => {
    if (isPassword(fields)) return refuseWhenFull(exchange, client, fields)
    if (hasAny(fields, ['username', 'password'])) return false
    if (isRefresh(fields)) return fields.has('scope') ? false : deps.refresh(exchange, client, fields)
    return clientCredentials(exchange, client, fields)
  }

  /** A storm of sign-ins must not delay the others: what would be refused in the end is refused before the engine begins. */
  function refuseWhenFull(exchange: Exchange, { firstParty, grantTypes }: Client, fields: Fields): boolean {
    const isAsked =
      firstParty && grantTypes.includes(PASSWORD_GRANT) && fields.get('username') && fields.get('password')
    if (!isAsked || fields.has('refresh_token') || !deps.isHashingFull()) return false
    exchange.answer(503, HASHING_IS_FULL.headers, HASHING_IS_FULL.body)
    return true
  }

  const clientCredentials: Work = (exchange, client, fields) => {
    if (fields.get('grant_type') !== 'client_credentials' || fields.has('refresh_token') || !mayUseIt(client))
      return false
    const scope = fields.get('scope')
    if (scope !== undefined && !mayHave(client, scope)) return false
    const ttlSeconds = client.accessTokenTtlSeconds ?? deps.accessTokenTtlSeconds
    const iat = epochSeconds(clock)
    const access_token = deps.sign({
      jti: opaqueId(),
      sub: client.id,
      iat,
      exp: iat + ttlSeconds,
      ...(scope === undefined ? {} : { scope }),
      client_id: client.id,
      iss: deps.issuer,
      aud: client.audience ?? deps.ownAudience,
      ims: deps.signInClock.now(),
    })
    const body = {
      access_token,
      expires_in: ttlSeconds,
      token_type: 'Bearer',
      ...(scope === undefined ? {} : { scope }),
    }
    exchange.answer(200, ENGINE_JSON_HEADERS, JSON.stringify(body))
    return true
  }

  return {
    introspection: plainly(TOKEN_FIELDS, introspection),
    revocation: plainly(TOKEN_FIELDS, revocation),
    token: plainly(GRANT_FIELDS, grant, (fields) => isRefresh(fields) || isPassword(fields)),
  }
}

/** As the engine words it; made once, because a storm meets it by the hundred. */
const HASHING_IS_FULL = refusalOf(new RefusedForNow('temporarily_unavailable', hashingUnavailable()))

function refusalOf({ error, error_description, retryAfterSeconds }: RefusedForNow) {
  const headers = ['Retry-After', String(retryAfterSeconds), ...ENGINE_JSON_HEADERS]
  return { headers, body: JSON.stringify({ error, error_description }) }
}

/** Bound tokens need a proof, which is the engine's to check. */
const mayUseIt = ({ grantTypes, metadata }: Client): boolean =>
  grantTypes.includes('client_credentials') && metadata.dpop_bound_access_tokens !== true

/** Registered API scopes, each once; those of OpenID mean nothing without a person, and are the engine's to judge. */
function mayHave({ scopes }: Client, requested: string): boolean {
  const names = requested.split(' ')
  const isOrdinary = SCOPE.test(requested) && new Set(names).size === names.length
  return isOrdinary && names.every((name) => scopes.includes(name) && !isOidcScope(name))
}
