/** How long everything of the protocol lives, in seconds. */
import type { Clock } from '../clock.ts'
import { issuedAt } from './token-formats.ts'

export const SECONDS = {
  code: 60,
  pushedRequest: 60,
  interaction: 3_600,
  session: 14 * 86_400,
  grant: 90 * 86_400,
} as const

/** Shortened lives need no store; the longest life of anything is a grant's. */
export const grantSecondsFor = (refreshTokenTtlSeconds: number): number =>
  Math.max(SECONDS.grant, refreshTokenTtlSeconds)

/** Idle life of a refresh token in seconds, never past the absolute end of its grant; `own` is that of its client. */
export const refreshTokenLife =
  ({ clock, ttlSeconds }: { clock: Clock; ttlSeconds: number }) =>
  (firstIssuedAt: number | undefined, own: number | undefined): number => {
    const { iat } = issuedAt(clock)
    return Math.max(1, Math.min(own ?? ttlSeconds, (firstIssuedAt ?? iat) + grantSecondsFor(ttlSeconds) - iat))
  }

/** Lives that marks and floors must outlast. */
export const longestLives = (config: { accessTokenTtlSeconds: number; refreshTokenTtlSeconds: number }) => ({
  // A client may have a longer life of its own, up to the hour that registration allows.
  accessTokenSeconds: Math.max(config.accessTokenTtlSeconds, 3_600),
  grantSeconds: grantSecondsFor(config.refreshTokenTtlSeconds),
  sessionSeconds: SECONDS.session,
})
