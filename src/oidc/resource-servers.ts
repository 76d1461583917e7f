/**
 * Resource servers (RFC 8707): for whom an access token is. Every client has a default, its own audience or this server's
 * API, so that every access token is a signed JWT with an audience whether or not the client names a resource.
 */
import { type Client as EngineClient, errors, type ResourceServer } from 'oidc-provider'
import { ACCESS_TOKEN_TTL, API_SCOPES, AUDIENCE, oidcScopesOf } from './client-adapter.ts'

export interface ResourceServersDeps {
  issuer: string
  accessTokenTtlSeconds: number
}

export type ResourceServers = ReturnType<typeof createResourceServers>

export function createResourceServers(deps: ResourceServersDeps) {
  /** The audience of tokens for this server's own API. */
  const ownAudience = `${deps.issuer}/api/v1`
  const defaultOf = (client: EngineClient): string => stringOr(client[AUDIENCE], ownAudience)

  return {
    ownAudience,
    defaultOf,

    /**
     * What the engine needs to know of a resource a client asks for: its own default, or this server's API.
     * The scope listed here is the only guard on API scopes: the engine grants what the resource server offers. It
     * guards those of OpenID itself, but not for a client that is registered for none of them.
     */
    infoFor(resource: string, client: EngineClient, requestedOidcScopes: ReadonlySet<string>): ResourceServer {
      const isDefault = resource === defaultOf(client)
      if (!isDefault && resource !== ownAudience) throw new errors.InvalidTarget()
      if (client.scope === undefined && requestedOidcScopes.size > 0) {
        throw new errors.InvalidScope('requested scope is not allowed', [...requestedOidcScopes].join(' '))
      }
      const apiScopes = Array.isArray(client[API_SCOPES]) ? client[API_SCOPES].map(String) : []
      // `openid` must be among a token's scopes for userinfo, which takes only tokens for the default audience.
      const scopes = isDefault ? [...oidcScopesOf(client), ...apiScopes] : apiScopes
      return {
        audience: resource,
        scope: scopes.join(' '),
        accessTokenFormat: 'jwt',
        accessTokenTTL: numberOr(client[ACCESS_TOKEN_TTL], deps.accessTokenTtlSeconds),
        jwt: { sign: { alg: 'ES256' } },
      }
    },
  }
}

const stringOr = (value: unknown, fallback: string): string => (typeof value === 'string' ? value : fallback)
const numberOr = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback)
