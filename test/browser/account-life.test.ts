/** The whole life of an account in a real browser, with its codes read from a real mail server. */
import { expect } from 'chai'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { type CodeFlow, createCodeFlow } from '../support/code-flow.ts'
import { type MailServer, startMailServer } from '../support/mail-server.ts'
import { startWorld, type World } from '../support/world.ts'
import { startClientApp } from './client-app.ts'

const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium-headless-shell'

const EMAIL = 'ada@example.org'
const OTHER_EMAIL = 'ada@example.com'
const PASSWORD = 'seven quiet lighthouses'
const NEW_PASSWORD = 'nine rather loud foghorns'

for (const javaScriptEnabled of [true, false]) {
  describe(`the life of an account ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, function () {
    this.timeout(90_000)
    let world: World
    let mail: MailServer
    let browser: Browser
    let app: Awaited<ReturnType<typeof startClientApp>>
    let contexts: BrowserContext[] = []
    let api: CodeFlow

    before(async () => {
      mail = await startMailServer()
      world = await startWorld({ env: { USHER_SMTP_URL: mail.url } })
      browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
      app = await startClientApp()
      const redirectUris = [`${app.origin}/callback`]
      await world.core.clients.create({ id: 'theirs', name: 'Lighthouse', type: 'spa', redirectUris })
      await app.connectTo(world.issuer, 'theirs')
      const redirectUri = 'http://127.0.0.1:1/callback'
      const grantTypes = ['authorization_code', 'refresh_token', 'password'] as const
      const own = { type: 'spa', firstParty: true, grantTypes: [...grantTypes], redirectUris: [redirectUri] } as const
      await world.core.clients.create({ id: 'ours', name: 'Foghorn', scopes: ['openid', 'offline_access'], ...own })
      api = createCodeFlow(world, { id: 'ours', redirectUri })
    })
    after(async () => {
      await browser?.close()
      await app?.close()
      await world?.stop()
      await mail?.close()
    })
    afterEach(async () => {
      for (const context of contexts) await context.close()
      contexts = []
    })

    const complaints: string[] = []
    async function openBrowser(): Promise<Page> {
      const context = await browser.newContext({ baseURL: world.issuer, javaScriptEnabled, locale: 'en' })
      contexts.push(context)
      context.setDefaultTimeout(15_000)
      const page = await context.newPage()
      page.on('console', (message) => {
        const isRefusal = /status of 4\d\d/.test(message.text())
        if (message.type() === 'error' && !isRefusal) complaints.push(message.text())
      })
      page.on('pageerror', (error) => complaints.push(error.message))
      return page
    }

    let read = 0
    /** The next mail to an address; mails come in the order in which they were asked for. */
    async function nextMail(to: string): Promise<{ subject: string; code: string }> {
      read += 1
      const { subject, to: recipients } = await mail.received(read)
      expect(recipients).to.deep.equal([to])
      return { subject, code: /^\d{6}/.exec(subject)?.[0] ?? '' }
    }

    async function signIn(page: Page, password = PASSWORD, login = EMAIL): Promise<void> {
      await page.locator('#login').fill(login)
      await page.locator('#password').fill(password)
      await page.locator('#login-submit').click()
    }
    const heading = (page: Page) => page.locator('h1').textContent()

    it('registers, verifies, signs in, ends sessions, changes everything, and leaves nothing behind', async () => {
      const page = await openBrowser()

      // Register from the sign-in page of an application, and come back to it.
      await page.goto(`${app.origin}/start`)
      await page.locator('#register-link').click()
      await page.locator('#email').fill(EMAIL)
      await page.locator('#password').fill('too short')
      await page.locator('#register-submit').click()
      expect(await page.locator('#password-fault').textContent()).to.equal('Use at least 15 characters.')
      expect(await page.locator('#email').inputValue()).to.equal(EMAIL)
      await page.locator('#password').fill(PASSWORD)
      await page.locator('#first_name').fill('Ada')
      await page.locator('#register-submit').click()
      expect(await page.locator('main').textContent()).to.include(EMAIL)
      const { code } = await nextMail(EMAIL)
      await page.locator('#code').fill('000000' === code ? '000001' : '000000')
      await page.locator('#verify-submit').click()
      expect(await page.locator('#summary').textContent()).to.include('This code does not work')
      await page.locator('#code').fill(`${code.slice(0, 3)} - ${code.slice(3)} `)
      await page.locator('#verify-submit').click()
      expect(await heading(page)).to.equal('Your account is ready')
      await page.locator('#message a.button').click()
      expect(await page.locator('#login').inputValue()).to.equal(EMAIL)
      await page.locator('#password').fill(PASSWORD)
      await page.locator('#login-submit').click()
      await page.locator('#consent-submit').click()
      expect(await page.locator('#signed-in').textContent()).to.equal(EMAIL)

      // A second browser, and an application with tokens of its own.
      const other = await openBrowser()
      await other.goto('/account')
      await signIn(other)
      expect(await other.locator('#account-email').textContent()).to.equal(EMAIL)
      const grantOf = async (password: string, login = EMAIL) =>
        api.post('/oauth2/token', { grant_type: 'password', username: login, password, scope: 'openid offline_access' })
      const tokens = (await grantOf(PASSWORD)).json<{ access_token: string; refresh_token: string }>()
      expect((await api.userinfo(tokens.access_token)).status).to.equal(200)

      await page.goto('/account/sessions')
      expect(await page.locator('.item').count()).to.equal(3)
      expect(await page.locator('.item--current').count()).to.equal(1)
      expect(await page.locator('.item--current button').count()).to.equal(0)
      const current = (await page.locator('.item--current').textContent()) ?? ''
      expect(current).to.include('This device').and.include('127.0.0.1').and.include('Chrome')

      // End the other browser: it is out at once.
      const item = page.locator('.item', { hasNot: page.locator('.seal') }).filter({ hasText: 'Usher' })
      await item.locator('button').click()
      expect(await page.locator('#done').textContent()).to.equal('That session has ended.')
      expect(await page.locator('.item').count()).to.equal(2)
      await other.goto('/account')
      expect(await other.locator('#login-submit').count()).to.equal(1)
      await signIn(other)
      await page.goto('/account/sessions')
      await page.locator('#end-others').click()
      expect(await page.locator('.item').count()).to.equal(1)
      await other.goto('/account/profile')
      expect(await other.locator('#login-submit').count()).to.equal(1)
      expect((await api.userinfo(tokens.access_token)).status).to.equal(401)
      expect((await api.refresh(tokens.refresh_token)).status).to.equal(400)

      // Withdraw the application's access: it must ask again.
      await page.goto('/account/applications')
      expect(await page.locator('.item h2').allTextContents()).to.deep.equal(['Lighthouse'])
      await page.locator('.item button').click()
      expect(await page.locator('#no-applications').count()).to.equal(1)
      await page.goto(`${app.origin}/start`)
      await page.locator('#consent-deny').click()
      expect(await page.locator('#error').textContent()).to.equal('access_denied')

      // Another address: nothing changes before the code comes back.
      await page.goto('/account/email')
      await page.locator('#new_email').fill(OTHER_EMAIL)
      await page.locator('#current_password').fill('not the password')
      await page.locator('#email-submit').click()
      expect(await page.locator('#summary').textContent()).to.include('Wrong password')
      expect(await page.locator('#new_email').inputValue()).to.equal(OTHER_EMAIL)
      await page.locator('#current_password').fill(PASSWORD)
      await page.locator('#email-submit').click()
      const changeMails = [await mail.received(read + 1), await mail.received(read + 2)]
      read += 2
      const toNew = changeMails.find(({ to }) => to[0] === OTHER_EMAIL)
      expect(changeMails.map(({ to }) => to[0]).sort()).to.deep.equal([OTHER_EMAIL, EMAIL])
      await page.goto('/account')
      expect(await page.locator('#account-email').textContent()).to.equal(EMAIL)
      await page.goto('/account/email/code')
      await page.locator('#code').fill(toNew?.subject.slice(0, 6) ?? '')
      await page.locator('#email-confirm').click()
      expect(await page.locator('#current-email').textContent()).to.equal(OTHER_EMAIL)

      // Forget the password: every session and token of before is dead, and the old password with them.
      await other.goto('/account')
      await signIn(other, PASSWORD, OTHER_EMAIL)
      expect(await heading(other)).to.equal('Your account')
      const before = (await grantOf(PASSWORD, OTHER_EMAIL)).json<{ access_token: string; refresh_token: string }>()
      const stranger = await openBrowser()
      await stranger.goto('/account')
      await stranger.locator('#recover-link').click()
      await stranger.locator('#email').fill(OTHER_EMAIL)
      await stranger.locator('#recover-submit').click()
      const { code: resetCode } = await nextMail(OTHER_EMAIL)
      await stranger.locator('#code').fill(resetCode)
      await stranger.locator('#new_password').fill(NEW_PASSWORD)
      await stranger.locator('#recover-confirm').click()
      expect(await heading(stranger)).to.equal('Your new password is set')
      expect((await nextMail(OTHER_EMAIL)).subject).to.equal('Your password was changed')
      expect((await api.userinfo(before.access_token)).status).to.equal(401)
      expect((await api.refresh(before.refresh_token)).status).to.equal(400)
      expect((await grantOf(PASSWORD, OTHER_EMAIL)).status).to.equal(400)
      for (const tab of [page, other]) {
        await tab.goto('/account')
        expect(await tab.locator('#login-submit').count()).to.equal(1)
      }
      await stranger.locator('#message a.button').click()
      expect(await stranger.locator('#login').inputValue()).to.equal(OTHER_EMAIL)
      await signIn(stranger, NEW_PASSWORD, OTHER_EMAIL)
      expect(await heading(stranger)).to.equal('Your account')

      // The failed attempt is on record, and leaving takes everything along.
      await stranger.goto('/account/sign-ins')
      expect(await stranger.locator('.outcome--wrong_password').count()).to.equal(1)
      await stranger.goto('/account/data')
      const [download] = await Promise.all([
        stranger.waitForEvent('download'),
        stranger.locator('#data-export').click(),
      ])
      const copy = JSON.parse(String(Buffer.concat(await (await download.createReadStream()).toArray())))
      expect(copy.account).to.include({ email: OTHER_EMAIL, first_name: 'Ada' })
      await stranger.locator('#confirm').check()
      await stranger.locator('#data-delete').click()
      expect(await heading(stranger)).to.equal('Your account is being deleted')
      await stranger.goto('/account')
      expect(await stranger.locator('#login-submit').count()).to.equal(1)
      await signIn(stranger, NEW_PASSWORD, OTHER_EMAIL)
      expect(await heading(stranger)).to.equal('Your account')

      expect(complaints).to.deep.equal([])
    })
  })
}
