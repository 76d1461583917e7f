/** How often the use of a session is written. */
import { expect } from 'chai'
import type { NewSession } from '../../src/sessions/session.ts'
import type { SessionStore } from '../../src/sessions/session-store.ts'
import { createSessions } from '../../src/sessions/sessions.ts'

const MINUTE_MS = 60_000
const never = () => Promise.reject(new Error('nobody asks for this'))

function setUp() {
  const saved: NewSession[] = []
  let isDown = false
  let nowMs = 1_700_000_000_000
  const store: SessionStore = {
    async save(session) {
      if (isDown) throw new Error('down')
      saved.push(session)
    },
    page: never,
    remove: never,
  }
  const sessions = createSessions({
    store,
    areAlive: never,
    end: never,
    revokeSubject: never,
    note: never,
    clientNameOf: never,
    clock: { now: () => nowMs },
  })
  return {
    saved,
    sessions,
    pass: (ms: number) => {
      nowMs += ms
    },
    breakDown: (isBroken: boolean) => {
      isDown = isBroken
    },
  }
}

const session = (id: string, accountId = 'anna'): NewSession => ({
  id,
  accountId,
  clientId: 'app',
  address: '192.0.2.1',
  userAgent: '',
  signedInAtMs: 0,
  ttlSeconds: 3_600,
})

describe('the last use of a session', () => {
  it('is written at the first sight, and then once a minute however often the session is used', async () => {
    const { saved, sessions, pass } = setUp()
    for (let second = 0; second < 180; second += 1) {
      await sessions.remember(session('s.one'))
      pass(1_000)
    }
    expect(saved).to.have.lengthOf(3)
  })

  it('is written for each session and each account', async () => {
    const { saved, sessions } = setUp()
    await sessions.remember(session('s.one'))
    await sessions.remember(session('s.two'))
    await sessions.remember(session('s.one', 'bob'))
    expect(saved.map(({ accountId, id }) => `${accountId} ${id}`)).to.deep.equal([
      'anna s.one',
      'anna s.two',
      'bob s.one',
    ])
  })

  it('keeps a session on the list as long as its tokens may live when the next use is not written', async () => {
    const { saved, sessions } = setUp()
    await sessions.remember(session('s.one'))
    expect(saved[0]?.ttlSeconds).to.equal(3_600 + MINUTE_MS / 1_000)
  })

  it('is written at the next use when it could not be written', async () => {
    const { saved, sessions, breakDown } = setUp()
    breakDown(true)
    let failure: unknown
    await sessions.remember(session('s.one')).catch((error: unknown) => {
      failure = error
    })
    expect(failure).to.be.an('error')
    breakDown(false)
    await sessions.remember(session('s.one'))
    expect(saved).to.have.lengthOf(1)
  })

  it('is written again after the clock was set back', async () => {
    const { saved, sessions, pass } = setUp()
    await sessions.remember(session('s.one'))
    pass(-MINUTE_MS)
    await sessions.remember(session('s.one'))
    expect(saved).to.have.lengthOf(2)
  })
})
