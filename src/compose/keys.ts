/** The keys of the settings, and what is derived from them. */
import { createHmac } from 'node:crypto'
import type { Config } from '../config.ts'
import { rotateKeys } from '../oidc/key-rotation.ts'
import { type Keyring, listKeys, openKeyring, watchKeyring } from '../oidc/keystore.ts'
import { longestLives } from '../oidc/lives.ts'

/** How long services may keep the published keys; a new key is published that long before it signs. */
export const JWKS_CACHE_SECONDS = 300

/** The keys directory of the settings. */
export const keysOf = (config: Config) => ({
  open: () => openKeyring({ dir: config.keysDir, production: config.production, secrets: config }),
  watch: (onChange: () => void) => watchKeyring(config.keysDir, onChange),
  list: () => listKeys(config.keysDir),
  rotate: ({ force }: { force: boolean }) =>
    rotateKeys(config.keysDir, {
      longestTokenSeconds: longestLives(config).grantSeconds,
      jwksCacheSeconds: JWKS_CACHE_SECONDS,
      force,
    }),
})

/** Keys for separate purposes. They stay when keys are rotated: a page open meanwhile can still be sent. */
export function derived({ pepper }: Keyring, purpose: string): string {
  return createHmac('sha256', pepper).update(`usher ${purpose}`).digest('base64url')
}
