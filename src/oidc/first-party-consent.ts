/**
 * Which grant an authorization request stands on. A client of the house is not asked about: what it requests and may
 * have is granted as it comes. Everybody else gets what was consented to in this session before.
 */
import type { Client as EngineClient, Grant, KoaContextWithOIDC } from 'oidc-provider'

export async function loadGrant(
  ctx: KoaContextWithOIDC,
  isFirstParty: (client: EngineClient) => boolean,
  refreshTokenTtlSeconds: number,
): Promise<Grant | undefined> {
  const { oidc } = ctx
  const { client, session } = oidc
  if (!client || !session?.accountId) return undefined
  const grantId = oidc.result?.consent?.grantId ?? session.grantIdFor(client.clientId)
  const existing = grantId ? await oidc.provider.Grant.find(grantId) : undefined
  const own = existing?.accountId === session.accountId ? existing : undefined
  if (!isFirstParty(client)) return own && extended(own, refreshTokenTtlSeconds)

  const grant = own ?? new oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId })
  const before = JSON.stringify([grant.openid, grant.resources])
  grantEverythingRequested(ctx, grant)
  const hasChanged = JSON.stringify([grant.openid, grant.resources]) !== before
  if (hasChanged) await grant.save()
  return extended(grant, refreshTokenTtlSeconds)
}

/** All three kinds: a scope left out of any of them would bring the consent page back. */
function grantEverythingRequested(ctx: KoaContextWithOIDC, grant: Grant): void {
  const { oidc } = ctx
  grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(' '))
  if (oidc.requestParamClaims.size > 0) grant.addOIDCClaims([...oidc.requestParamClaims])
  for (const [resource, server] of Object.entries(oidc.resourceServers ?? {})) {
    const scopes = [...oidc.requestParamScopes].filter((scope) => server.scopes.has(scope))
    if (scopes.length > 0) grant.addResourceScope(resource, scopes.join(' '))
  }
}

/** A grant used again must outlive the refresh token it is about to carry. */
async function extended(grant: Grant, refreshTokenTtlSeconds: number): Promise<Grant> {
  if (grant.exp !== undefined && grant.remainingTTL < refreshTokenTtlSeconds) {
    delete grant.exp
    await grant.save()
  }
  return grant
}
