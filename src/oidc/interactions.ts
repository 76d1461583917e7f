/**
 * Sign-in and consent: what stands between an authorization request and its answer. Every step of one interaction lives
 * under /sign-in/:uid, because its cookie is sent only there; so two tabs do not disturb each other.
 */
import type Router from '@koa/router'
import type { Context } from 'koa'
import type { ClaimsParameter, Client as EngineClient, Interaction, InteractionResults, Provider } from 'oidc-provider'
import { errors } from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { Credentials } from '../accounts/authentication.ts'
import { type Clock, epochSeconds } from '../clock.ts'
import { AppError } from '../errors.ts'
import { readForm } from '../http/body.ts'
import type { Csrf } from '../http/csrf.ts'
import type { DeviceCookie } from '../http/device-cookie.ts'
import type { SignInPage } from '../http/page-data.ts'
import { remoteAddress } from '../http/remote-address.ts'
import type { Render } from '../http/render.ts'
import type { StepMemory } from '../http/step-memory.ts'
import { PASSWORD_ACR } from './configuration.ts'
import { inOwnTerms } from './engine-errors.ts'
import { clientOnPage } from './engine-pages.ts'
import { CLAIMS_OF_SCOPES } from './scopes.ts'
import type { SignInClock } from './sign-in-clock.ts'

export interface InteractionsDeps {
  provider: Provider
  render: Render
  csrf: Csrf
  device: Pick<DeviceCookie, 'read' | 'keep'>
  steps: Pick<StepMemory, 'read' | 'forget'>
  /** Whether people can register by themselves. */
  mayRegister: boolean
  clock: Clock
  signInClock: SignInClock
  authenticate(credentials: Credentials): Promise<Account>
  findActiveAccount(id: string): Promise<Account | undefined>
}

/** What every step needs to know; loaded once per request. */
interface Step {
  interaction: Interaction
  client: EngineClient
  redirectUri: string
  path: string
}

export function mountInteractions(router: Router, deps: InteractionsDeps): void {
  const { provider, render, csrf, clock } = deps

  router.use('/sign-in/:uid', inOwnTerms)

  router.get('/sign-in/:uid', async function showStep(ctx) {
    const step = await loadStep(ctx)
    if (step.interaction.prompt.name === 'consent') await showConsent(ctx, step)
    else showSignIn(ctx, step, { login: textOf(step.interaction.params.login_hint) || typedBefore(ctx) })
  })

  router.post('/sign-in/:uid', async function signIn(ctx) {
    const step = await loadStep(ctx)
    const { login = '', password = '', csrf: presented } = await readForm(ctx)
    csrf.check(ctx, bindingOf(step), presented)
    await deps.signInClock.catchUp()
    const at = deps.signInClock.now() // before the password is looked at: one changed meanwhile ends this sign-in
    try {
      const from = remoteAddress(ctx)
      const { clientId } = step.client
      const userAgent = ctx.get('User-Agent')
      const device = deps.device.read(ctx)
      const account = await deps.authenticate({ login, password, from, clientId, userAgent, device })
      deps.device.keep(ctx, account.id)
      deps.steps.forget(ctx)
      const ts = epochSeconds(clock)
      await finish(ctx, { login: { accountId: account.id, acr: PASSWORD_ACR, amr: ['pwd'], remember: true, ts, at } })
    } catch (error) {
      showRefusal(ctx, step, login, error)
    }
  })

  router.post('/sign-in/:uid/consent', async function decideConsent(ctx) {
    const step = await loadStep(ctx)
    const { decision, csrf: presented } = await readForm(ctx)
    csrf.check(ctx, bindingOf(step), presented)
    if (decision !== 'allow') return finish(ctx, DENIED)
    await finish(ctx, { consent: { grantId: await grantWhatWasAsked(step) } })
  })

  router.post('/sign-in/:uid/cancel', async function cancel(ctx) {
    const step = await loadStep(ctx)
    const { csrf: presented } = await readForm(ctx)
    csrf.check(ctx, bindingOf(step), presented)
    await finish(ctx, DENIED)
  })

  /** WCAG 2.2, 3.3.7: an address typed to register or to recover is not asked for again. */
  const typedBefore = (ctx: Context): string => deps.steps.read(ctx)?.email ?? ''

  async function loadStep(ctx: Context): Promise<Step> {
    const interaction = await currentInteraction(ctx)
    const client = await provider.Client.find(textOf(interaction.params.client_id))
    if (!client) throw expired()
    const redirectUri = textOf(interaction.params.redirect_uri)
    return { interaction, client, redirectUri, path: `/sign-in/${interaction.uid}` }
  }

  async function currentInteraction(ctx: Context): Promise<Interaction> {
    try {
      return await provider.interactionDetails(ctx.req, ctx.res)
    } catch (error) {
      throw error instanceof errors.SessionNotFound ? expired() : error
    }
  }

  function showSignIn(
    ctx: Context,
    step: Step,
    state: Pick<SignInPage, 'login' | 'error' | 'retryAfterSeconds'>,
    status = 200,
  ) {
    const { interaction, client, path } = step
    const page: SignInPage = {
      ...state,
      action: path,
      cancelAction: `${path}/cancel`,
      csrf: csrf.token(bindingOf(step)),
      client: clientOnPage(client),
      registerHref: deps.mayRegister ? `/register?interaction=${interaction.uid}` : undefined,
      recoverHref: `/recover?interaction=${interaction.uid}`,
      expiresInSeconds: interaction.exp === undefined ? undefined : interaction.exp - epochSeconds(clock),
    }
    render(ctx, 'sign-in', page, { ...optionsOf(step), status })
  }

  /** One page and one text for every wrong pair; what was typed first stays, the password does not. */
  function showRefusal(ctx: Context, step: Step, login: string, error: unknown): void {
    if (!(error instanceof AppError)) throw error
    const kind = REFUSALS.get(error.code)
    if (!kind) throw error
    const { retryAfterSeconds } = error
    if (retryAfterSeconds !== undefined) ctx.set('Retry-After', String(retryAfterSeconds))
    showSignIn(ctx, step, { login, error: kind, retryAfterSeconds }, error.status)
  }

  async function showConsent(ctx: Context, step: Step): Promise<void> {
    const { interaction, client, redirectUri, path } = step
    const account = await deps.findActiveAccount(interaction.session?.accountId ?? '')
    if (!account) throw expired()
    const page = {
      action: `${path}/consent`,
      csrf: csrf.token(bindingOf(step)),
      client: clientOnPage(client),
      account: { name: [account.firstName, account.lastName].filter(Boolean).join(' '), email: account.email },
      scopes: askedScopes(interaction),
      redirectHost: hostOf(redirectUri),
    }
    render(ctx, 'consent', page, optionsOf(step))
  }

  /** Adds what the engine found missing to the grant this session already has with the client. */
  async function grantWhatWasAsked({ interaction, client }: Step): Promise<string> {
    const accountId = interaction.session?.accountId
    if (!accountId || interaction.prompt.name !== 'consent') throw expired()
    const existing = interaction.grantId ? await provider.Grant.find(interaction.grantId) : undefined
    const grant = existing ?? new provider.Grant({ accountId, clientId: client.clientId })
    const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = missingOf(interaction)
    if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '))
    if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims)
    for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
      grant.addResourceScope(resource, scopes.join(' '))
    }
    return grant.save()
  }

  /** 303 and never 307: the credentials of this post must not be sent on (RFC 9700 section 4.12). */
  async function finish(ctx: Context, result: InteractionResults): Promise<void> {
    const returnTo = await provider.interactionResult(ctx.req, ctx.res, result)
    ctx.status = 303
    ctx.redirect(returnTo)
  }
}

