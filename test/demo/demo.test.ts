import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect } from 'chai'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { LOCALES } from '../../src/i18n.ts'
import { openRedis } from '../../src/storage/redis.ts'
import { freshRedisPrefix, keysBelow, storeUrl } from '../support/database.ts'
import { send } from '../support/http.ts'
import { startServer, startWorld, type World } from '../support/world.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium-headless-shell'
const PERSON = { email: 'person@example.org', password: 'a lamp in the doorway' }
const JWS = /eyJ[\w-]+\.[\w-]+\.[\w-]+/

describe('start page and demonstration', function () {
  this.timeout(60_000)
  let world: World
  let browser: Browser
  let contexts: BrowserContext[] = []

  before(async () => {
    world = await startWorld()
    await world.core.accounts.create({ ...PERSON, firstName: 'Ö <b>', lastName: 'Person', emailVerified: true })
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  })
  after(async () => {
    await browser?.close()
    await world?.stop()
  })
  afterEach(async () => {
    for (const context of contexts) await context.close()
    contexts = []
  })

  /** A new browser profile, without JavaScript unless told; `visited` collects every address it asks for. */
  async function open(options: Parameters<Browser['newContext']>[0] = {}) {
    const context = await browser.newContext({
      baseURL: world.issuer,
      locale: 'en',
      javaScriptEnabled: false,
      ...options,
    })
    contexts.push(context)
    const page = await context.newPage()
    const visited: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => visited.push(request.url()))
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    return { context, page, visited, complaints }
  }

  async function signIn(page: Page): Promise<void> {
    await page.goto('/')
    await page.locator('#home-demo').click()
    await page.locator('#demo-sign-in').click()
    await page.locator('#login').fill(PERSON.email)
    await page.locator('#password').fill(PERSON.password)
    await page.locator('#login-submit').click()
    await page.waitForURL('**/demo')
  }

  const claimsOf = async (page: Page, kind: string) =>
    JSON.parse((await page.locator(`#${kind}-token .token-payload`).textContent()) ?? '')
  const encoded = async (page: Page, kind: string) => page.locator(`#${kind}-token .token-value`).textContent()

  it('leads from the start page through the sign-in to verified tokens, and puts no token into an address', async () => {
    const { page, visited, complaints } = await open()
    await signIn(page)
    expect(await page.locator('.lead strong').textContent()).to.equal('Ö <b> Person')
    expect(await page.locator('.seal--verified').count()).to.equal(2)
    expect(await claimsOf(page, 'id')).to.include({ iss: world.issuer, aud: 'demo', email: PERSON.email })
    expect(await claimsOf(page, 'access')).to.include({ iss: world.issuer, client_id: 'demo' })
    expect(await claimsOf(page, 'refresh')).to.include({ iss: world.issuer, client_id: 'demo' })
    expect(visited.filter((url) => JWS.test(url))).to.deep.equal([])
    expect(complaints).to.deep.equal([])
  })

  it('asks userinfo and refreshes: every token is new and the answers are shown', async () => {
    const { page } = await open()
    await signIn(page)
    await page.locator('#demo-userinfo').click()
    const userinfo = JSON.parse((await page.locator('#demo-userinfo-answer pre').textContent()) ?? '')
    expect(userinfo).to.include({ email: PERSON.email, sub: (await claimsOf(page, 'id')).sub })
    const before = await Promise.all(['id', 'access', 'refresh'].map((kind) => encoded(page, kind)))
    await page.locator('#demo-refresh').click()
    expect(await page.locator('#demo-refreshes').textContent()).to.include('Refreshed 1 time')
    const after = await Promise.all(['id', 'access', 'refresh'].map((kind) => encoded(page, kind)))
    for (const [place, value] of after.entries()) expect(value).not.to.equal(before[place])
  })

  it('signs out at the server too: the next sign-in asks for the password again', async () => {
    const { page, context, visited } = await open()
    await signIn(page)
    await page.locator('#demo-sign-out').click()
    await page.locator('#logout-confirm').click()
    await page.waitForURL('**/demo')
    expect(await page.locator('#demo-sign-in').count()).to.equal(1)
    expect((await context.cookies()).map(({ name }) => name)).not.to.include('usher_demo')
    expect(visited.filter((url) => JWS.test(url))).to.deep.equal([])
    await page.locator('#demo-sign-in').click()
    expect(await page.locator('#password').count()).to.equal(1)
  })

  it('says what went wrong when the person declines, and starts anew', async () => {
    const { page } = await open()
    await page.goto('/demo')
    await page.locator('#demo-sign-in').click()
    await page.locator('#login-cancel').click()
    expect(await page.locator('#demo-problem').textContent()).to.include('access_denied')
    expect(await page.locator('#demo-sign-in').count()).to.equal(1)
  })

  it('shows its half hour of tokens to no other browser, and keeps none of them readable in the store', async () => {
    const { page } = await open()
    await signIn(page)
    const { page: other } = await open()
    await other.goto('/demo')
    expect(await other.locator('#demo-sign-in').count()).to.equal(1)
    const redis = await openRedis(storeUrl())
    try {
      const keys = await keysBelow(redis, `${world.env.USHER_REDIS_PREFIX}dv:`)
      expect(keys).not.to.deep.equal([])
      for (const key of keys) expect(await redis.get(key)).to.match(/^[\w-]+$/)
    } finally {
      redis.disconnect()
    }
  })

  it('never believes an answer it did not ask for, of another request or of another issuer', async () => {
    const { page, context } = await open()
    const problemAt = async (address: string) => {
      await page.goto(address)
      return page.locator('#demo-problem').textContent()
    }
    expect(await problemAt('/demo/callback?code=x&state=y')).to.include('invalid_state')
    await page.goto('/demo/sign-in')
    expect(await problemAt(`/demo/callback?code=x&state=y&iss=${world.issuer}`)).to.include('invalid_state')

    await page.goto('/demo')
    const [request] = await Promise.all([
      page.waitForRequest(/oauth2\/authorize/),
      page.locator('#demo-sign-in').click(),
    ])
    const state = new URL(request.url()).searchParams.get('state')
    expect(await problemAt(`/demo/callback?code=x&state=${state}&iss=https://evil.example`)).to.include(
      'invalid_issuer',
    )
    expect((await context.cookies()).find(({ name }) => name === 'usher_demo')).to.include({
      httpOnly: true,
      sameSite: 'Lax',
    })
  })

  it('refuses its buttons to other sites and to forms without the token of this browser', async () => {
    const { page, context } = await open()
    await signIn(page)
    const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
    const csrf = (await page.locator('#demo-refresh').locator('xpath=../input').getAttribute('value')) ?? ''
    const press = (headers: Record<string, string>, form: Record<string, string>) =>
      send(world.servers[0]?.address ?? '', world.issuer, '/demo/refresh', { headers, form })
    expect((await press({ cookie }, { csrf: 'wrong' })).status).to.equal(403)
    expect((await press({ cookie, 'Sec-Fetch-Site': 'cross-site' }, { csrf })).status).to.equal(403)
    expect((await press({}, { csrf })).status).to.equal(403)
    expect((await press({ cookie }, { csrf })).status).to.equal(303)
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const locale of LOCALES) {
      it(`is accessible, fits 320 px and weighs little: ${colorScheme}, ${locale}`, async () => {
        const viewport = { width: 320, height: 640 }
        const { page } = await open({ colorScheme, locale, viewport, javaScriptEnabled: true })
        await page.goto('/')
        await check(page)
        await signIn(page)
        await page.locator('#demo-userinfo').click()
        await check(page)
        await page.goto('/demo/callback?state=x')
        await check(page)
        expect(await page.locator('html').getAttribute('lang')).to.equal(locale)
      })
    }
  }

  it('does not exist in production, where the start page stands alone', async () => {
    const server = await startServer({
      ...world.env,
      NODE_ENV: 'production',
      USHER_ISSUER: 'https://id.example.org',
      USHER_ALLOW_EMBEDDED: '1',
      USHER_REDIS_URL: '',
      USHER_REDIS_PREFIX: freshRedisPrefix(),
      USHER_PORT: '0',
    })
    try {
      const port = server.lines.join('\n').match(/listens\s+\S+:(\d+)/)?.[1]
      const ask = (path: string) =>
        send(`http://127.0.0.1:${port}`, 'https://id.example.org', path, { headers: { Accept: 'text/html' } })
      expect((await ask('/demo')).status).to.equal(404)
      expect((await ask('/demo/sign-in')).status).to.equal(404)
      const home = await ask('/')
      expect(home.status).to.equal(200)
      expect(home.text).to.include('https://id.example.org').and.not.include('/demo')
    } finally {
      await server.stop()
    }
  })
})

/** No violation of WCAG that axe can find, nothing wider than the window, less than 50 KB of document. */
async function check(page: Page): Promise<void> {
  await page.evaluate(axe)
  const found = await page.evaluate(`axe.run().then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ target: [target] }) => id + ' ' + target)))`)
  expect(found, page.url()).to.deep.equal([])
  expect(await page.evaluate('document.documentElement.scrollWidth'), page.url()).to.be.at.most(320)
  expect((await page.content()).length).to.be.below(50_000)
}
