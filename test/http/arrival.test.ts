import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { ageOf, noteArrival } from '../../src/http/arrival.ts'

const MS = 40
const IDLE_MS = 500

/** A request that is noted when all before it in this turn of the event loop has been done. */
async function arrivedAfter(work: () => void | Promise<void>): Promise<number> {
  noteArrival({}) // somebody before it, so that this turn is known
  await turn()
  await turn()
  await work()
  const request = {}
  noteArrival(request)
  return ageOf(request)
}

describe('the age of a request', () => {
  it('counts the work that kept it waiting in its socket', async () => {
    const age = await arrivedAfter(() => {
      const end = performance.now() + MS
      while (performance.now() < end);
    })
    expect(age).to.be.at.least(MS)
  })

  it('does not count the time in which nothing was to be done', async () => {
    // A busy machine keeps this process waiting as well, but not for as long as that.
    expect(await arrivedAfter(() => sleep(IDLE_MS))).to.be.lessThan(IDLE_MS / 2)
  })

  it('is nothing for what was never noted', () => {
    expect(ageOf({})).to.equal(0)
  })
})
