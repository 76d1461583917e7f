/**
 * The account pages as a client of this server: nobody gets to them but by an ordinary authorization request, so there is
 * one sign-in for everything. What they go by is the session it leaves; its code is never redeemed.
 */
import { createHash } from 'node:crypto'
import type Router from '@koa/router'
import type { Context } from 'koa'
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { BrowserSession } from '../http/account-gate.ts'
import { seeOther } from '../http/see-other.ts'
import { opaqueId } from '../ids.ts'
import { browserSessionId } from '../sessions/session.ts'
import { ROUTES } from './configuration.ts'
import { inOwnTerms } from './engine-errors.ts'
import type { Lineage } from './sign-in-lineage.ts'

export interface AccountSignInDeps {
  clientId: string
  redirectUri: string
}

/** A page below /account, as it stands in an address. */
const PAGE = /^[a-z]+(?:[-/][a-z]+)*$/

export function mountAccountSignIn(router: Router, { clientId, redirectUri }: AccountSignInDeps): void {
  router.get('/account/sign-in', function beginSignIn(ctx) {
    const parameters = new URLSearchParams({
      client_id: clientId,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: 'openid',
      state: pageIn(ctx.query.page),
      // Nobody knows the verifier: the code can be redeemed by no one.
      code_challenge: createHash('sha256').update(opaqueId()).digest('base64url'),
      code_challenge_method: 'S256',
      ...(ctx.query.fresh ? { prompt: 'login' } : {}),
    })
    seeOther(ctx, `${ROUTES.authorization}?${parameters}`)
  })

  router.get('/account/callback', function comeBack(ctx) {
    // Whoever cancels a sign-in does not want the next one.
    if (ctx.query.error !== undefined) return seeOther(ctx, '/')
    const page = pageIn(ctx.query.state)
    seeOther(ctx, page === '' ? '/account' : `/account/${page}`)
  })
}

const pageIn = (text: unknown): string => (typeof text === 'string' && text.length < 40 && PAGE.test(text) ? text : '')

/** Whose session the cookie of the sign-in pages belongs to; undefined when it is over or its account may not sign in. */
export function createCurrentSession(deps: {
  provider: Provider
  findActiveAccount(id: string): Promise<Account | undefined>
}): (ctx: Context) => Promise<BrowserSession<Account> | undefined> {
  const { provider, findActiveAccount } = deps

  return async function currentSession(ctx) {
    // Outside the engine's own routes it makes a context of the request's cookies by itself.
    const found = await inOwnTerms(ctx, () => provider.Session.get(ctx as KoaContextWithOIDC))
    const { accountId, uid, loginTs = 0, signedInAtMs = 0 }: typeof found & Lineage = found
    const account = accountId ? await findActiveAccount(accountId) : undefined
    return account && { account, session: { id: browserSessionId(uid), signedInAtMs }, authTime: loginTs }
  }
}
