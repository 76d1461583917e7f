/** What every answer must look like while a dependency does not answer, and how to wait until it does again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { hasId } from '../support/html-form.ts'
import type { Reply } from '../support/http.ts'

export function expectUnavailable(reply: Reply, what: string): void {
  expect(reply.status, `${what}: ${reply.text}`).to.equal(503)
  expect(Number(reply.headers['retry-after']), `Retry-After of ${what}`).to.be.at.least(1)
  const body = reply.json()
  expect(body.error, what).to.equal('temporarily_unavailable')
  expect(body, what).not.to.have.property('active')
}

export function expectUnavailablePage(reply: Reply, what: string): void {
  expect(reply.status, `${what}: ${reply.headers.location ?? reply.text}`).to.equal(503)
  expect(Number(reply.headers['retry-after']), `Retry-After of ${what}`).to.be.at.least(1)
  expect(reply.headers, what).not.to.have.property('location')
  if (reply.headers['content-type']?.startsWith('text/html'))
    expect(hasId(reply.text, 'error-page'), what).to.equal(true)
}

/** Asks until the answer is no longer 503. */
export const untilWell = (ask: () => Promise<Reply>): Promise<Reply> => until(ask, ({ status }) => status !== 503)

/** Asks until the answer is the expected one, and fails when it never is. */
export async function until(ask: () => Promise<Reply>, isExpected: (reply: Reply) => boolean): Promise<Reply> {
  for (const end = performance.now() + 8_000; ; await sleep(50)) {
    const reply = await ask()
    if (isExpected(reply)) return reply
    if (performance.now() > end) throw new Error(`never as expected, at last ${reply.status} ${reply.text}`)
  }
}
