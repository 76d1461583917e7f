/** What a key of the ring is and how one is made. */
import { generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, exportJWK, type JWK } from 'jose'
import type { Clock } from '../clock.ts'

/** next: published, signs nothing yet. current: signs. retired: still verifies. */
export type KeyState = 'next' | 'current' | 'retired'

/** Instants are RFC 3339. */
export interface KeyLife {
  kid: string
  state: KeyState
  createdAt: string
  currentAt?: string
  retiredAt?: string
  /** When a retired key may be forgotten, because everything it signed has expired. */
  expiresAt?: string
}

export type SigningAlg = 'ES256' | 'RS256'

export interface SigningKey extends KeyLife {
  alg: SigningAlg
  /** The private key (RFC 7517). */
  jwk: JWK
}

/** 256 random bits, base64url. */
export interface SecretKey extends KeyLife {
  secret: string
}

/** The first of each list is the active one. */
export interface Secrets {
  refresh_token: SecretKey[]
  cookie: SecretKey[]
  pepper: string
}

const generate = promisify(generateKeyPair)

/** One key per algorithm. The RSA key takes most of a second, on a thread of the pool. */
export async function newSigningKeys(state: KeyState, at: string): Promise<SigningKey[]> {
  const [ec, rsa] = await Promise.all([
    generate('ec', { namedCurve: 'P-256' }),
    generate('rsa', { modulusLength: 3072 }),
  ])
  return [
    await signingKey('ES256', await exportJWK(ec.privateKey), state, at),
    await signingKey('RS256', await exportJWK(rsa.privateKey), state, at),
  ]
}

async function signingKey(alg: SigningAlg, jwk: JWK, state: KeyState, at: string): Promise<SigningKey> {
  return { kid: await calculateJwkThumbprint(jwk), alg, ...lifeBegun(state, at), jwk }
}

export const newSecretKey = (state: KeyState, at: string): SecretKey => ({
  kid: randomBytes(9).toString('base64url'),
  ...lifeBegun(state, at),
  secret: randomBytes(32).toString('base64url'),
})

const lifeBegun = (state: KeyState, at: string): Omit<KeyLife, 'kid'> =>
  state === 'current' ? { state, createdAt: at, currentAt: at } : { state, createdAt: at }

export const newSecrets = (at: string): Secrets => ({
  refresh_token: [newSecretKey('current', at)],
  cookie: [newSecretKey('current', at)],
  pepper: randomBytes(32).toString('base64url'),
})

export const instant = (milliseconds: number): string => new Date(milliseconds).toISOString()

const ORDER: readonly KeyState[] = ['current', 'next', 'retired']

/** The active key first. */
export const inOrder = <T extends KeyLife>(keys: readonly T[]): T[] =>
  keys.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))

/** Without retired keys whose last token has expired. */
export const alive = <T extends KeyLife>(keys: readonly T[], clock: Clock): T[] =>
  keys.filter(({ expiresAt }) => expiresAt === undefined || Date.parse(expiresAt) > clock.now())
