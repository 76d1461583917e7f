import { expect } from 'chai'
import fc from 'fast-check'
import { kills, type Revoked } from '../../src/oidc/revocation-entry.ts'
import type { AccessTokenClaims } from '../../src/verifier/claims.ts'
import { createDenySet, revocationIn } from '../../src/verifier/deny-set.ts'

const NOW = 1_700_000_000_000

const token: AccessTokenClaims = {
  ...{ iss: 'i', sub: 'anna', aud: 'a', client_id: 'app', jti: 't1', iat: NOW / 1000, exp: NOW / 1000 + 300 },
  ...{ ims: NOW, gid: 'g1', suid: 's1' },
}

function setOf(...events: Record<string, unknown>[]) {
  const set = createDenySet({ maxEntries: 1_000 })
  for (const event of events) {
    const revocation = revocationIn(event)
    if (revocation) set.add(revocation, NOW)
  }
  return set
}

describe('what has been revoked', () => {
  it('kills a token, what hangs on a grant, and what hangs on a session', () => {
    expect(setOf({ kind: 'token', id: 't1' }).denies(token)).to.equal(true)
    expect(setOf({ kind: 'grant', id: 'g1' }).denies(token)).to.equal(true)
    expect(setOf({ kind: 'session', id: 's1' }).denies(token)).to.equal(true)
    expect(setOf({ kind: 'token', id: 'g1' }, { kind: 'grant', id: 't1' }).denies(token)).to.equal(false)
  })

  it('kills what stems from a sign-in up to a floor, and nothing after it', () => {
    for (const [kind, id] of [
      ['account', 'anna'],
      ['client', 'app'],
    ]) {
      expect(setOf({ kind, id, not_before_ms: NOW }).denies(token), kind).to.equal(true)
      expect(setOf({ kind, id, not_before_ms: NOW - 1 }).denies(token), kind).to.equal(false)
    }
  })

  it('spares the session that ended the others, by either of its names', () => {
    const floor = { kind: 'account', id: 'anna', not_before_ms: NOW + 5 }
    expect(setOf({ ...floor, except: 's.s1' }).denies(token)).to.equal(false)
    expect(setOf({ ...floor, except: 'g.g1' }).denies(token)).to.equal(false)
    expect(setOf({ ...floor, except: 's.s2' }).denies(token)).to.equal(true)
    expect(setOf({ ...floor, except: 's.s1' }, { ...floor, not_before_ms: NOW + 6 }).denies(token)).to.equal(true)
  })

  it('never lowers a floor', () => {
    const floor = { kind: 'account', id: 'anna' }
    expect(setOf({ ...floor, not_before_ms: NOW }, { ...floor, not_before_ms: 5 }).denies(token)).to.equal(true)
  })

  it('counts a token without a sign-in from its issue', () => {
    const { ims, ...plain } = token
    expect(setOf({ kind: 'client', id: 'app', not_before_ms: NOW }).denies(plain)).to.equal(true)
  })

  it('decides as the server does', () => {
    const id = fc.constantFrom('a', 'b')
    const instant = fc.integer({ min: 1, max: 4 })
    const event = fc.record({
      kind: fc.constantFrom(
        'token' as const,
        'grant' as const,
        'session' as const,
        'account' as const,
        'client' as const,
      ),
      id,
      notBeforeMs: instant,
      except: fc.option(fc.constantFrom('g.a', 's.a', 's.b'), { nil: undefined }),
    })
    const claims = fc.record({
      ...{ jti: id, sub: id, client_id: id, ims: instant },
      ...{ gid: fc.option(id, { nil: undefined }), suid: fc.option(id, { nil: undefined }) },
    })
    fc.assert(
      fc.property(event, claims, ({ kind, id, notBeforeMs, except }, { gid, suid, ...rest }) => {
        const isFloor = kind === 'account' || kind === 'client'
        const revoked: Revoked = {
          ...{ kind, id, notBeforeMs: isFloor ? notBeforeMs : undefined, except: isFloor ? except : undefined },
          ...{ seq: 1, writtenAtMs: 0, tokensExpireAtMs: 0, expiresAtMs: 0 },
        }
        const names = { token: rest.jti, grant: gid, session: suid, account: rest.sub, client: rest.client_id }
        const sessionIds = [gid && `g.${gid}`, suid && `s.${suid}`].filter((name) => name !== undefined)
        const origin = { subject: rest.sub, sinceMs: rest.ims, sessionIds }
        const expected = names[kind] === id && kills(revoked, origin)
        const mine = setOf({ kind, id, ...(isFloor ? { not_before_ms: notBeforeMs, except } : {}) })
        const base = { iss: 'i', aud: 'a', iat: 0, exp: 1 }
        const known = { ...(gid === undefined ? {} : { gid }), ...(suid === undefined ? {} : { suid }) }
        expect(mine.denies({ ...base, ...rest, ...known })).to.equal(expected)
      }),
    )
  })

  it('drops what can kill nothing any more, with room for a clock that is set back', () => {
    const set = setOf({ kind: 'token', id: 't1', expires_at: NOW / 1000 }, { kind: 'grant', id: 'g1' })
    set.sweep(NOW + 60_000)
    expect(set.size()).to.equal(2)
    set.sweep(NOW + 120_000)
    expect(set.size()).to.equal(1)
  })

  it('says so when there is no room, instead of forgetting something', () => {
    const set = createDenySet({ maxEntries: 2 })
    const add = (id: string, expiresAt: number) => set.add({ kind: 'token', id, expiresAt }, NOW)
    add('old', NOW / 1000 - 600)
    add('t1', NOW / 1000 + 60)
    add('t2', NOW / 1000 + 60)
    expect(set.isFull(), 'the old one has made room').to.equal(false)
    add('t3', NOW / 1000 + 60)
    expect(set.isFull()).to.equal(true)
    expect(set.denies(token)).to.equal(true)
  })

  it('does not understand what is malformed', () => {
    for (const event of [
      {},
      { kind: 'token' },
      { kind: 'tokens', id: 'a' },
      { kind: 'account', id: 'a' },
      { kind: 'client', id: 'a', not_before_ms: '5' },
      { kind: 'toString', id: 'a' },
    ]) {
      expect(revocationIn(event), JSON.stringify(event)).to.equal(undefined)
    }
  })
})
