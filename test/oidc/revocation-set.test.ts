/** What is in force, in memory. */
import { expect } from 'chai'
import { isBelow } from '../../src/oidc/revocation.ts'
import { decodeRevoked, encodeRevoked, markOf, type Origin, type Revoked } from '../../src/oidc/revocation-entry.ts'
import { createRevocationSet } from '../../src/oidc/revocation-set.ts'

const NOW = 1_800_000_000_000

let seq = 0
const revoked = (part: Partial<Revoked> & Pick<Revoked, 'kind' | 'id'>): Revoked => ({
  notBeforeMs: undefined,
  except: undefined,
  seq: ++seq,
  writtenAtMs: NOW,
  tokensExpireAtMs: NOW + 60_000,
  expiresAtMs: NOW + 60_000,
  ...part,
})

const origin: Origin = {
  tokenId: 'jti',
  grantId: 'grant',
  sessionUid: 'session',
  subject: 'anna',
  clientId: 'app',
  sinceMs: NOW,
  sessionIds: ['g.grant', 's.session'],
}

describe('the revocations in memory', () => {
  for (const [kind, id] of [
    ['token', 'jti'],
    ['grant', 'grant'],
    ['session', 'session'],
  ] as const) {
    it(`kill by the name of a ${kind}, and nothing of another name`, () => {
      const set = createRevocationSet()
      set.learn(revoked({ kind, id: 'another' }))
      expect(set.denies(origin)).to.equal(false)
      set.learn(revoked({ kind, id }))
      expect(set.denies(origin)).to.equal(true)
    })
  }

  for (const [kind, id] of [
    ['account', 'anna'],
    ['client', 'app'],
  ] as const) {
    it(`kill what stems from a sign-in up to the floor of its ${kind}, and nothing later`, () => {
      const set = createRevocationSet()
      set.learn(revoked({ kind, id, notBeforeMs: NOW }))
      expect([-1, 0, 1].map((ms) => set.denies({ ...origin, sinceMs: NOW + ms }))).to.deep.equal([true, true, false])
    })
  }

  it('spare the session that ended the others, by either of its ids, and no other', () => {
    for (const except of origin.sessionIds) {
      const set = createRevocationSet()
      set.learn(revoked({ kind: 'account', id: 'anna', notBeforeMs: NOW, except }))
      expect(set.denies(origin), except).to.equal(false)
      expect(set.denies({ ...origin, sessionIds: ['g.other'] })).to.equal(true)
    }
  })

  it('keep the later state of a revocation, in whichever order they arrive', () => {
    const early = revoked({ kind: 'account', id: 'anna', notBeforeMs: NOW, except: 's.session' })
    const late = revoked({ kind: 'account', id: 'anna', notBeforeMs: NOW })
    for (const order of [
      [early, late],
      [late, early],
    ]) {
      const set = createRevocationSet()
      const isNew = order.map(set.learn)
      expect(isNew).to.deep.equal([true, order[0] === early])
      expect(set.denies(origin)).to.equal(true)
      expect(set.learn(late)).to.equal(false)
    }
  })

  it('are forgotten once no token is left that they kill, and not before', () => {
    const set = createRevocationSet()
    set.learn(revoked({ kind: 'token', id: 'jti', tokensExpireAtMs: NOW + 60_000 }))
    set.learn(revoked({ kind: 'token', id: 'later', tokensExpireAtMs: NOW + 120_000 }))
    set.forget(NOW + 59_999)
    expect([set.size(), set.denies(origin)]).to.deep.equal([2, true])
    set.forget(NOW + 80_000)
    expect([set.size(), set.denies(origin)]).to.deep.equal([1, false])
    expect([...set.values()].map(({ id }) => id)).to.deep.equal(['later'])
  })

  it('stay when they have been renewed meanwhile', () => {
    const set = createRevocationSet()
    set.learn(revoked({ kind: 'grant', id: 'grant', tokensExpireAtMs: NOW + 10_000 }))
    set.learn(revoked({ kind: 'grant', id: 'grant', tokensExpireAtMs: NOW + 100_000 }))
    set.forget(NOW + 50_000)
    expect(set.denies(origin)).to.equal(true)
    set.forget(NOW + 120_000)
    expect(set.size()).to.equal(0)
  })

  it('are told to other processes without loss, and those of another release are left out', () => {
    for (const one of [
      revoked({ kind: 'token', id: 'a "quoted" one' }),
      revoked({ kind: 'account', id: 'anna', notBeforeMs: NOW, except: 's.x' }),
    ]) {
      expect(decodeRevoked(encodeRevoked(one))).to.deep.equal(one)
    }
    expect(decodeRevoked('[2,"token"]')).to.equal(undefined)
  })

  it('say the same as their marks', () => {
    for (const except of [undefined, 's.session', 's.other']) {
      const one = revoked({ kind: 'account', id: 'anna', notBeforeMs: NOW, except })
      const { value, rank, ttlSeconds } = markOf(one, NOW)
      expect([rank, ttlSeconds]).to.deep.equal([one.seq, 60])
      for (const ms of [0, 1]) {
        const set = createRevocationSet()
        set.learn(one)
        const asked = { ...origin, sinceMs: NOW + ms }
        expect(isBelow(`${value} ${rank}`, asked.sinceMs, asked.sessionIds)).to.equal(set.denies(asked))
      }
    }
  })
})
