/** Tells the sessions room about every sign-in and use the engine sees, where and when it sees it. */
import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import { browserSessionId, grantSessionId, type NewSession } from '../sessions/session.ts'
import { SECONDS } from './lives.ts'
import { type Lineage, lineageOf, signedInFrom } from './sign-in-lineage.ts'

export interface SessionRegisterDeps {
  clock: Clock
  remember(session: NewSession): Promise<void>
}

export type SessionRegister = ReturnType<typeof createSessionRegister>

export function createSessionRegister({ clock, remember }: SessionRegisterDeps) {
  return {
    /** A browser session was stored: at its sign-in, and whenever an authorization request uses it. */
    async sessionSaved(
      ctx: KoaContextWithOIDC,
      { uid, accountId, signedInAtMs }: AdapterPayload & Lineage,
      ttlSeconds: number,
    ): Promise<void> {
      if (!uid || !accountId) return
      await remember({
        id: browserSessionId(uid),
        accountId,
        clientId: ctx.oidc.client?.clientId,
        ...signedInFrom(ctx),
        signedInAtMs: signedInAtMs ?? clock.now(),
        ttlSeconds,
      })
    },

    /** Tokens of an account were issued. What the code flow issues within a session was seen when it was authorized. */
    async tokensIssued(ctx: KoaContextWithOIDC): Promise<void> {
      const { AccessToken, RefreshToken, AuthorizationCode } = ctx.oidc.entities
      if (!AccessToken?.accountId || !AccessToken.grantId) return
      const { accountId, clientId, grantId, expiresWithSession, sessionUid } = AccessToken
      const isWithinSession = expiresWithSession === true && sessionUid !== undefined
      if (isWithinSession && AuthorizationCode) return
      const lineage = lineageOf(ctx, clock)
      await remember({
        id: isWithinSession ? browserSessionId(sessionUid) : grantSessionId(grantId),
        accountId,
        clientId,
        ...(lineage.signedInFrom ?? signedInFrom(ctx)),
        signedInAtMs: lineage.signedInAtMs,
        ttlSeconds: isWithinSession ? SECONDS.session : (RefreshToken ?? AccessToken).remainingTTL,
      })
    },
  }
}
