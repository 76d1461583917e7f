/**
 * The demonstration: a client application inside the server that plays an outside one. It knows the server only by its
 * issuer and gets its tokens over HTTP like everybody. Never mounted in production.
 */
import type Router from '@koa/router'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { Context } from 'koa'
import { readForm } from '../http/body.ts'
import type { Cookies } from '../http/cookies.ts'
import type { Csrf } from '../http/csrf.ts'
import type { DemoPage, TokenOnPage } from '../http/page-data.ts'
import type { Render } from '../http/render.ts'
import { Refused, type RelyingParty, type Tokens } from './relying-party.ts'
import { VISIT_SECONDS, type Visit, type Visits } from './visits.ts'

export interface DemoDeps {
  relyingParty: RelyingParty
  visits: Visits
  cookies: Cookies
  csrf: Csrf
  render: Render
}

const COOKIE = 'usher_demo'
const HOME = '/demo'

/** A browser with tokens, as the buttons of the page find it. */
interface SignedIn {
  secret: string
  visit: Visit
  tokens: Tokens
}

export function mountDemo(router: Router, deps: DemoDeps): void {
  const { relyingParty, visits, cookies, csrf, render } = deps

  router.get(HOME, async function showDemo(ctx) {
    const secret = cookies.get(ctx, COOKIE)
    const visit = await visits.read(secret)
    render(ctx, 'demo', pageOf(secret, visit))
  })

  router.get(`${HOME}/sign-in`, async function beginSignIn(ctx) {
    const { url, pending } = await relyingParty.begin()
    await remember(ctx, { pending })
    seeOther(ctx, url)
  })

  router.get(`${HOME}/callback`, async function receiveCode(ctx) {
    const { pending } = await visits.take(cookies.get(ctx, COOKIE))
    if (!pending) return showProblem(ctx, new Refused('invalid_state', 'no sign-in is under way in this browser'))
    try {
      // A new cookie: whoever planted the one before must not get at the tokens.
      await remember(ctx, { tokens: await relyingParty.finish(ctx.query, pending), refreshes: 0 })
    } catch (error) {
      return showProblem(ctx, error)
    }
    seeOther(ctx, HOME)
  })

  router.post(`${HOME}/userinfo`, async function callUserinfo(ctx) {
    await whileSignedIn(ctx, async ({ secret, visit, tokens }) => {
      await visits.save(secret, { ...visit, userinfo: await relyingParty.userinfo(tokens.accessToken) })
      seeOther(ctx, HOME)
    })
  })

  router.post(`${HOME}/refresh`, async function refreshTokens(ctx) {
    await whileSignedIn(ctx, async ({ secret, visit, tokens }) => {
      const refreshed = await relyingParty.refresh(tokens)
      await visits.save(secret, { tokens: refreshed, refreshes: (visit.refreshes ?? 0) + 1 })
      seeOther(ctx, HOME)
    })
  })

  router.post(`${HOME}/sign-out`, async function signOut(ctx) {
    await whileSignedIn(ctx, async ({ secret }) => {
      const url = await relyingParty.signOutUrl()
      await visits.take(secret)
      cookies.clear(ctx, COOKIE)
      seeOther(ctx, url)
    })
  })

  async function remember(ctx: Context, visit: Visit): Promise<void> {
    cookies.set(ctx, COOKIE, await visits.begin(visit), { maxAgeSeconds: VISIT_SECONDS })
  }

  /** The frame of every button: our own form, a browser that holds tokens, and a page for whatever is refused. */
  async function whileSignedIn(ctx: Context, act: (browser: SignedIn) => Promise<void>): Promise<void> {
    const { csrf: presented } = await readForm(ctx)
    const secret = cookies.get(ctx, COOKIE) ?? ''
    csrf.check(ctx, bindingOf(secret), presented)
    const visit = await visits.read(secret)
    if (!visit.tokens) return seeOther(ctx, HOME) // its half hour is over
    try {
      await act({ secret, visit, tokens: visit.tokens })
    } catch (error) {
      await visits.take(secret)
      showProblem(ctx, error)
    }
  }

  function showProblem(ctx: Context, error: unknown): void {
    if (!(error instanceof Refused)) throw error
    const problem = { error: error.error, description: error.message }
    render(ctx, 'demo', { ...pageOf(undefined, {}), problem }, { status: 400, self: HOME })
  }

  function pageOf(secret: string | undefined, { tokens, refreshes = 0, userinfo }: Visit): DemoPage {
    const signInHref = `${HOME}/sign-in`
    if (!tokens || secret === undefined) return { signInHref }
    return {
      signInHref,
      signedIn: {
        name: nameIn(tokens.idToken),
        tokens: describe(tokens),
        refreshes,
        userinfo: userinfo === undefined ? undefined : inLines(userinfo),
        csrf: csrf.token(bindingOf(secret)),
      },
    }
  }
}

const bindingOf = (secret: string): string => `demo ${secret}`

function seeOther(ctx: Context, url: string): void {
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(url)
}

function nameIn(idToken: string): string {
  const { name, email, sub = '' } = decodeJwt(idToken)
  return [name, email].find((claim) => typeof claim === 'string' && claim !== '')?.toString() ?? sub
}

function describe({ idToken, accessToken, refreshToken }: Tokens): TokenOnPage[] {
  return [
    tokenOnPage('id', idToken, true),
    tokenOnPage('access', accessToken, true),
    // Its key is not published: to a client it is an opaque value, shown here because this is a demonstration.
    ...(refreshToken === undefined ? [] : [tokenOnPage('refresh', refreshToken, false)]),
  ]
}

function tokenOnPage(kind: TokenOnPage['kind'], value: string, isVerified: boolean): TokenOnPage {
  const payload = decodeJwt(value)
  const expiresAt = new Date((payload.exp ?? 0) * 1000).toISOString().replace(/\.\d+/, '')
  return {
    kind,
    isVerified,
    header: inLines(decodeProtectedHeader(value)),
    payload: inLines(payload),
    value,
    expiresAt,
  }
}

const inLines = (value: unknown): string => JSON.stringify(value, null, 2)
