/** The service's own access token for the API of the server, by client credentials (RFC 6749 section 4.4, RFC 8707). */
import type { Discover } from './discovery.ts'
import { type Fetch, fetchJson, monotonicMs, UnexpectedAnswer } from './server-call.ts'

export interface Credentials {
  clientId: string
  clientSecret: string
}

export interface ServiceToken {
  /** One that is good for a while yet. Throws what a call of the server throws. */
  get(): Promise<string>
  /** The server does not take it any more. */
  forget(): void
}

export interface ServiceTokenDeps {
  resource: string
  scope: string
  credentials: Credentials
  discover: Discover
  fetch: Fetch
}

/** A server that is in trouble is not asked by every request anew. */
const FAILURE_PAUSE_MS = 1_000
/** Renewed when this part of its life is left. */
const RENEWAL_PART = 0.2

export function createServiceToken(deps: ServiceTokenDeps): ServiceToken {
  let token: { value: string; renewAtMs: number } | undefined
  let asking: Promise<string> | undefined
  let failure: { error: unknown; untilMs: number } | undefined

  const ask = async (): Promise<string> => {
    try {
      const answer = await requestToken(deps)
      token = { value: answer.value, renewAtMs: monotonicMs() + answer.lifeSeconds * 1000 * (1 - RENEWAL_PART) }
      return answer.value
    } catch (error) {
      failure = { error, untilMs: monotonicMs() + FAILURE_PAUSE_MS }
      throw error
    } finally {
      asking = undefined
    }
  }
  return {
    async get() {
      if (token && token.renewAtMs > monotonicMs()) return token.value
      if (failure && failure.untilMs > monotonicMs()) throw failure.error
      asking ??= ask()
      return asking
    },
    forget() {
      token = undefined
    },
  }
}

async function requestToken({ resource, scope, credentials, discover, fetch }: ServiceTokenDeps) {
  const { token: url } = await discover()
  // RFC 6749 section 2.3.1: both are encoded as in a form before they become user name and password.
  const pair = [credentials.clientId, credentials.clientSecret].map(encodeURIComponent).join(':')
  const answer = await fetchJson(fetch, url, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(pair).toString('base64')}`, Accept: 'application/json' },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope, resource }),
  })
  const { access_token: value, expires_in: lifeSeconds } = answer
  if (typeof value !== 'string' || typeof lifeSeconds !== 'number') {
    throw new UnexpectedAnswer(url, 200, 'answered no token')
  }
  return { value, lifeSeconds }
}
