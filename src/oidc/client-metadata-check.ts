/**
 * The engine's own registration rules, asked when a client is written: left alone it would refuse bad metadata only at
 * run time, on every request of that client.
 */
import { errors, Provider } from 'oidc-provider'
import type { Client } from '../clients/client.ts'
import { usesSecret } from '../clients/client-registration.ts'
import { systemClock } from '../clock.ts'
import { AppError } from '../errors.ts'
import { engineMetadata } from './client-adapter.ts'
import { engineConfiguration } from './configuration.ts'
import type { Keyring } from './keystore.ts'
import { PASSWORD_GRANT } from './password-grant.ts'
import { createResourceServers } from './resource-servers.ts'

export interface ClientMetadataCheckDeps {
  issuer: string
  accessTokenTtlSeconds: number
  refreshTokenTtlSeconds: number
  keyring: Keyring
}

const never = async (): Promise<never> => {
  throw new Error('this engine only judges metadata')
}
const noStore = {
  find: never,
  findByUid: never,
  findByUserCode: never,
  upsert: never,
  consume: never,
  destroy: never,
  revokeByGrantId: never,
}

/** @returns a check that throws AppError bad_request with the engine's sentence */
export function createClientMetadataCheck(deps: ClientMetadataCheckDeps): (client: Client) => Promise<void> {
  const provider = new Provider(
    deps.issuer,
    engineConfiguration({
      ...deps,
      adapter: () => noStore,
      jwks: deps.keyring.engineJwks(),
      cookieKeys: deps.keyring.cookieKeys,
      cookieNames: { session: 'session', interaction: 'interaction', resume: 'resume' },
      clock: systemClock,
      signInClock: systemClock,
      resourceServers: createResourceServers(deps),
      findActiveAccount: never,
      authorizationClaims: never,
      renderError: never,
      renderLogout: never,
      renderSignedOut: never,
    }),
  )
  provider.registerGrantType(PASSWORD_GRANT, never)

  return async (client) => {
    try {
      await provider.Client.validate(engineMetadata(withSomeSecret(client)))
    } catch (error) {
      if (!(error instanceof errors.OIDCProviderError)) throw error
      throw new AppError('bad_request', 400, error.error_description ?? error.message, { cause: error })
    }
  }
}

/** A client is judged before it has a secret; the engine only asks whether there is one. */
const withSomeSecret = (client: Client): Client =>
  usesSecret(client) && client.secretDigest === undefined ? { ...client, secretDigest: 'not yet' } : client
