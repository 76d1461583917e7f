import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type {} from 'axe-core'
import { expect } from 'chai'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { LOCALES } from '../../src/i18n.ts'
import { serve } from '../http/serve.ts'
import { ODD, SAMPLES, servePages } from './pages-app.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium-headless-shell'

/** Ids never change with theme, language or an operator's own views: conformance tests and password managers use them. */
const FIXED_IDS: Record<string, readonly string[]> = {
  'sign-in': ['login', 'password', 'login-submit'],
  'sign-in-wrong': ['login', 'password', 'login-submit'],
  'sign-in-limited': ['login', 'password', 'login-submit'],
  consent: ['consent-submit'],
  logout: ['logout-confirm'],
  'signed-out': ['signed-out'],
  error: ['error-page'],
}

describe('pages in Chromium', function () {
  this.timeout(60_000)
  let browser: Browser
  let app: Awaited<ReturnType<typeof servePages>>
  let clientApp: Awaited<ReturnType<typeof serve>>
  let contexts: BrowserContext[] = []

  before(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    clientApp = await serve([
      (ctx) => {
        ctx.body = `arrived ${ctx.querystring}`
      },
    ])
    app = await servePages({ redirectUri: `http://localhost:${clientApp.port}/cb` })
  })
  after(async () => {
    await browser?.close()
    await app?.close()
    await clientApp?.close()
  })
  afterEach(async () => {
    for (const context of contexts) await context.close()
    contexts = []
  })

  /** A new browser profile that remembers every complaint: errors, refused resources, policy violations. */
  async function open(options: Parameters<Browser['newContext']>[0] = {}) {
    const context = await browser.newContext({ baseURL: `http://127.0.0.1:${app.port}`, locale: 'en', ...options })
    contexts.push(context)
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      // A page with status 4xx or 5xx is itself "a resource that failed to load".
      if (message.type() === 'error' && !message.location().url.includes('/pages/')) complaints.push(message.text())
      if (/Content Security Policy/.test(message.text())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    return { page, complaints }
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const locale of LOCALES) {
      // Small screens without our script, large ones with it: each page meets both. (axe itself needs JavaScript.)
      for (const [width, hasScript] of [
        [360, false],
        [1280, true],
      ] as const) {
        const script = hasScript ? 'with' : 'without'
        it(`are accessible and clean: ${colorScheme}, ${locale}, ${width} px, ${script} our script`, async () => {
          const { page, complaints } = await open({ colorScheme, locale, viewport: { width, height: 800 } })
          if (!hasScript) await page.route('**/*.js', (route) => route.fulfill({ body: '' }))
          for (const name of Object.keys(SAMPLES)) {
            await page.goto(`/pages/${name}?logo=1`)
            expect(await page.locator('html').getAttribute('lang')).to.equal(locale)
            expect(await violations(page), name).to.deep.equal([])
            expect(complaints, name).to.deep.equal([])
          }
        })
      }
    }
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`are readable on every part of the doorway, and show where fields end: ${colorScheme}`, async () => {
      const { page } = await open({ colorScheme })
      await page.goto('/pages/sign-in')
      const colourOf = async (name: string) =>
        String(await page.evaluate(`getComputedStyle(document.documentElement).getPropertyValue('--${name}').trim()`))
      for (const ground of ['light', 'light-far', 'card', 'sunken']) {
        for (const text of ['ink', 'muted']) {
          expect(contrast(await colourOf(text), await colourOf(ground)), `${text} on ${ground}`).to.be.at.least(4.5)
        }
      }
      // WCAG 2.2, 1.4.11: what is needed to recognise a control has 3:1.
      for (const edge of ['line', 'focus', 'brand', 'alert']) {
        expect(contrast(await colourOf(edge), await colourOf('card')), edge).to.be.at.least(3)
      }
    })
  }

  it('fit 320 px without sideways scroll and without cutting anything off', async () => {
    for (const locale of LOCALES) {
      const { page } = await open({ locale, viewport: { width: 320, height: 640 } })
      for (const name of Object.keys(SAMPLES)) {
        await page.goto(`/pages/${name}?logo=1`)
        expect(await overflowing(page), `${name} ${locale}`).to.deep.equal([])
      }
    }
  })

  it('offer targets of at least 24 px', async () => {
    const { page } = await open({ viewport: { width: 320, height: 640 } })
    for (const name of Object.keys(SAMPLES)) {
      await page.goto(`/pages/${name}`)
      for (const target of await page.locator('a, button, input:not([type=hidden])').all()) {
        const box = await target.boundingBox()
        if (box) expect(Math.min(box.height, box.width), name).to.be.at.least(24)
      }
    }
  })

  it('weigh less than 50 KB each, with everything they load', async () => {
    const { page } = await open()
    for (const name of Object.keys(SAMPLES)) {
      const loads: Promise<Buffer>[] = []
      page.on('response', (response) => loads.push(response.body()))
      await page.goto(`/pages/${name}`)
      page.removeAllListeners('response')
      const bytes = (await Promise.all(loads)).reduce((sum, body) => sum + body.length, 0)
      expect(bytes, name).to.be.within(1_000, 50_000)
    }
  })

  it('keep the ids of the fixed contract, inside forms that post', async () => {
    const { page } = await open({ javaScriptEnabled: false })
    for (const [name, ids] of Object.entries(FIXED_IDS)) {
      await page.goto(`/pages/${name}`)
      for (const id of ids) {
        expect(await page.locator(`[id="${id}"]`).count(), `#${id} on ${name}`).to.equal(1)
        const isMarker = id === 'signed-out' || id === 'error-page'
        const method = await page.locator(`[id="${id}"]`).evaluate((element) => Reflect.get(element, 'form')?.method)
        if (!isMarker) expect(method, `#${id} on ${name}`).to.equal('post')
      }
    }
  })

  it('show foreign text literally', async () => {
    const { page } = await open()
    for (const [name, expected] of Object.entries({ 'sign-in-odd': 2, 'consent-odd': 2, 'error-odd': 1 })) {
      await page.goto(`/pages/${name}`)
      expect(await page.locator('b').count(), name).to.equal(0)
      expect(((await page.locator('main').textContent()) ?? '').split(ODD).length - 1, name).to.be.at.least(expected)
    }
    await page.goto('/pages/sign-in-odd')
    expect(await page.locator('#login').inputValue()).to.equal(ODD)
  })

  describe('sign-in', () => {
    it('puts the focus into the first empty field, or on the error summary, also without JavaScript', async () => {
      for (const javaScriptEnabled of [false, true]) {
        const { page } = await open({ javaScriptEnabled })
        for (const [name, focused] of Object.entries({
          'sign-in': 'login',
          'sign-in-long': 'password',
          'sign-in-wrong': 'summary',
        })) {
          await page.goto(`/pages/${name}`)
          // The browser moves the focus some time after loading.
          await page.locator(`#${focused}:focus`).waitFor({ timeout: 5_000 })
        }
      }
    })

    it('tells password managers and screen readers what each field is', async () => {
      const { page } = await open()
      await page.goto('/pages/sign-in-wrong')
      expect(await attributes(page, '#login')).to.include({
        name: 'login',
        autocomplete: 'username webauthn',
        autocapitalize: 'none',
        spellcheck: 'false',
        'aria-invalid': 'true',
        'aria-describedby': 'summary',
        value: 'person@example.org',
      })
      const password = await attributes(page, '#password')
      expect(password).to.include({ name: 'password', type: 'password', autocomplete: 'current-password' })
      expect(password).not.to.have.property('value')
      expect(await page.locator('[role=alert]').textContent()).to.match(/^\s*Wrong e-mail or password/)
    })

    it('shows the password on demand, and offers that only where it works', async () => {
      const { page } = await open()
      await page.goto('/pages/sign-in')
      const button = page.getByRole('button', { name: 'Show password' })
      await page.locator('#password').fill('abc')
      await button.click()
      expect(await attributes(page, '#password')).to.include({ type: 'text' })
      expect(await button.getAttribute('aria-pressed')).to.equal('true')
      await button.click()
      expect(await attributes(page, '#password')).to.include({ type: 'password' })
      const { page: plain } = await open({ javaScriptEnabled: false })
      await plain.goto('/pages/sign-in')
      expect(await plain.locator('.reveal-button').isVisible()).to.equal(false)
    })

    it('shows the client with its logo, policy and terms', async () => {
      const { page } = await open()
      const answer = await page.goto('/pages/sign-in?logo=1')
      expect(answer?.headers()['content-security-policy']).to.include(
        `img-src 'self' data: http://127.0.0.1:${app.port};`,
      )
      expect(await page.locator('img.client-logo').evaluate((image) => Reflect.get(image, 'naturalWidth'))).to.be.above(
        0,
      )
      expect(await page.locator('main').textContent()).to.include('Lighthouse')
      expect(await page.locator('#client-policy').getAttribute('href')).to.equal('https://lighthouse.example/privacy')
      expect(await page.locator('#client-terms').getAttribute('href')).to.equal('https://lighthouse.example/terms')
    })

    for (const javaScriptEnabled of [false, true]) {
      it(`ends at a client on another origin, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
        const { page, complaints } = await open({ javaScriptEnabled })
        await page.goto('/sign-in/1')
        await page.locator('#login').fill(ODD)
        await page.locator('#password').fill('correct horse')
        await page.locator('#login-submit').click()
        await page.waitForURL(/\/cb/)
        const arrived = new URL(page.url()).searchParams
        expect(arrived.get('login')).to.equal(ODD)
        expect(arrived.get('site')).to.equal('same-origin')
        expect(complaints).to.deep.equal([])
      })
    }

    it('is stopped by the browser at an origin the page did not name', async () => {
      const { page, complaints } = await open()
      await page.goto('/sign-in/forgotten')
      await page.locator('#login').fill('x')
      await page.locator('#password').fill('y')
      const refused = page.waitForEvent('console', (message) => message.text().includes('form-action'))
      await page.locator('#login-submit').click()
      await refused
      expect(complaints.join()).to.include('form-action')
      expect(page.url()).not.to.include('/cb')
    })
  })

  it('switch the language by a link and remember it, without JavaScript', async () => {
    const { page } = await open({ javaScriptEnabled: false })
    await page.goto('/pages/sign-in')
    expect(await page.locator('h1').textContent()).to.equal('Sign in')
    await page.getByRole('link', { name: 'Русский' }).click()
    expect(await page.locator('h1').textContent()).to.equal('Вход')
    await page.goto('/pages/consent')
    expect(await page.locator('h1').textContent()).to.equal('Разрешить доступ?')
    await page.getByRole('link', { name: 'English' }).click()
    expect(await page.locator('h1').textContent()).to.equal('Allow access?')
  })

  it('do not move for those who asked for rest', async () => {
    const { page } = await open({ reducedMotion: 'reduce' })
    await page.goto('/pages/sign-in')
    const moving = await page.evaluate(
      `[...document.querySelectorAll('*')].filter((element) => getComputedStyle(element).transitionDuration !== '0s').length`,
    )
    expect(moving).to.equal(0)
  })
})

/**
 * What axe finds, short enough to read in a failed test. Contrast it cannot judge counts as found inside the card;
 * the few words on the gradient around it have a test of their own.
 */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const found = await page.evaluate(`(async () => {
    const list = (results) => results.flatMap(({ id, nodes }) => nodes.map(({ target: [target] }) => ({ id, target })))
    const { violations, incomplete } = await axe.run()
    const unsure = list(incomplete.filter(({ id }) => id === 'color-contrast'))
      .filter(({ target }) => document.querySelector(target).closest('main'))
    return [...list(violations), ...unsure].map(({ id, target }) => id + ' ' + target)
  })()`)
  return found as string[] // the type of the expression above
}

/** Contrast of two colours, 1 to 21 (WCAG 2.2, relative luminance). */
function contrast(one: string, other: string): number {
  const luminance = (colour: string) => {
    const [red = 0, green = 0, blue = 0] = (colour.match(/[0-9a-f]{2}/gi) ?? []).map((part) => {
      const value = Number.parseInt(part, 16) / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((left, right) => left - right)
  return (light + 0.05) / (dark + 0.05)
}

/** Elements that reach beyond the window, and the page itself when it scrolls sideways. */
async function overflowing(page: Page): Promise<string[]> {
  const found = await page.evaluate(`[...document.querySelectorAll('html, body *')]
    .filter((element) => !element.closest('.unseen, head'))
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5 || element.scrollWidth > Math.max(innerWidth, element.clientWidth))
    .filter((element) => element.tagName !== 'INPUT')
    .map((element) => element.tagName + '.' + element.className)`)
  return found as string[] // the type of the expression above
}

async function attributes(page: Page, selector: string): Promise<Record<string, string>> {
  return page
    .locator(selector)
    .evaluate((element) =>
      Object.fromEntries(element.getAttributeNames().map((name: string) => [name, element.getAttribute(name) ?? ''])),
    )
}
