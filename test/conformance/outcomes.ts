/** The ends of a request that are no success: an error for the relying party, or a page for the person. */
import { expect } from 'chai'
import { hasId, textOf } from '../support/html-form.ts'
import { type Page, redirectOf } from '../support/user-agent.ts'
import type { Arrival } from './code-flow.ts'

/** RFC 6749 section 4.1.2.1 and RFC 9207: the error, the state as it was sent, the issuer, and nothing else. */
export function expectErrorResponse(
  { response, sent, page }: Arrival,
  issuer: string,
  errors: readonly string[],
): void {
  if (!response) throw new Error(`no error response but ${page.status} ${page.url}\n${page.text}`)
  const { error, error_description: _, ...rest } = response
  expect(error, 'error').to.be.oneOf([...errors])
  expect(rest, 'error response').to.deep.equal({ state: sent.state, iss: issuer })
}

/** The page of a request whose redirect URI is not proven: nobody is sent anywhere. */
export function expectErrorPage(page: Page, error: string): void {
  expect(redirectOf(page), 'a redirect').to.equal(undefined)
  expect([page.status, hasId(page.text, 'error-page')], page.text).to.deep.equal([400, true])
  expect(page.headers['content-type']).to.match(/^text\/html(;|$)/)
  expect(textOf(page.text, 'error-code')).to.equal(error)
  expect(textOf(page.text, 'error-description'), 'description').to.be.a('string').that.is.not.equal('')
  expect(textOf(page.text, 'request-id'), 'request id').to.equal(page.headers['x-request-id'])
}
