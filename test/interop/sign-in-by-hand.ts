/** The part of a flow that belongs to a person: from the authorization URL to the callback, over raw HTTP. */

import { ANNA } from '../support/code-flow.ts'
import { hasId } from '../support/html-form.ts'
import { createUserAgent, redirectOf, type UserAgent } from '../support/user-agent.ts'

/** A browser without scripts. */
export const newBrowser = (): UserAgent =>
  createUserAgent(async (url, { method = 'GET', headers = {}, body } = {}) => {
    const response = await fetch(url, { method, headers, redirect: 'manual', ...(body === undefined ? {} : { body }) })
    const text = await response.text()
    const setCookie = response.headers.getSetCookie()
    return {
      status: response.status,
      headers: {
        ...Object.fromEntries(response.headers),
        ...(setCookie.length > 0 ? { 'set-cookie': setCookie } : {}),
      },
      text,
      json: <T>() => JSON.parse(text) as T,
    }
  })

/** Where the browser ends up at the client. */
export async function signInByHand(browser: UserAgent, authorizationUrl: URL): Promise<URL> {
  let page = await browser.open(authorizationUrl)
  if (hasId(page.text, 'login-submit')) page = await browser.submit(page, { fill: ANNA, press: 'login-submit' })
  if (hasId(page.text, 'consent-submit')) page = await browser.submit(page, { press: 'consent-submit' })
  const callback = redirectOf(page)
  if (!callback) throw new Error(`no way back: ${page.status} ${page.text}`)
  return callback
}
