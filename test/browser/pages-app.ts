import Router from '@koa/router'
import type { Context } from 'koa'
import { mountAssets } from '../../src/http/assets.ts'
import { readForm } from '../../src/http/body.ts'
import { createCsrf } from '../../src/http/csrf.ts'
import { createErrorHandler } from '../../src/http/error-handler.ts'
import type { PageData, PageName } from '../../src/http/page-data.ts'
import { createRequestId } from '../../src/http/request-id.ts'
import { createSecurityHeaders } from '../../src/http/security-headers.ts'
import { makeLog, makeRenderer, serve } from '../http/serve.ts'
import { ACCOUNT_SAMPLES } from './account-samples.ts'

/** Text that breaks pages which forget to escape or to wrap. */
export const ODD = 'Ö & Ж <b>"\'</b>'

const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" fill="#20304f"/>
<path d="M17 32l1-18h4l1 18z" fill="#fff"/><path d="M20 11L4 6v10z" fill="#f5c451"/><circle cx="20" cy="11" r="3" fill="#f5c451"/></svg>`

const client = {
  name: 'Lighthouse',
  uri: 'https://lighthouse.example/',
  policyUri: 'https://lighthouse.example/privacy',
  tosUri: 'https://lighthouse.example/terms',
}
const signIn = { action: '/sign-in/1', cancelAction: '/sign-in/1/cancel', csrf: 'token', login: '', client }
const form =
  '<form id="op.logoutForm" method="post" action="/oauth2/logout/confirm"><input type="hidden" name="xsrf" value="x"/></form>'
const long = 'Wirtschaftsprüfungsgesellschaftsverwaltungsportal'
const failed = { requestId: 'Zk3xq0b7Wm5fTn1d' }

type Sample = { [P in PageName]: [page: P, data: PageData[P], status?: number] }[PageName]

/** Every page in the states people meet, by the name under which the app of the browser tests shows it. */
export const SAMPLES: Record<string, Sample> = {
  'sign-in': ['sign-in', signIn],
  'sign-in-wrong': ['sign-in', { ...signIn, login: 'person@example.org', error: 'invalid_credentials' }, 401],
  'sign-in-limited': [
    'sign-in',
    { ...signIn, error: 'rate_limited', retryAfterSeconds: 290, expiresInSeconds: 3600 },
    429,
  ],
  'sign-in-odd': ['sign-in', { ...signIn, login: ODD, error: 'unavailable', client: { name: ODD } }, 503],
  'sign-in-long': ['sign-in', { ...signIn, login: 'a'.repeat(250), client: { ...client, name: long.repeat(2) } }],
  consent: [
    'consent',
    {
      action: '/sign-in/1/consent',
      csrf: 'token',
      client,
      account: { name: 'Example Person', email: 'person@example.org' },
      scopes: ['openid', 'profile', 'email', 'offline_access', 'orders:read'],
      redirectHost: 'app.lighthouse.example',
    },
  ],
  'consent-odd': [
    'consent',
    {
      action: '/sign-in/1/consent',
      csrf: 'token',
      client: { name: ODD },
      account: { email: `${'a'.repeat(60)}@${long}.example` },
      scopes: ['address', 'phone', ODD, `${long}:${long}`],
      redirectHost: `${long}.${long}.example`,
    },
  ],
  logout: ['logout', { form }],
  'logout-client': ['logout', { form, client }],
  'signed-out': ['signed-out', { client }],
  'signed-out-stayed': ['signed-out', { client, isSignedIn: true }],
  error: [
    'error',
    {
      ...failed,
      status: 400,
      error: 'invalid_redirect_uri',
      description: "redirect_uri did not match any of the client's registered redirect_uris",
    },
    400,
  ],
  'error-odd': [
    'error',
    { ...failed, status: 500, error: 'server_error', description: ODD, home: '/', retryAction: '/x' },
    500,
  ],
  message: ['message', { key: 'password_set', href: '/' }],
  ...ACCOUNT_SAMPLES,
}

/** What a person typed and where the form leads: the two ends of a sign-in. */
export interface PagesAppOptions {
  /** The client's redirect URI; the pages allow their forms to end there. */
  redirectUri?: string
}

/** Serves the samples through the middleware and renderer of the real server. */
export async function servePages({ redirectUri }: PagesAppOptions = {}) {
  const issuer = 'http://127.0.0.1'
  const { assets, render } = makeRenderer(issuer)
  const csrf = createCsrf({ secret: 'x'.repeat(43), issuer })
  const router = new Router()
  mountAssets(router, assets)
  router.get('/logo', (ctx) => {
    ctx.type = 'image/svg+xml'
    ctx.body = LOGO
  })
  router.get('/pages/:name', (ctx) => showSample(ctx, ctx.params.name ?? ''))
  // The real thing in small: a form, a guard, a redirect to another origin.
  router.get('/sign-in/:uid', (ctx) => {
    const options = redirectUri && ctx.params.uid !== 'forgotten' ? { formAction: [redirectUri] } : {}
    render(ctx, 'sign-in', { ...signIn, action: ctx.path, csrf: csrf.token('1') }, options)
  })
  router.post('/sign-in/:uid', async (ctx) => {
    const form = await readForm(ctx)
    csrf.check(ctx, '1', form.csrf)
    ctx.status = 303
    ctx.redirect(`${redirectUri}?${new URLSearchParams({ login: form.login ?? '', site: ctx.get('Sec-Fetch-Site') })}`)
  })

  function showSample(ctx: Context, name: string): void {
    const sample = SAMPLES[name]
    if (!sample) return
    const [page, data, status = 200] = sample
    if (ctx.query.logo && 'client' in data && data.client) {
      const logoUri = `http://${ctx.req.headers.host}/logo`
      render(ctx, page, { ...data, client: { ...data.client, logoUri } } as PageData[typeof page], { status })
    } else render(ctx, page, data, { status })
  }

  return serve(
    [createRequestId(), createErrorHandler({ logger: makeLog().logger, render }), createSecurityHeaders({ issuer })],
    (app) => app.use(router.routes()),
  )
}
