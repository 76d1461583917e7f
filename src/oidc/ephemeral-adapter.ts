/**
 * The engine's storage seam. The engine is check-then-act: it finds, looks at `consumed`, then consumes and ignores the
 * answer. So every redemption here is one atomic step that throws InvalidGrant when it was lost.
 *
 * Signed tokens are never stored as such: for them `find` receives the whole token, and a bad signature ends there,
 * before any store is asked.
 */
import { type Adapter, type AdapterPayload, errors, Provider } from 'oidc-provider'
import { ageOf } from '../http/arrival.ts'
import { isOpaqueId } from '../ids.ts'
import type { Ephemeral } from '../storage/ephemeral.ts'
import { inEngineTerms } from './engine-errors.ts'
import {
  codeKey,
  grantIndexKey,
  grantKey,
  interactionKey,
  pushedRequestKey,
  sessionKey,
  sessionUidKey,
} from './ephemeral-keys.ts'
import { decodeRecord, encodeRecord } from './record-format.ts'
import type { RefreshRotation } from './refresh-rotation.ts'
import type { Revocation } from './revocation.ts'
import type { SessionRegister } from './session-register.ts'
import { type AccessTokenClaims, CLOCK_TOLERANCE_SECONDS, type TokenFormats } from './token-formats.ts'

export interface EphemeralAdapterDeps {
  ephemeral: Ephemeral
  tokens: TokenFormats
  revocation: Revocation
  rotation: RefreshRotation
  register: SessionRegister
  /** What the engine should see as a token's audience: nothing where it is the client's own default. */
  isDefaultAudience(audience: string, clientId: string): Promise<boolean>
}

type Verbs = Partial<Adapter>

const unsupported = (verb: string) => async () => {
  throw new Error(`this model has no ${verb}`)
}
const none = async () => undefined

/** `find` accepts a record a little past its end, so it must be there a little longer. */
const lifeOf = (expiresIn: number | undefined): { ttlSeconds: number } => {
  if (expiresIn === undefined) throw new Error('every record has a life')
  return { ttlSeconds: Math.max(1, expiresIn) + CLOCK_TOLERANCE_SECONDS }
}

