/**
 * Forms the engine renders itself (response_mode=form_post, sign-out without a session) end at the client. Chromium
 * applies form-action to the whole chain, so the client's address must be in the policy of exactly these pages.
 */
import type { Middleware } from 'koa'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { allowFormAction } from '../http/security-headers.ts'

export const allowFormTargets: Middleware = async (ctx, next) => {
  await next()
  if (!ctx.oidc || !ctx.response.is('html')) return
  const target = targetOf(ctx as KoaContextWithOIDC) // the engine has put `oidc` on the context
  if (typeof target === 'string') allowFormAction(ctx, [target])
}

/** Only an address that the engine has compared with the client's registered ones. */
function targetOf({ oidc }: KoaContextWithOIDC): unknown {
  if (oidc.route === 'authorization' || oidc.route === 'resume') {
    return oidc.redirectUriCheckPerformed ? oidc.params?.redirect_uri : undefined
  }
  return oidc.route === 'end_session' ? oidc.session?.state?.postLogoutRedirectUri : undefined
}
