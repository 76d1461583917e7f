/** What waits for one listener of a stream: bounded, in order, and dropped with whoever does not keep up. */
import { once } from 'node:events'
import { expect } from 'chai'
import { createEventQueue, type EventQueueOptions } from '../../src/oidc/event-queue.ts'

describe('the events that wait for a listener', () => {
  let closes: number
  beforeEach(() => {
    closes = 0
  })
  const onClose = () => {
    closes += 1
  }
  const make = (options: Partial<EventQueueOptions> = {}) =>
    createEventQueue({ preface: [], maxEvents: 100, maxBytes: 10_000, onClose, ...options })
  const textOf = async (body: AsyncIterable<Buffer>): Promise<string> => {
    let text = ''
    for await (const chunk of body) text += chunk
    return text
  }

  it('come after what is told at first, in their order', async () => {
    const queue = make({ preface: ['a', 'b'] })
    queue.push('c')
    queue.push('d')
    queue.end()
    expect(await textOf(queue.body)).to.equal('abcd')
    expect(closes).to.equal(1)
  })

  it('are sent as soon as somebody reads', async () => {
    const queue = make()
    const reading = once(queue.body, 'data')
    queue.push('now')
    expect(String((await reading)[0])).to.equal('now')
    queue.body.destroy()
  })

  for (const [what, options, text] of [
    ['too many', { maxEvents: 10 }, 'x'],
    ['too large together', { maxBytes: 1_000 }, 'x'.repeat(100)],
  ] as const) {
    it(`cut the listener off when they are ${what}`, async () => {
      const queue = make(options)
      for (let count = 0; count < 10; count += 1) queue.push(text)
      expect(queue.body.destroyed).to.equal(false)
      queue.push(text)
      expect(queue.body.destroyed).to.equal(true)
      await once(queue.body, 'close')
      expect(closes).to.equal(1)
      queue.push(text)
    })
  }

  it('are not taken out of a long preface before there is room', async () => {
    let taken = 0
    const preface = (function* () {
      for (; taken < 100_000; taken += 1) yield 'x'.repeat(1_000)
    })()
    const queue = make({ preface })
    await once(queue.body, 'readable')
    await new Promise((next) => setTimeout(next, 20))
    expect(taken).to.be.below(200)
    queue.body.destroy()
  })

  it('that have become stale are left out, and the others are not', async () => {
    const queue = make()
    queue.push('stale', { freshMs: 1 })
    queue.push('lasting')
    await new Promise((next) => setTimeout(next, 10))
    queue.end()
    expect(await textOf(queue.body)).to.equal('lasting')
  })

  it('end with the fault of what was to be told at first', async () => {
    const preface = (async function* () {
      yield 'a'
      throw new Error('the store is gone')
    })()
    const queue = make({ preface })
    const failure = await textOf(queue.body).catch((error: Error) => error.message)
    expect(failure).to.equal('the store is gone')
    expect(closes).to.equal(1)
  })
})