export function createEphemeralAdapter(deps: EphemeralAdapterDeps): (model: string) => Adapter {
  const { ephemeral, tokens, revocation, rotation } = deps

  const read = async (key: string | undefined): Promise<AdapterPayload | undefined> => {
    if (key === undefined) return undefined
    const [stored] = await ephemeral.get([key])
    return decodeRecord<AdapterPayload>(stored)
  }
  const write = async (key: string, payload: AdapterPayload, expiresIn: number | undefined, index?: string) => {
    await ephemeral.put(key, encodeRecord(payload), { ...lifeOf(expiresIn), ...(index === undefined ? {} : { index }) })
  }
  const erase = async (key: string) => {
    await ephemeral.remove([key])
  }
  const revokeByGrantId = (grantId: string) => revocation.revokeGrant(grantId)

  const liveSession = async (key: string | undefined): Promise<AdapterPayload | undefined> => {
    const session = await read(key)
    return session && (await revocation.deniesSession(session)) ? undefined : session
  }

  const sessions: Verbs = {
    find: (id) => liveSession(sessionKey(id)),
    async findByUid(uid) {
      const [key] = await ephemeral.get([sessionUidKey(uid)])
      return liveSession(key)
    },
    async upsert(id, payload, expiresIn) {
      const life = lifeOf(expiresIn)
      const pointer = { key: sessionUidKey(String(payload.uid)), value: sessionKey(id), ...life }
      await Promise.all([
        ephemeral.putAll([{ key: sessionKey(id), value: encodeRecord(payload), ...life }, pointer]),
        Provider.ctx && deps.register.sessionSaved(Provider.ctx, payload, life.ttlSeconds),
      ])
    },
    destroy: (id) => erase(sessionKey(id)),
  }

  const interactions: Verbs = {
    find: async (uid) => (isOpaqueId(uid) ? read(interactionKey(uid)) : undefined),
    upsert: (uid, payload, expiresIn) => write(interactionKey(uid), payload, expiresIn),
    destroy: (uid) => erase(interactionKey(uid)),
  }

  const grants: Verbs = {
    async find(id) {
      const stored = isOpaqueId(id) ? await read(grantKey(id)) : undefined
      return stored && { ...stored, kind: 'Grant', jti: id }
    },
    // What the key says is not stored with it.
    upsert: (id, { kind: _, jti: __, ...payload }, expiresIn) =>
      write(grantKey(id), payload, expiresIn, grantIndexKey(id)),
    destroy: revokeByGrantId,
    revokeByGrantId,
  }

  const authorizationCodes: Verbs = {
    async find(code) {
      const key = codeKey(code)
      const ageMs = Provider.ctx ? ageOf(Provider.ctx.req) : 0
      const stored = key === undefined ? undefined : await ephemeral.peek(key)
      const payload = decodeRecord<AdapterPayload>(stored?.value)
      if (!stored || !payload || (await revocation.deniesCode(payload))) return undefined
      // In a race that somebody else is winning consume() will say so without harm to the winner. A code whose answer
      // has left is replayed, also after its own end.
      if (!rotation.isReplay(stored, ageMs)) return payload
      const now = Math.floor(Date.now() / 1000)
      return { ...payload, exp: now + CLOCK_TOLERANCE_SECONDS, consumed: now }
    },
    async upsert(code, payload, expiresIn) {
      const key = codeKey(code)
      if (key === undefined) throw new Error('an authorization code names its grant')
      await ephemeral.offer(key, encodeRecord(payload), {
        ...lifeOf(expiresIn),
        index: grantIndexKey(String(payload.grantId)),
      })
    },
    async consume(code) {
      const key = codeKey(code)
      if (key === undefined || (await ephemeral.consumeOnce(key)) !== 'won') {
        throw new errors.InvalidGrant('authorization code already used')
      }
      if (Provider.ctx) rotation.codeTaken(Provider.ctx, key)
    },
    destroy: async (code) => {
      const key = codeKey(code)
      if (key !== undefined) await erase(key)
    },
    revokeByGrantId,
  }

  const refreshTokens: Verbs = {
    async find(token) {
      const claims = tokens.verifyRefreshToken(token)
      return claims && rotation.find(claims, { refreshing: Provider.ctx?.oidc?.route === 'token' })
    },
    upsert: (jti, payload, expiresIn) =>
      rotation.store(Provider.ctx, { jti, payload, ttlSeconds: expiresIn ?? Number.NaN }),
    async consume(jti) {
      if (!Provider.ctx) throw new Error('a refresh token is consumed by a request')
      await rotation.consume(Provider.ctx, jti)
    },
    destroy: none, // the engine destroys a reused token together with its grant; the family dies with the grant
    revokeByGrantId,
  }

  /** The engine's view of a genuine, unrevoked access token. */
  const accessTokenPayload = async (claims: AccessTokenClaims): Promise<AdapterPayload> => {
    const atUserinfo = Provider.ctx?.oidc?.route === 'userinfo'
    const isDefault = atUserinfo && (await deps.isDefaultAudience(claims.aud, claims.client_id))
    return {
      jti: claims.jti,
      iat: claims.iat,
      exp: claims.exp,
      clientId: claims.client_id,
      ...(claims.scope === undefined ? {} : { scope: claims.scope }),
      ...(claims.gid === undefined ? {} : { accountId: claims.sub, grantId: claims.gid }),
      ...(claims.suid === undefined ? {} : { sessionUid: claims.suid, expiresWithSession: true }),
      ...(claims.uic === undefined ? {} : { claims: { userinfo: claims.uic } }),
      ...(claims.cnf?.jkt === undefined ? {} : { jkt: claims.cnf.jkt }),
      // The engine's userinfo accepts only tokens without an audience.
      ...(isDefault ? {} : { aud: claims.aud }),
    }
  }

  const accessTokens = (ofAccount: boolean): Verbs => ({
    async find(token) {
      const claims = tokens.verifyAccessToken(token)
      if (!claims || (claims.gid !== undefined) !== ofAccount || (await revocation.denies(claims))) return undefined
      return accessTokenPayload(claims)
    },
    destroy: (jti) => revocation.revokeToken({ jti }),
    revokeByGrantId,
  })

  const pushedRequests: Verbs = {
    async find(id) {
      const stored = await ephemeral.peek(pushedRequestKey(id))
      const payload = decodeRecord<AdapterPayload>(stored?.value)
      return payload && stored?.state !== 'fresh' ? { ...payload, consumed: 1 } : payload
    },
    upsert: (id, payload, expiresIn) => ephemeral.offer(pushedRequestKey(id), encodeRecord(payload), lifeOf(expiresIn)),
    async consume(id) {
      if ((await ephemeral.consumeOnce(pushedRequestKey(id))) !== 'won') {
        throw new errors.InvalidRequestUri('request_uri already used')
      }
    },
    destroy: (id) => erase(pushedRequestKey(id)),
  }

  const models: Record<string, Verbs> = {
    Session: sessions,
    Interaction: interactions,
    Grant: grants,
    AuthorizationCode: authorizationCodes,
    RefreshToken: refreshTokens,
    AccessToken: accessTokens(true),
    ClientCredentials: accessTokens(false),
    PushedAuthorizationRequest: pushedRequests,
    ReplayDetection: {}, // provider.ts decides in one step what the engine would look up and then write
  }

  return (model) => {
    const verbs = models[model]
    if (!verbs) throw new Error(`no store for ${model}`)
    return {
      find: inEngineTerms(verbs.find ?? none),
      findByUid: inEngineTerms(verbs.findByUid ?? none),
      findByUserCode: none,
      upsert: inEngineTerms(verbs.upsert ?? unsupported('upsert')),
      consume: inEngineTerms(verbs.consume ?? unsupported('consume')),
      destroy: inEngineTerms(verbs.destroy ?? unsupported('destroy')),
      revokeByGrantId: inEngineTerms(verbs.revokeByGrantId ?? unsupported('revokeByGrantId')),
    }
  }
}
