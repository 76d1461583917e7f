/** One authorization code flow through the pages, with every common check on the way. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { JWTPayload } from 'jose'
import { hasId } from '../support/html-form.ts'
import type { Parameters, RelyingParty } from '../support/relying-party.ts'
import type { Page, UserAgent } from '../support/user-agent.ts'
import type { Certification, Person } from './certification.ts'
import {
  checkAuthorizationResponse,
  checkIdToken,
  checkTokenResponse,
  checkUserinfo,
  type TokenResponse,
} from './common-checks.ts'

export interface FlowOptions {
  rp?: RelyingParty
  /** Default: a fresh one. */
  agent?: UserAgent
  /** Beside or in place of the usual ones; undefined leaves one out. */
  params?: Record<string, string | undefined>
  /** Sends the parameters in the opposite order. */
  isReversed?: boolean
  method?: 'GET' | 'POST'
  /** More members of the token request. */
  redeeming?: Parameters
  userinfo?: 'get' | 'post-header' | 'post-body'
}

type PageName = 'sign-in' | 'consent'

/** Where an authorization request led. */
export interface Arrival {
  agent: UserAgent
  sent: Parameters
  /** The pages met on the way, in order. */
  pages: PageName[]
  page: Page
  /** What the relying party got; undefined when the browser ended at a page of the server. */
  response: Parameters | undefined
}

export interface Flow extends Arrival {
  code: string
  tokens: TokenResponse
  idToken: JWTPayload
  userinfo: Record<string, unknown>
}

/** @param plan parameters of every request of a plan, such as its response mode */
export function createFlows(certification: Certification, plan: Parameters = {}) {
  const usual = (rp: RelyingParty): Parameters => ({
    client_id: rp.registration.id,
    redirect_uri: rp.registration.redirectUri,
    response_type: 'code',
    scope: 'openid',
    state: randomBytes(96).toString('base64url'), // 128 characters
    nonce: randomBytes(16).toString('base64url'),
    ...plan,
  })

  /** Sends the request and answers every page as the person would. */
  async function authorize(options: FlowOptions = {}): Promise<Arrival> {
    const { rp = certification.rp.basic, agent = certification.newAgent() } = options
    const sent = merged(usual(rp), options)
    const url = rp.authorizationUrl(sent)
    const first =
      options.method === 'POST' ? await agent.post(`${url.origin}${url.pathname}`, sent) : await agent.open(url)
    const { pages, page } = await answerPages(agent, first, certification.person)
    return { agent, sent, pages, page, response: rp.responseOn(page) }
  }

  async function codeFlow(options: FlowOptions = {}): Promise<Flow> {
    const { rp = certification.rp.basic, redeeming } = options
    const arrival = await authorize(options)
    const { sent, page, response } = arrival
    if (!response) throw new Error(`no authorization response but ${page.status} ${page.url}\n${page.text}`)
    expectTransport(page, sent.response_mode)
    const code = checkAuthorizationResponse(response, certification.issuer, sent.state)
    const tokens = checkTokenResponse(await rp.redeem(code, redeeming))
    const verified = await rp.verifyIdToken(tokens.id_token)
    const requested = requestedClaims(sent)
    checkIdToken(verified, { nonce: sent.nonce, accessToken: tokens.access_token, requested })
    const { payload: idToken } = verified
    const userinfo = checkUserinfo(await rp.userinfo(tokens.access_token, options.userinfo), idToken.sub)
    return { ...arrival, code, tokens, idToken, userinfo }
  }

  return { authorize, codeFlow }
}

export type Flows = ReturnType<typeof createFlows>

/** Signs in and consents for as long as such pages come. */
export async function answerPages(agent: UserAgent, first: Page, { login, password }: Person) {
  const pages: PageName[] = []
  let page = first
  for (let name = nameOf(page); name; name = nameOf(page)) {
    expect(page.status, `${name} page`).to.equal(200)
    expect(pages, `the ${name} page comes once`).to.not.include(name)
    pages.push(name)
    page =
      name === 'consent'
        ? await agent.submit(page, { press: 'consent-submit' })
        : await agent.submit(page, { fill: { login, password }, press: 'login-submit' })
  }
  return { pages, page }
}

function nameOf({ text }: Page): PageName | undefined {
  if (hasId(text, 'login-submit')) return 'sign-in'
  return hasId(text, 'consent-submit') ? 'consent' : undefined
}

function merged(usual: Parameters, { params, isReversed = false }: FlowOptions): Parameters {
  const all = Object.entries({ ...usual, ...params })
  if (isReversed) all.reverse()
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** A response in the mode that was asked for, and its codes stay out of caches. */
function expectTransport(page: Page, mode: string | undefined): void {
  expect(page.status, 'the way of the response').to.be.oneOf(mode === 'form_post' ? [200] : [302, 303])
  expect(page.headers['cache-control'], 'Cache-Control').to.include('no-store')
}

function requestedClaims({ claims = '{}' }: Parameters): string[] {
  const { id_token: idToken = {} } = JSON.parse(claims)
  return Object.keys(idToken)
}
