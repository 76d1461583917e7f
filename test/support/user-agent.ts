/**
 * A person's browser without scripts: it keeps cookies, follows redirects within the site, fills forms and presses
 * buttons by id. What leads to another site is handed back: that is for the relying party to read.
 */
import { type Cookie, createCookieJar } from './cookie-jar.ts'
import { controlOf, type Form, formsOf } from './html-form.ts'
import type { Reply } from './http.ts'
import type { Exchange } from './tls.ts'

export interface Page extends Reply {
  url: URL
}

export interface Press {
  /** Texts by the id of their input. */
  fill?: Record<string, string>
  /** The id of the button; without one the page has a single form with a single button, as self-submitting pages do. */
  press?: string
}

export interface UserAgent {
  open(url: string | URL): Promise<Page>
  /** A form of another site that posts to this one. */
  post(url: string | URL, fields: Record<string, string>): Promise<Page>
  submit(page: Page, act?: Press): Promise<Page>
  cookies(): Cookie[]
}

const MAX_REDIRECTS = 10

/** Each one is a fresh browser profile. */
export function createUserAgent(exchange: Exchange): UserAgent {
  const jar = createCookieJar()

  async function load(url: URL, form?: URLSearchParams): Promise<Page> {
    const cookie = jar.headerFor(url)
    const reply = await exchange(url, {
      headers: {
        Accept: 'text/html,application/xhtml+xml;q=0.9',
        ...(cookie === undefined ? {} : { Cookie: cookie }),
        ...(form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }),
      },
      ...(form === undefined ? {} : { method: 'POST', body: form.toString() }),
    })
    jar.take(url, reply.headers['set-cookie'])
    return { ...reply, url }
  }

  async function follow(first: Page): Promise<Page> {
    let page = first
    for (let hops = 0; hops < MAX_REDIRECTS; hops++) {
      const target = redirectOf(page)
      if (target?.origin !== page.url.origin) return page
      // RFC 9700 section 4.12: a 307 would send the credentials of a sign-in form on.
      if (page.status !== 302 && page.status !== 303) throw new Error(`a redirect by ${page.status}`)
      page = await load(target)
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects`)
  }

  return {
    open: async (url) => follow(await load(new URL(url))),
    post: async (url, fields) => follow(await load(new URL(url), new URLSearchParams(fields))),
    async submit(page, { fill = {}, press } = {}) {
      const { form, fields } = filled(page.text, fill, press)
      const action = new URL(form.action, page.url)
      if (form.method === 'POST') return follow(await load(action, fields))
      action.search = fields.toString()
      return follow(await load(action))
    },
    cookies: jar.all,
  }
}

/** Where a page sends the browser by itself; undefined when it does not. */
export const redirectOf = ({ status, headers, url }: Page): URL | undefined =>
  status >= 300 && status < 400 && headers.location !== undefined ? new URL(headers.location, url) : undefined

function filled(html: string, fill: Record<string, string>, press: string | undefined) {
  const { form, button } = pressed(html, press)
  const fields = new URLSearchParams()
  for (const control of form.controls) {
    if (control.name === undefined || (control.type === 'submit' && control !== button)) continue
    fields.append(control.name, (control.id === undefined ? undefined : fill[control.id]) ?? control.value)
  }
  for (const id of Object.keys(fill)) {
    if (!form.controls.some((control) => control.id === id)) throw new Error(`the form has no field with the id ${id}`)
  }
  return { form, fields }
}

function pressed(html: string, press: string | undefined): { form: Form; button: Form['controls'][number] } {
  if (press !== undefined) {
    const { form, control } = controlOf(html, press)
    if (control.type !== 'submit') throw new Error(`${press} does not submit its form`)
    return { form, button: control }
  }
  const [form, ...others] = formsOf(html)
  const buttons = form?.controls.filter(({ type }) => type === 'submit') ?? []
  const [button] = buttons
  if (!form || !button || others.length > 0 || buttons.length > 1)
    throw new Error('the page does not say what to press')
  return { form, button }
}
