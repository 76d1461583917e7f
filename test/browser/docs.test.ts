/**
 * The pages about the API in a real browser. Swagger UI and ReDoc are other people's pages: what axe says of them is theirs
 * to mend, so it is not asked here; what they load and run is ours to watch.
 */
import { expect } from 'chai'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { ANNA, createAnna } from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'

const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium-headless-shell'

describe('the pages about the API in Chromium', function () {
  this.timeout(60_000)
  let world: World
  let browser: Browser
  let contexts: BrowserContext[] = []

  before(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    world = await startWorld()
    await createAnna(world)
  })
  after(async () => {
    await browser?.close()
    await world?.stop()
  })
  afterEach(async () => {
    for (const context of contexts) await context.close()
    contexts = []
  })

  /** A new profile: what the browser holds against any page of it, and where its requests went. */
  async function open() {
    const context = await browser.newContext({ locale: 'en', viewport: { width: 1280, height: 1000 } })
    contexts.push(context)
    context.setDefaultTimeout(15_000)
    const complaints: string[] = []
    const origins = new Set<string>()
    context.on('page', (page) => {
      page.on('console', (message) => {
        if (message.type() === 'error' || /Content Security Policy/.test(message.text()))
          complaints.push(message.text())
      })
      page.on('pageerror', (error) => complaints.push(error.message))
    })
    context.on('request', (request) => {
      const { origin, protocol } = new URL(request.url())
      if (protocol.startsWith('http')) origins.add(origin)
    })
    return { context, page: await context.newPage(), complaints, origins }
  }

  async function authorize(page: Page): Promise<void> {
    await page.locator('.auth-wrapper > .btn.authorize').click()
    const flow = page.locator('.auth-container', { hasText: 'authorizationCode' })
    await flow.locator('input[type=checkbox]').check()
    const [popup] = await Promise.all([page.waitForEvent('popup'), flow.locator('button.authorize').click()])
    await popup.locator('#login').fill(ANNA.login)
    await popup.locator('#password').fill(ANNA.password)
    await Promise.all([popup.waitForEvent('close'), popup.locator('#login-submit').click()])
    await flow.getByText('Authorized').first().waitFor()
    await page.locator('.btn-done').first().click()
  }

  it('sign a person in by code and PKCE, and call the API as that person', async () => {
    const { page, complaints, origins } = await open()
    await page.goto(`${world.issuer}/docs`)
    await authorize(page)
    const operation = page.locator('#operations-My_account-getMe')
    await operation.locator('.opblock-summary').click()
    await operation.locator('.try-out__btn').click()
    await operation.locator('button.execute').click()
    const answer = operation.locator('.live-responses-table .response')
    await answer.waitFor()
    expect(await answer.locator('.response-col_status').innerText()).to.match(/^200/)
    expect(await answer.locator('.response-col_description').innerText()).to.contain(ANNA.login)
    expect(complaints).to.deep.equal([])
    expect([...origins]).to.deep.equal([world.issuer])
  })

  it('show the reference, whose search works, without a complaint of the browser', async () => {
    const { page, complaints, origins } = await open()
    await page.goto(`${world.issuer}/redoc`)
    expect(await page.locator('h1').first().innerText()).to.match(/^Usher API/)
    await page.locator('input.search-input').fill('password reset')
    await page.locator('[data-role="search:results"] li').first().waitFor()
    expect(complaints).to.deep.equal([])
    expect([...origins]).to.deep.equal([world.issuer])
  })

  it('say what went wrong when a person does not sign in', async () => {
    const { page } = await open()
    await page.goto(`${world.issuer}/docs`)
    await page.locator('.auth-wrapper > .btn.authorize').click()
    const flow = page.locator('.auth-container', { hasText: 'authorizationCode' })
    const [popup] = await Promise.all([page.waitForEvent('popup'), flow.locator('button.authorize').click()])
    await popup.locator('#login').waitFor()
    await Promise.all([popup.waitForEvent('close'), popup.locator('#login-cancel').click()])
    await flow.locator('.errors').waitFor()
  })

  it('are linked from the start page', async () => {
    const { page } = await open()
    await page.goto(world.issuer)
    await page.locator('#home-docs').click()
    await page.locator('.swagger-ui .info').waitFor()
  })
})