const DENIED: InteractionResults = { error: 'access_denied', error_description: 'the request was declined' }

const REFUSALS = new Map<string, NonNullable<SignInPage['error']>>([
  ['invalid_credentials', 'invalid_credentials'],
  ['rate_limited', 'rate_limited'],
  ['temporarily_unavailable', 'unavailable'],
])

interface Missing {
  missingOIDCScope?: string[]
  missingOIDCClaims?: string[]
  missingResourceScopes?: Record<string, string[]>
}

const missingOf = (interaction: Interaction): Missing => interaction.prompt.details as Missing // the engine's consent prompt

/**
 * What the page lists: everything requested when consent is asked for again, else what is new. A single claim (OpenID
 * Connect Core section 5.5) is listed as the scope it is part of.
 */
function askedScopes(interaction: Interaction): string[] {
  const { missingOIDCScope = [], missingOIDCClaims = [], missingResourceScopes = {} } = missingOf(interaction)
  const missing = [
    ...missingOIDCScope,
    ...scopesWith(missingOIDCClaims),
    ...Object.values(missingResourceScopes).flat(),
  ]
  const { scope, claims } = interaction.params
  const all = [...textOf(scope).split(' '), ...scopesWith(requestedClaims(textOf(claims)))]
  return [...new Set(missing.length > 0 ? missing : all)].filter(Boolean)
}

const scopesWith = (claims: readonly string[]): string[] =>
  Object.keys(CLAIMS_OF_SCOPES).filter((scope) => CLAIMS_OF_SCOPES[scope]?.some((claim) => claims.includes(claim)))

/** The engine has checked that the parameter, where there is one, is JSON of the right shape. */
function requestedClaims(parameter: string): string[] {
  const { id_token = {}, userinfo = {} }: ClaimsParameter = JSON.parse(parameter || '{}')
  return [...Object.keys(id_token), ...Object.keys(userinfo)]
}

const bindingOf = ({ interaction }: Step): string => interaction.uid

const optionsOf = ({ interaction, redirectUri, path }: Step) => ({
  formAction: [redirectUri],
  uiLocales: textOf(interaction.params.ui_locales),
  self: path,
})

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const hostOf = (uri: string): string => URL.parse(uri)?.host || uri

const expired = () =>
  new AppError('bad_request', 400, 'This sign-in is no longer valid. Go back to the application and start again.')
