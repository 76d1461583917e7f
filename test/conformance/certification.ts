/** What the certification plans are run against: a server process behind TLS, three clients and one account. */
import { randomBytes } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import {
  createRelyingParty,
  discover,
  fetchKeys,
  type Metadata,
  type Registration,
  type RelyingParty,
} from '../support/relying-party.ts'
import { type Exchange, startTlsFront } from '../support/tls.ts'
import { createUserAgent, type UserAgent } from '../support/user-agent.ts'
import { startWorld } from '../support/world.ts'

/** Another host than the issuer's: cookies know no ports. */
const BASE = 'https://rp.localhost:8443/test/a/usher'

export const CLIENT_PAGES = {
  client_uri: `${BASE}/`,
  logo_uri: `${BASE}/logo.png`,
  policy_uri: `${BASE}/policy`,
  tos_uri: `${BASE}/terms`,
}

export interface Person {
  login: string
  password: string
  /** What userinfo has to say of each scope. */
  claims: Record<'profile' | 'email' | 'address' | 'phone', Record<string, unknown>>
}

export interface Certification {
  issuer: string
  exchange: Exchange
  metadata: Metadata
  jwks: JSONWebKeySet
  person: Person
  rp: Record<'basic' | 'basic2' | 'post' | 'house', RelyingParty>
  newAgent(): UserAgent
  stop(): Promise<void>
}

const PROFILE = {
  name: 'Ada M. Lovelace',
  middle_name: 'Mary',
  nickname: 'Countess',
  profile: 'https://people.example/ada',
  picture: 'https://people.example/ada.png',
  website: 'https://ada.example',
  gender: 'female',
  birthdate: '1815-12-10',
  zoneinfo: 'Europe/London',
}
const ADDRESS = {
  formatted: '12 St James’s Square\nLondon SW1Y 4JH\nUnited Kingdom',
  street_address: '12 St James’s Square',
  locality: 'London',
  postal_code: 'SW1Y 4JH',
  country: 'GB',
}
const PHONE = { phone_number: '+442079460000', phone_number_verified: true }

const PERSON: Person = {
  login: 'ada@people.example',
  password: 'notes on the analytical engine',
  claims: {
    profile: {
      ...PROFILE,
      given_name: 'Ada',
      family_name: 'Lovelace',
      preferred_username: 'countess',
      locale: 'en-GB',
    },
    email: { email: 'ada@people.example', email_verified: true },
    address: { address: ADDRESS },
    phone: PHONE,
  },
}

/** One call per test file; the world underneath is the file's own. */
export async function startCertification(): Promise<Certification> {
  const front = await startTlsFront('op.localhost')
  const world = await startWorld({ issuer: front.origin, env: { USHER_TRUSTED_PROXIES: '1' } }).catch(async (error) => {
    await front.close()
    throw error
  })
  const { exchange } = front
  const stop = async () => {
    await front.close()
    await world.stop()
  }
  try {
    front.forwardTo(world.servers[0]?.address ?? '')
    await createPerson(world.core)
    const metadata = await discover(exchange, front.origin)
    const jwks = await fetchKeys(exchange, metadata.jwks_uri)
    const register = async (id: string, settings: { method?: Registration['authentication']; firstParty?: boolean }) =>
      createRelyingParty({ exchange, metadata, jwks, registration: await createClient(world.core, id, settings) })
    return {
      issuer: front.origin,
      exchange,
      metadata,
      jwks,
      person: PERSON,
      rp: {
        basic: await register('cf-basic', {}),
        basic2: await register('cf-basic2', {}),
        post: await register('cf-post', { method: 'client_secret_post' }),
        house: await register('cf-house', { firstParty: true }),
      },
      newAgent: () => createUserAgent(exchange),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

type Core = Awaited<ReturnType<typeof startWorld>>['core']

async function createPerson({ accounts }: Core): Promise<void> {
  await accounts.create({
    email: PERSON.login,
    emailVerified: true,
    username: 'countess',
    password: PERSON.password,
    firstName: 'Ada',
    lastName: 'Lovelace',
    locale: 'en-GB',
    profile: { ...PROFILE, ...PHONE, address: ADDRESS },
  })
}

/** As a certification profile registers it: no PKCE demanded, lean ID tokens, RS256, every scope, consent asked for. */
async function createClient(
  { clients }: Core,
  id: string,
  {
    method = 'client_secret_basic',
    firstParty = false,
  }: { method?: Registration['authentication']; firstParty?: boolean },
): Promise<Registration> {
  // Reserved characters: RFC 6749 section 2.3.1 has them encoded in the Basic header.
  const secret = `${randomBytes(32).toString('base64url')}+%:/`
  const redirectUri = `${BASE}/${id}/callback`
  const postLogoutRedirectUri = `${BASE}/${id}/post_logout_redirect`
  await clients.create({
    id,
    name: `Conformance ${id}`,
    type: 'web',
    secret,
    firstParty,
    requirePkce: false,
    grantTypes: ['authorization_code', 'refresh_token'],
    redirectUris: [redirectUri],
    postLogoutRedirectUris: [postLogoutRedirectUri],
    scopes: ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'],
    tokenEndpointAuthMethod: method,
    metadata: { id_token_signed_response_alg: 'RS256', lean_id_token: true, ...CLIENT_PAGES },
  })
  return { id, secret, authentication: method, redirectUri, postLogoutRedirectUri }
}
