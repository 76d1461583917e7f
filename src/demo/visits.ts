/**
 * What the demonstration remembers of a browser: the request that is under way, then the tokens. It lies in the ephemeral
 * store, sealed with a key that only the browser's cookie yields, so that a dump of the store holds no usable token.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { isOpaqueId, opaqueId } from '../ids.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import type { PendingRequest, Tokens } from './relying-party.ts'

export interface Visit {
  pending?: PendingRequest
  tokens?: Tokens
  /** How often the tokens were refreshed. */
  refreshes?: number
  /** The last answer of the userinfo endpoint. */
  userinfo?: unknown
}

export const VISIT_SECONDS = 30 * 60

const NONCE_BYTES = 12
const TAG_BYTES = 16

export type Visits = ReturnType<typeof createVisits>

export function createVisits(ephemeral: Pick<Ephemeral, 'get' | 'put' | 'take'>) {
  const keyOf = (secret: string) => `dv:${createHash('sha256').update(secret).digest('base64url')}`
  return {
    /** Begins a visit; the result is the value of its cookie, 256 bits. */
    async begin(visit: Visit): Promise<string> {
      const secret = opaqueId()
      await this.save(secret, visit)
      return secret
    },

    async save(secret: string, visit: Visit): Promise<void> {
      await ephemeral.put(keyOf(secret), seal(JSON.stringify(visit), secret), { ttlSeconds: VISIT_SECONDS })
    },

    async read(secret: string | undefined): Promise<Visit> {
      if (!isOpaqueId(secret)) return {}
      const [sealed] = await ephemeral.get([keyOf(secret)])
      return unseal(sealed, secret)
    },

    /** Reads and ends a visit: an answer can be taken once. */
    async take(secret: string | undefined): Promise<Visit> {
      if (!isOpaqueId(secret)) return {}
      return unseal(await ephemeral.take(keyOf(secret)), secret)
    },
  }
}

const sealingKey = (secret: string) => new Uint8Array(hkdfSync('sha256', secret, '', 'usher demo visit', 32))

/** AES-256-GCM, base64url of nonce, tag and ciphertext. */
function seal(text: string, secret: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', sealingKey(secret), nonce)
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
}

/** An empty visit for what this secret did not seal. */
function unseal(sealed: string | undefined, secret: string): Visit {
  if (sealed === undefined) return {}
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(secret), bytes.subarray(0, NONCE_BYTES))
  try {
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
    const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
    return JSON.parse(text.toString('utf8'))
  } catch {
    return {}
  }
}
