/** The main job in a real browser: a client on another origin signs a person in and out. */
import { expect } from 'chai'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { ANNA, createAnna } from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'
import { startClientApp } from './client-app.ts'

const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium-headless-shell'

describe('sign-in flow in Chromium', function () {
  this.timeout(60_000)
  let world: World
  let browser: Browser
  const apps: Record<string, Awaited<ReturnType<typeof startClientApp>>> = {}
  let contexts: BrowserContext[] = []

  before(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    world = await startWorld()
    await createAnna(world)
    for (const [id, firstParty] of [
      ['ours', true],
      ['theirs', false],
    ] as const) {
      const app = await startClientApp()
      await world.core.clients.create({
        ...{ id, name: `The ${id} app`, type: 'spa', firstParty },
        redirectUris: [`${app.origin}/callback`],
        postLogoutRedirectUris: [`${app.origin}/signed-out`],
      })
      await app.connectTo(world.issuer, id)
      apps[id] = app
    }
  })
  after(async () => {
    await browser?.close()
    for (const app of Object.values(apps)) await app.close()
    await world?.stop()
  })
  afterEach(async () => {
    for (const context of contexts) await context.close()
    contexts = []
  })

  /** A new profile; `complaints` collects whatever the browser holds against our pages. */
  async function open({ javaScriptEnabled = true } = {}) {
    const context = await browser.newContext({ javaScriptEnabled, locale: 'en' })
    contexts.push(context)
    context.setDefaultTimeout(10_000)
    const complaints: string[] = []
    const openPage = async (): Promise<Page> => {
      const page = await context.newPage()
      page.on('console', (message) => {
        // A refused sign-in answers 4xx, which the console calls a resource that failed to load.
        if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) complaints.push(message.text())
        else if (/Content Security Policy/.test(message.text())) complaints.push(message.text())
      })
      page.on('pageerror', (error) => complaints.push(error.message))
      return page
    }
    return { context, page: await openPage(), openPage, complaints }
  }

  const startAt = (page: Page, app: string, query = '') => page.goto(`${apps[app]?.origin}/start${query}`)
  async function signIn(page: Page, password = ANNA.password): Promise<void> {
    await page.locator('#login').fill(ANNA.login)
    await page.locator('#password').fill(password)
    await page.locator('#login-submit').click()
  }
  const arrives = async (page: Page): Promise<void> => {
    expect(await page.locator('#signed-in').textContent()).to.equal(ANNA.login)
  }

  for (const javaScriptEnabled of [true, false]) {
    describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
      it('signs in, comes back, signs out by the confirmation page, and is signed out', async () => {
        const { page, complaints } = await open({ javaScriptEnabled })
        await startAt(page, 'ours')
        expect(new URL(page.url()).origin).to.equal(world.issuer)
        expect(await page.textContent('body')).to.include('The ours app')
        await signIn(page)
        await arrives(page)
        await startAt(page, 'ours')
        await arrives(page)
        await page.locator('#sign-out').click()
        await page.locator('#logout-confirm').click()
        expect(await page.locator('#goodbye').textContent()).to.equal('signed out')
        await startAt(page, 'ours', '?prompt=none')
        expect(await page.locator('#error').textContent()).to.equal('login_required')
        expect(complaints).to.deep.equal([])
      })

      it('keeps the page and what was typed after a wrong password, but not the password', async () => {
        const { page, complaints } = await open({ javaScriptEnabled })
        await startAt(page, 'ours')
        await signIn(page, 'not her password')
        await page.locator('#summary').waitFor()
        expect(new URL(page.url()).origin).to.equal(world.issuer)
        expect(await page.locator('#login').inputValue()).to.equal(ANNA.login)
        expect(await page.locator('#password').inputValue()).to.equal('')
        await page.locator('#password').fill(ANNA.password)
        await page.locator('#login-submit').click()
        await arrives(page)
        expect(complaints).to.deep.equal([])
      })

      it('asks for consent on behalf of a third party, once, and takes no for an answer', async () => {
        const { page, complaints } = await open({ javaScriptEnabled })
        await startAt(page, 'theirs')
        await signIn(page)
        await page.locator('#consent-deny').click()
        expect(await page.locator('#error').textContent()).to.equal('access_denied')
        await startAt(page, 'theirs')
        await page.locator('#consent-submit').click()
        await arrives(page)
        await startAt(page, 'theirs')
        await arrives(page)
        expect(complaints).to.deep.equal([])
      })

      it('comes back by a form that posts itself', async () => {
        const { page, complaints } = await open({ javaScriptEnabled })
        await startAt(page, 'ours', '?response_mode=form_post')
        await signIn(page)
        if (!javaScriptEnabled) await page.getByRole('button').click()
        await arrives(page)
        expect(complaints).to.deep.equal([])
      })

      it('goes back to the client when the person cancels', async () => {
        const { page, complaints } = await open({ javaScriptEnabled })
        await startAt(page, 'ours')
        await page.locator('#login-cancel').click()
        expect(await page.locator('#error').textContent()).to.equal('access_denied')
        expect(complaints).to.deep.equal([])
      })
    })
  }

  it('lets two tabs of one browser finish side by side, in either order', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { page, openPage, complaints } = await open()
      const tabs = [page, await openPage()]
      for (const [place, tab] of tabs.entries()) await startAt(tab, place === 0 ? 'ours' : 'theirs')
      for (const place of order) {
        const tab = tabs[place]
        if (!tab) throw new Error('there are two tabs')
        await signIn(tab)
        if (place === 1) await tab.locator('#consent-submit').click()
        await arrives(tab)
      }
      expect(complaints).to.deep.equal([])
    }
  })

  it('A090: starts a new session at sign-in, in cookies that scripts cannot read', async () => {
    const { page, context } = await open()
    const sessionOf = async () => (await context.cookies(world.issuer)).find(({ name }) => name === 'usher_session')
    await startAt(page, 'ours')
    const before = await sessionOf()
    await signIn(page)
    await arrives(page)
    const after = await sessionOf()
    expect(after?.value).to.be.a('string').and.not.equal(before?.value)
    for (const cookie of await context.cookies(world.issuer)) {
      expect(cookie, cookie.name).to.include({ httpOnly: true, sameSite: 'Lax' })
    }
    expect(await page.evaluate('document.cookie')).to.equal('')
  })

  it('says nothing about the person in the address bar or to the next site', async () => {
    const { page } = await open()
    const [urls, referrers]: [string[], string[]] = [[], []]
    page.on('request', (request) => {
      urls.push(request.url())
      referrers.push(request.headers().referer ?? '')
    })
    await startAt(page, 'ours')
    await signIn(page)
    await arrives(page)
    expect(urls.join('\n')).not.to.include(encodeURIComponent(ANNA.password)).and.not.include('anna')
    expect(referrers.join('\n')).not.to.include(world.issuer)
  })
})
