/** What every implementation of the ephemeral store owes. The decisions are the same ones to the letter. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type {
  Ephemeral,
  GrantKeys,
  ListMember,
  Rotate,
  RotateBegin,
  RotateCommit,
} from '../../src/storage/ephemeral.ts'

const RIVALS = 32
const GRACE_MS = 10_000
const LEASE_MS = 5_000

export interface Subject {
  store: Ephemeral
  /** A second door to the same data: another connection where the store has connections. */
  other: Ephemeral
  close(): Promise<void>
}

let serial = 0

/** Keys nobody used before, all with the tag of one grant. */
function freshGrant() {
  serial += 1
  const gid = `{g${serial}}`
  const grant: GrantKeys = { index: `g:${gid}`, deny: `rv:g:${gid}`, denySeconds: 60 }
  return { gid, grant, family: `f:${gid}:1`, sealed: `s:${gid}:1`, code: `c:${gid}:x`, record: `gr:${gid}` }
}

type Keys = ReturnType<typeof freshGrant>

const beginOf = (keys: Keys, digest: string, options: Partial<RotateBegin> = {}): RotateBegin => ({
  key: keys.family,
  sealedKey: keys.sealed,
  grant: keys.grant,
  digest,
  leaseId: `lease-${digest}`,
  leaseMs: LEASE_MS,
  graceMs: GRACE_MS,
  ...options,
})

const commitOf = (keys: Keys, leaseId: string, digest: string, options: Partial<RotateCommit> = {}): RotateCommit => ({
  key: keys.family,
  sealedKey: keys.sealed,
  index: keys.grant.index,
  leaseId,
  digest,
  data: `data of ${digest}`,
  sealed: `answer with ${digest}`,
  ttlSeconds: 60,
  graceMs: GRACE_MS,
  ...options,
})

const rotateOf = (keys: Keys, presented: string, digest: string): Rotate => {
  const { leaseId: _, ...rotation } = commitOf(keys, '', digest)
  return { ...rotation, presented }
}

const rivals = <T>(run: (rival: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: RIVALS }, (_, rival) => run(rival)))

const countOf = <T>(values: readonly T[], wanted: (value: T) => boolean): number => values.filter(wanted).length

export function ephemeralContract(name: string, open: () => Promise<Subject>): void {
  describe(`the ephemeral store on ${name}`, function () {
    this.timeout(20_000)
    let subject: Subject
    let store: Ephemeral
    /** Spreads rivals over both doors. */
    const door = (rival: number): Ephemeral => (rival % 2 === 0 ? subject.store : subject.other)

    before(async () => {
      subject = await open()
      store = subject.store
    })
    after(() => subject?.close())

    const startFamily = (keys: Keys, ttlSeconds = 60) =>
      store.startFamily({ key: keys.family, index: keys.grant.index, digest: 'one', data: 'data of one', ttlSeconds })

    /** A family whose first token was exchanged for its second. */
    async function rotatedFamily(options: Partial<RotateCommit> = {}): Promise<Keys> {
      const keys = freshGrant()
      await startFamily(keys)
      await store.rotateBegin(beginOf(keys, 'one'))
      await store.rotateCommit(commitOf(keys, 'lease-one', 'two', options))
      return keys
    }

    describe('records', () => {
      it('answers values in the order asked and undefined for what is not there', async () => {
        const { record } = freshGrant()
        await store.put(`${record}a`, '1a', { ttlSeconds: 60 })
        await store.put(`${record}b`, '1b', { ttlSeconds: 60 })
        expect(await store.get([`${record}b`, `${record}none`, `${record}a`])).to.deep.equal(['1b', undefined, '1a'])
        expect(await store.get([])).to.deep.equal([])
      })

      it('keeps values as they are, of any character and length', async () => {
        const { record } = freshGrant()
        const value = `1{"name":"Żółć 🦊","quote":"'\\"\\\\"}${'x'.repeat(100_000)}`
        await store.put(record, value, { ttlSeconds: 60 })
        expect(await store.get([record])).to.deep.equal([value])
      })

      it('replaces a value, and lets the first writer win when asked to', async () => {
        const { record } = freshGrant()
        expect(await store.put(record, 'first', { ttlSeconds: 60, ifAbsent: true })).to.equal(true)
        expect(await store.put(record, 'second', { ttlSeconds: 60, ifAbsent: true })).to.equal(false)
        expect(await store.get([record])).to.deep.equal(['first'])
        expect(await store.put(record, 'third', { ttlSeconds: 60 })).to.equal(true)
        expect(await store.get([record])).to.deep.equal(['third'])
      })

      for (const indexed of [false, true]) {
        it(`lets one of ${RIVALS} rivals write first${indexed ? ' into an index' : ''}`, async () => {
          const { record, grant } = freshGrant()
          const options = { ttlSeconds: 60, ifAbsent: true, ...(indexed && { index: grant.index }) }
          const written = await rivals((rival) => door(rival).put(record, `rival ${rival}`, options))
          expect(countOf(written, (isFirst) => isFirst)).to.equal(1)
          expect(await store.get([record])).to.deep.equal([`rival ${written.indexOf(true)}`])
        })
      }

      it(`lets one of ${RIVALS} rivals with the same view swap a value, and none with an older one`, async () => {
        const { record } = freshGrant()
        for (const [from, to] of [
          [undefined, 'first'],
          ['first', 'second'],
        ] as const) {
          const swapped = await rivals((rival) => door(rival).swap(record, from, to, { ttlSeconds: 60 }))
          expect(countOf(swapped, (isSwapped) => isSwapped)).to.equal(1)
          expect(await store.get([record])).to.deep.equal([to])
        }
        expect(await store.swap(record, undefined, 'x', { ttlSeconds: 60 })).to.equal(false)
        expect(await store.swap(record, 'first', 'x', { ttlSeconds: 60 })).to.equal(false)
        expect(await store.swap(record, 'second', 'short', { ttlSeconds: 0.05 })).to.equal(true)
        await sleep(100)
        expect(await store.swap(record, 'short', 'x', { ttlSeconds: 60 })).to.equal(false)
        expect(await store.swap(record, undefined, 'anew', { ttlSeconds: 60 })).to.equal(true)
      })

      it('writes several at once, the last value of a repeated key', async () => {
        const { record } = freshGrant()
        await store.putAll([
          { key: `${record}a`, value: 'old', ttlSeconds: 60 },
          { key: `${record}b`, value: 'b', ttlSeconds: 60 },
          { key: `${record}a`, value: 'new', ttlSeconds: 60 },
        ])
        await store.putAll([])
        expect(await store.get([`${record}a`, `${record}b`])).to.deep.equal(['new', 'b'])
      })

      it(`gives a taken value to one of ${RIVALS} rivals`, async () => {
        const { record } = freshGrant()
        await store.put(record, 'prize', { ttlSeconds: 60 })
        const taken = await rivals((rival) => door(rival).take(record))
        expect(countOf(taken, (value) => value === 'prize')).to.equal(1)
        expect(countOf(taken, (value) => value === undefined)).to.equal(RIVALS - 1)
      })

      it('counts what it removed', async () => {
        const keys = freshGrant()
        await store.put(keys.record, 'a', { ttlSeconds: 60 })
        await store.offer(keys.code, 'b', { ttlSeconds: 60 })
        await startFamily(keys)
        expect(await store.remove([keys.record, keys.code, keys.family, 'nothing'])).to.equal(3)
        expect(await store.remove([keys.record])).to.equal(0)
        expect(await store.remove([])).to.equal(0)
        expect((await store.readFamily(keys.family, [])).family).to.equal(undefined)
      })

      it('forgets everything at its end, and an expired record is absent for a first writer', async () => {
        const keys = freshGrant()
        const short = { ttlSeconds: 0.3 }
        await store.put(keys.record, 'a', short)
        await store.offer(keys.code, 'b', short)
        await startFamily(keys, 0.3)
        await store.put(`${keys.record}long`, 'c', { ttlSeconds: 60 })
        await sleep(400)
        expect(await store.get([keys.record, `${keys.record}long`])).to.deep.equal([undefined, 'c'])
        expect(await store.take(keys.record)).to.equal(undefined)
        expect(await store.peek(keys.code)).to.equal(undefined)
        expect(await store.consumeOnce(keys.code)).to.equal('gone')
        expect((await store.readFamily(keys.family, [])).family).to.equal(undefined)
        expect(await store.rotateBegin(beginOf(keys, 'one'))).to.deep.equal({ outcome: 'gone' })
        expect(await store.put(keys.record, 'again', { ttlSeconds: 60, ifAbsent: true })).to.equal(true)
        expect(await store.remove([keys.record, keys.code, keys.family])).to.equal(1)
      })

      it('refuses a record without an end', async () => {
        for (const ttlSeconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
          const refused = await store.put('endless', 'x', { ttlSeconds }).catch((error) => error)
          expect(refused, String(ttlSeconds)).to.be.instanceOf(RangeError)
        }
      })
    })

    describe('single-use objects', () => {
      it('is fresh, then taken, then done', async () => {
        const { code } = freshGrant()
        expect(await store.peek(code)).to.equal(undefined)
        await store.offer(code, 'v', { ttlSeconds: 60 })
        expect(await store.peek(code)).to.include({ value: 'v', state: 'fresh' })
        expect(await store.consumeOnce(code)).to.equal('won')
        expect(await store.peek(code)).to.include({ value: 'v', state: 'taken' })
        await store.settle(code, { ttlSeconds: 60 })
        expect(await store.peek(code)).to.include({ value: 'v', state: 'done' })
        expect(await store.consumeOnce(code)).to.equal('lost')
      })

      it(`is won by one of ${RIVALS} rivals and lost by the others`, async () => {
        const { code } = freshGrant()
        await store.offer(code, 'v', { ttlSeconds: 60 })
        const outcomes = await rivals((rival) => door(rival).consumeOnce(code))
        expect(countOf(outcomes, (outcome) => outcome === 'won')).to.equal(1)
        expect(countOf(outcomes, (outcome) => outcome === 'lost')).to.equal(RIVALS - 1)
      })

      it('keeps its life when it is taken', async () => {
        const { code } = freshGrant()
        await store.offer(code, 'v', { ttlSeconds: 0.3 })
        await store.consumeOnce(code)
        await sleep(400)
        expect(await store.consumeOnce(code)).to.equal('gone')
      })

      it('tells what is left of its life, and of the new one when it is settled', async () => {
        const { code } = freshGrant()
        await store.offer(code, 'v', { ttlSeconds: 30 })
        expect((await store.peek(code))?.leftMs).to.be.within(20_000, 30_000)
        await store.consumeOnce(code)
        await store.settle(code, { ttlSeconds: 90 })
        expect((await store.peek(code))?.leftMs).to.be.within(80_000, 90_000)
      })

      it('does not come to life by consuming or settling what is not there', async () => {
        const { code } = freshGrant()
        expect(await store.consumeOnce(code)).to.equal('gone')
        await store.settle(code, { ttlSeconds: 60 })
        expect(await store.peek(code)).to.equal(undefined)
      })

      it('is settled only by its winner', async () => {
        const { code } = freshGrant()
        await store.offer(code, 'v', { ttlSeconds: 60 })
        await store.settle(code, { ttlSeconds: 60 })
        expect(await store.peek(code)).to.include({ value: 'v', state: 'fresh' })
      })

      it('gets a new life when it is settled, and stays a member of its grant', async () => {
        const { code, record, grant } = freshGrant()
        await store.offer(code, 'v', { ttlSeconds: 0.3, index: grant.index })
        await store.consumeOnce(code)
        await store.settle(code, { ttlSeconds: 60 })
        await sleep(400)
        expect(await store.peek(code)).to.include({ value: 'v', state: 'done' })
        await store.put(record, 'x', { ttlSeconds: 60, index: grant.index })
        await store.revokeGrant(grant)
        expect(await store.peek(code)).to.equal(undefined)
      })

      it('is fresh again when it is offered again, over whatever lay under its key', async () => {
        const { code } = freshGrant()
        await store.put(code, 'a record', { ttlSeconds: 60 })
        await store.offer(code, 'first', { ttlSeconds: 60 })
        await store.consumeOnce(code)
        await store.offer(code, 'second', { ttlSeconds: 60 })
        expect(await store.peek(code)).to.include({ value: 'second', state: 'fresh' })
        await store.put(code, 'a record', { ttlSeconds: 60 })
        expect(await store.get([code])).to.deep.equal(['a record'])
      })

      it('is no plain record', async () => {
        const { code } = freshGrant()
        await store.offer(code, 'v', { ttlSeconds: 60 })
        expect(await store.get([code])).to.deep.equal([undefined])
      })
    })

    describe('one-time codes', () => {
      const TRIES = { maxTries: 5 }
      const freshCode = async (options = { ttlSeconds: 60 }): Promise<string> => {
        const key = `otc:${freshGrant().gid}`
        await store.saveCode(key, 'right', options)
        return key
      }

      it(`is redeemed by one of ${RIVALS} rivals with the right digest`, async () => {
        const key = await freshCode()
        const redeemed = await rivals((rival) => door(rival).redeemCode(key, 'right', TRIES))
        expect(countOf(redeemed, (isRight) => isRight)).to.equal(1)
      })

      it(`is dead after 5 of ${RIVALS} wrong tries made at once, and not before`, async () => {
        const key = await freshCode()
        for (let wrong = 1; wrong < 5; wrong += 1) expect(await store.redeemCode(key, 'wrong', TRIES)).to.equal(false)
        expect(await store.redeemCode(key, 'right', TRIES)).to.equal(true)

        const guessed = await freshCode()
        await rivals((rival) => door(rival).redeemCode(guessed, 'wrong', TRIES))
        expect(await store.redeemCode(guessed, 'right', TRIES)).to.equal(false)
      })

      it('looks at no more than 5 tries however many come at once', async () => {
        for (let round = 0; round < 8; round += 1) {
          const key = await freshCode()
          const tries = await rivals((rival) => door(rival).redeemCode(key, rival < 16 ? `${rival}` : 'right', TRIES))
          const firstRight = tries.indexOf(true)
          expect(countOf(tries, (isRight) => isRight)).to.be.at.most(1)
          expect(firstRight === -1 || firstRight >= 16).to.equal(true)
          expect(await store.redeemCode(key, 'right', TRIES), 'afterwards').to.equal(false)
        }
      })

      it('is replaced together with the count of its wrong tries', async () => {
        const key = await freshCode()
        for (let wrong = 1; wrong < 5; wrong += 1) await store.redeemCode(key, 'wrong', TRIES)
        await store.saveCode(key, 'newer', { ttlSeconds: 60 })
        expect(await store.redeemCode(key, 'right', TRIES)).to.equal(false)
        for (let wrong = 1; wrong < 4; wrong += 1) await store.redeemCode(key, 'wrong', TRIES)
        expect(await store.redeemCode(key, 'newer', TRIES)).to.equal(true)
      })

      it('ends with its life, which wrong tries do not lengthen', async () => {
        const key = await freshCode({ ttlSeconds: 0.3 })
        await store.redeemCode(key, 'wrong', TRIES)
        await sleep(400)
        expect(await store.redeemCode(key, 'right', TRIES)).to.equal(false)
      })

      it('does not come to life by a try, can be removed, and is no plain record', async () => {
        const key = await freshCode()
        expect(await store.redeemCode(`${key}none`, 'right', TRIES)).to.equal(false)
        expect(await store.get([key, `${key}none`])).to.deep.equal([undefined, undefined])
        expect(await store.remove([key])).to.equal(1)
        expect(await store.redeemCode(key, 'right', TRIES)).to.equal(false)
      })
    })

    describe('families', () => {
      it('begins with its first token and settles the code it came from', async () => {
        const keys = freshGrant()
        await store.offer(keys.code, 'v', { ttlSeconds: 60, index: keys.grant.index })
        await store.consumeOnce(keys.code)
        const settles = { key: keys.code, ttlSeconds: 60 }
        const begun = { key: keys.family, index: keys.grant.index, digest: 'one', data: 'd', ttlSeconds: 60, settles }
        expect(await store.startFamily(begun)).to.equal(true)
        expect(await store.peek(keys.code)).to.include({ value: 'v', state: 'done' })
        const { family } = await store.readFamily(keys.family, [])
        expect(family).to.deep.equal({ current: 'one', previous: undefined, data: 'd' })
      })

      it('reads the family together with marks', async () => {
        const keys = freshGrant()
        await startFamily(keys)
        await store.put(`${keys.record}mark`, 'set', { ttlSeconds: 60 })
        const read = await store.readFamily(keys.family, [`${keys.record}none`, `${keys.record}mark`])
        expect(read.family?.current).to.equal('one')
        expect(read.marks).to.deep.equal([undefined, 'set'])
        expect(await store.readFamily('none', [`${keys.record}mark`])).to.deep.equal({
          family: undefined,
          marks: ['set'],
        })
      })

      it('does not begin under a grant that was revoked meanwhile', async () => {
        const keys = freshGrant()
        await store.offer(keys.code, 'v', { ttlSeconds: 60 })
        await store.consumeOnce(keys.code)
        await store.revokeGrant(keys.grant)
        const settles = { key: keys.code, ttlSeconds: 60 }
        const begun = { key: keys.family, index: keys.grant.index, digest: 'one', data: 'd', ttlSeconds: 60, settles }
        expect(await store.startFamily({ ...begun, deny: keys.grant.deny })).to.equal(false)
        expect((await store.readFamily(keys.family, [])).family).to.equal(undefined)
        expect((await store.peek(keys.code))?.state).to.equal('taken')
      })

      it('does not settle a code that nobody has redeemed', async () => {
        const keys = freshGrant()
        await store.offer(keys.code, 'v', { ttlSeconds: 60 })
        const settles = { key: keys.code, ttlSeconds: 60 }
        const { index } = keys.grant
        await store.startFamily({ key: keys.family, index, digest: 'one', data: 'd', ttlSeconds: 60, settles })
        expect((await store.peek(keys.code))?.state).to.equal('fresh')
      })

      it('begins anew without memory of a former one under its key', async () => {
        const keys = await rotatedFamily()
        await startFamily(keys)
        const { family } = await store.readFamily(keys.family, [])
        expect(family).to.deep.equal({ current: 'one', previous: undefined, data: 'data of one' })
        expect(await store.rotateBegin(beginOf(keys, 'one'))).to.deep.equal({ outcome: 'won', data: 'data of one' })
      })
    })

    describe('rotation', () => {
      it('hands the data to the winner and the successor to the next', async () => {
        const keys = freshGrant()
        await startFamily(keys)
        expect(await store.rotateBegin(beginOf(keys, 'one'))).to.deep.equal({ outcome: 'won', data: 'data of one' })
        expect(await store.rotateCommit(commitOf(keys, 'lease-one', 'two'))).to.equal(true)
        const { family } = await store.readFamily(keys.family, [])
        expect(family).to.deep.equal({ current: 'two', previous: 'one', data: 'data of two' })
        expect(await store.rotateBegin(beginOf(keys, 'two'))).to.deep.equal({ outcome: 'won', data: 'data of two' })
      })

      it(`in one step is won by one of ${RIVALS} rivals, who get nothing else and change nothing`, async () => {
        const keys = freshGrant()
        await startFamily(keys)
        const rotations = await rivals((rival) => door(rival).rotate(rotateOf(keys, 'one', `two-${rival}`)))
        expect(countOf(rotations, (isRotated) => isRotated)).to.equal(1)
        const { family } = await store.readFamily(keys.family, [])
        const winner = `two-${rotations.indexOf(true)}`
        expect(family).to.deep.equal({ current: winner, previous: 'one', data: `data of ${winner}` })
        const again = await store.rotateBegin(beginOf(keys, 'one'))
        expect(again).to.deep.equal({ outcome: 'replay', sealed: `answer with ${winner}` })
        expect(await store.rotateBegin(beginOf(keys, winner))).to.deep.include({ outcome: 'won' })
      })

      it('in one step is refused under a lease, for older generations and when the family is gone', async () => {
        const keys = await rotatedFamily()
        expect(await store.rotate(rotateOf(keys, 'one', 'three'))).to.equal(false)
        await store.rotateBegin(beginOf(keys, 'two'))
        expect(await store.rotate(rotateOf(keys, 'two', 'three'))).to.equal(false)
        expect(await store.rotateCommit(commitOf(keys, 'lease-two', 'three'))).to.equal(true)
        expect(await store.rotate(rotateOf(keys, 'three', 'four'))).to.equal(true)
        expect(await store.rotate(rotateOf(freshGrant(), 'one', 'two'))).to.equal(false)
      })

      it('in one step leaves an answer that ends with the grace, and dies with its grant', async () => {
        const keys = freshGrant()
        await startFamily(keys)
        await store.rotate({ ...rotateOf(keys, 'one', 'two'), graceMs: 40 })
        await sleep(60)
        expect(await store.rotateBegin(beginOf(keys, 'one', { graceMs: 40 }))).to.deep.equal({ outcome: 'reuse' })
        expect((await store.readFamily(keys.family, [])).family).to.equal(undefined)
      })

      it(`is won by one of ${RIVALS} rivals; the others are told to wait, and nothing is revoked`, async () => {
        const keys = freshGrant()
        await startFamily(keys)
        const begun = await rivals((rival) => door(rival).rotateBegin(beginOf(keys, 'one', { leaseId: `${rival}` })))
        expect(countOf(begun, ({ outcome }) => outcome === 'won')).to.equal(1)
        expect(countOf(begun, ({ outcome }) => outcome === 'busy')).to.equal(RIVALS - 1)
        for (const rotation of begun) {
          if (rotation.outcome === 'busy') expect(rotation.retryMs).to.be.within(1, LEASE_MS)
        }
        const winner = begun.findIndex(({ outcome }) => outcome === 'won')
        const commits = await rivals((rival) => door(rival).rotateCommit(commitOf(keys, `${rival}`, `two-${rival}`)))
        expect(commits.indexOf(true)).to.equal(winner)
        expect(countOf(commits, (committed) => committed)).to.equal(1)
        expect((await store.readFamily(keys.family, [keys.grant.deny])).marks).to.deep.equal([undefined])
      })

      it('answers the immediately previous generation the same again while its successor is unused', async () => {
        const keys = await rotatedFamily()
        const answers = await rivals((rival) => door(rival).rotateBegin(beginOf(keys, 'one')))
        for (const answer of answers) expect(answer).to.deep.equal({ outcome: 'replay', sealed: 'answer with two' })
        expect((await store.readFamily(keys.family, [])).family?.current).to.equal('two')
      })

      const cases: [name: string, prepare: () => Promise<Keys>, digest: string, options?: Partial<RotateBegin>][] = [
        ['a generation before the previous one', thirdGeneration, 'one'],
        ['the previous one when its successor is being used', successorLeased, 'one'],
        ['the previous one when its successor has been used', thirdGeneration, 'one'],
        ['the previous one after the grace', () => rotatedFamily({ graceMs: 1 }), 'one'],
        ['the previous one when there is no grace', () => rotatedFamily({ graceMs: 0 }), 'one', { graceMs: 0 }],
        ['the previous one when the grace was switched off since', () => rotatedFamily(), 'one', { graceMs: 0 }],
        ['a digest nobody issued', () => rotatedFamily(), 'stranger'],
        ['a generation whose lease ran out after the grace', leaseLost, 'one', { graceMs: 20 }],
      ]
      for (const [what, prepare, digest, options] of cases) {
        it(`takes ${what} for reuse and revokes the whole grant in the same step`, async () => {
          const keys = await prepare()
          await store.put(keys.record, 'grant', { ttlSeconds: 60, index: keys.grant.index })
          await store.offer(keys.code, 'code', { ttlSeconds: 60, index: keys.grant.index })
          const sibling = { ...keys, family: `${keys.family}b` }
          await startFamily(sibling)
          await sleep(5)
          expect(await store.rotateBegin(beginOf(keys, digest, options))).to.deep.equal({ outcome: 'reuse' })
          const { family, marks } = await store.readFamily(keys.family, [keys.grant.deny])
          expect(family).to.equal(undefined)
          expect(marks[0]).to.be.a('string')
          expect((await store.readFamily(sibling.family, [])).family).to.equal(undefined)
          expect(await store.get([keys.record, keys.sealed])).to.deep.equal([undefined, undefined])
          expect(await store.peek(keys.code)).to.equal(undefined)
          expect(await store.rotateBegin(beginOf(keys, digest, options))).to.deep.equal({ outcome: 'gone' })
        })
      }

      async function thirdGeneration(): Promise<Keys> {
        const keys = await rotatedFamily()
        await store.rotateBegin(beginOf(keys, 'two'))
        await store.rotateCommit(commitOf(keys, 'lease-two', 'three'))
        return keys
      }

      async function successorLeased(): Promise<Keys> {
        const keys = await rotatedFamily()
        await store.rotateBegin(beginOf(keys, 'two'))
        return keys
      }

      async function leaseLost(): Promise<Keys> {
        const keys = freshGrant()
        await startFamily(keys)
        await store.rotateBegin(beginOf(keys, 'one', { leaseMs: 20 }))
        await sleep(40)
        return keys
      }

      it(`revokes once and for all when ${RIVALS} rivals present an old generation`, async () => {
        const keys = await thirdGeneration()
        const outcomes = await rivals((rival) => door(rival).rotateBegin(beginOf(keys, 'one')))
        expect(countOf(outcomes, ({ outcome }) => outcome === 'reuse')).to.equal(1)
        expect(countOf(outcomes, ({ outcome }) => outcome === 'gone')).to.equal(RIVALS - 1)
      })

      it('lets another take over a lease that ran out within the grace; the late first holder commits nothing', async () => {
        const keys = freshGrant()
        await startFamily(keys)
        await store.rotateBegin(beginOf(keys, 'one', { leaseId: 'first', leaseMs: 20 }))
        await sleep(40)
        const second = await store.rotateBegin(beginOf(keys, 'one', { leaseId: 'second' }))
        expect(second).to.deep.equal({ outcome: 'won', data: 'data of one' })
        expect(await store.rotateCommit(commitOf(keys, 'first', 'two-first'))).to.equal(false)
        await store.rotateAbort({ key: keys.family, leaseId: 'first' })
        expect(await store.rotateCommit(commitOf(keys, 'second', 'two-second'))).to.equal(true)
        expect((await store.readFamily(keys.family, [])).family?.current).to.equal('two-second')
      })

      it('counts the grace from the first presentation, not from the take-over or the commit', async () => {
        const keys = freshGrant()
        await startFamily(keys)
        const timing = { leaseMs: 20, graceMs: 800 }
        await store.rotateBegin(beginOf(keys, 'one', timing))
        await sleep(300)
        await store.rotateBegin(beginOf(keys, 'one', { ...timing, leaseId: 'second' }))
        await store.rotateCommit(commitOf(keys, 'second', 'two', { graceMs: 800 }))
        await sleep(600)
        expect(await store.rotateBegin(beginOf(keys, 'one', timing))).to.deep.equal({ outcome: 'reuse' })
      })

      it('makes the presented generation live again when the lease is given back', async () => {
        const keys = freshGrant()
        await startFamily(keys)
        await store.rotateBegin(beginOf(keys, 'one'))
        await store.rotateAbort({ key: keys.family, leaseId: 'another' })
        expect((await store.rotateBegin(beginOf(keys, 'one'))).outcome).to.equal('busy')
        await store.rotateAbort({ key: keys.family, leaseId: 'lease-one' })
        expect(await store.rotateBegin(beginOf(keys, 'one'))).to.deep.equal({ outcome: 'won', data: 'data of one' })
        expect(await store.rotateCommit(commitOf(keys, 'lease-one', 'two'))).to.equal(true)
      })

      it('drops the sealed answer of the former generation as soon as its successor is used', async () => {
        const keys = await rotatedFamily()
        expect(await store.get([keys.sealed])).to.deep.equal(['answer with two'])
        await store.rotateBegin(beginOf(keys, 'two'))
        expect(await store.get([keys.sealed])).to.deep.equal([undefined])
      })

      it('commits once, and not without a lease', async () => {
        const keys = await rotatedFamily()
        expect(await store.rotateCommit(commitOf(keys, 'lease-one', 'three'))).to.equal(false)
        expect(await store.rotateCommit(commitOf(freshGrant(), 'lease-one', 'two'))).to.equal(false)
        expect((await store.readFamily(keys.family, [])).family?.current).to.equal('two')
      })

      it('commits nothing into a grant revoked in the middle of the rotation', async () => {
        const keys = freshGrant()
        await startFamily(keys)
        await store.rotateBegin(beginOf(keys, 'one'))
        await store.revokeGrant(keys.grant)
        expect(await store.rotateCommit(commitOf(keys, 'lease-one', 'two'))).to.equal(false)
        expect(await store.get([keys.sealed])).to.deep.equal([undefined])
      })

      it('gives the family the life of its newest token', async () => {
        const keys = freshGrant()
        await startFamily(keys, 0.5)
        await store.rotateBegin(beginOf(keys, 'one'))
        await store.rotateCommit(commitOf(keys, 'lease-one', 'two', { ttlSeconds: 60 }))
        await sleep(600)
        expect((await store.readFamily(keys.family, [])).family?.current).to.equal('two')
        await store.put(keys.record, 'x', { ttlSeconds: 60, index: keys.grant.index })
        await store.revokeGrant(keys.grant)
        expect((await store.readFamily(keys.family, [])).family).to.equal(undefined)
      })
    })

    describe('lists', () => {
      const options = { ttlSeconds: 60, cap: 100 }
      const freshList = () => `l:${freshGrant().gid}`
      const namesOf = (members: readonly { member: string }[]) => members.map(({ member }) => member)
      /** Members with pauses between them, so that their order is certain. */
      async function filled(list: string, members: readonly string[]): Promise<void> {
        for (const member of members) {
          await store.enlist(list, member, `value of ${member}`, options)
          await sleep(3)
        }
      }

      it('answer the most recently used first, with value and time, and nothing of other lists', async () => {
        const list = freshList()
        const start = Date.now()
        await filled(list, ['a', 'b'])
        await filled(freshList(), ['z'])
        await store.enlist(list, 'a', 'new value', options)
        const members = await store.listMembers(list, { limit: 10 })
        expect(members.map(({ member, value }) => [member, value])).to.deep.equal([
          ['a', 'new value'],
          ['b', 'value of b'],
        ])
        for (const { usedAtMs } of members) expect(usedAtMs).to.be.closeTo(start, 10_000).and.satisfy(Number.isInteger)
        expect(await store.listMembers(freshList(), { limit: 10 })).to.deep.equal([])
      })

      it('keep the first value of a member when asked to, and still renew it', async () => {
        const list = freshList()
        await filled(list, ['a', 'b'])
        await store.enlist(list, 'a', 'other', { ...options, keep: true })
        await store.enlist(list, 'c', 'first', { ...options, keep: true })
        const members = await store.listMembers(list, { limit: 10 })
        expect(members.find(({ member }) => member === 'a')?.value).to.equal('value of a')
        expect(members.find(({ member }) => member === 'c')?.value).to.equal('first')
        expect(namesOf(members).at(-1)).to.equal('b')
      })

      it('are read in pages that neither repeat nor skip, also among members of one instant', async () => {
        const list = freshList()
        const names = Array.from({ length: 40 }, (_, place) => `member-${place}`)
        await Promise.all(names.map((name, place) => door(place).enlist(list, name, name, options)))
        const read: string[] = []
        let before: ListMember | undefined
        for (let page = 0; page < 20; page += 1) {
          const members = await store.listMembers(list, { limit: 7, before })
          expect(members.length).to.be.at.most(7)
          read.push(...namesOf(members))
          before = members.at(-1)
          if (!before) break
        }
        expect(read).to.have.members(names).and.to.have.length(names.length)
      })

      it(`drop the least recently used beyond their cap, also under ${RIVALS} rivals`, async () => {
        const list = freshList()
        await filled(list, ['old', 'older'])
        await store.enlist(list, 'old', 'used again', options)
        await sleep(3)
        await store.enlist(list, 'new', 'x', { ...options, cap: 2 })
        expect(namesOf(await store.listMembers(list, { limit: 10 }))).to.deep.equal(['new', 'old'])
        await rivals((rival) => door(rival).enlist(list, `rival ${rival}`, 'x', { ...options, cap: 5 }))
        await store.enlist(list, 'last', 'x', { ...options, cap: 5 })
        expect(await store.listMembers(list, { limit: 100 })).to.have.length(5)
      })

      it('forget members at the end of their life, which a renewal never shortens', async () => {
        const list = freshList()
        await store.enlist(list, 'short', 'x', { ...options, ttlSeconds: 0.1 })
        await store.enlist(list, 'long', 'x', options)
        await store.enlist(list, 'long', 'x', { ...options, ttlSeconds: 0.1, keep: true })
        await sleep(200)
        expect(namesOf(await store.listMembers(list, { limit: 10 }))).to.deep.equal(['long'])
        await store.enlist(list, 'short', 'second life', { ...options, keep: true })
        expect((await store.listMembers(list, { limit: 1 }))[0]).to.include({ member: 'short', value: 'second life' })
      })

      it('lose the members taken off them and no others', async () => {
        const list = freshList()
        await filled(list, ['a', 'b', 'c'])
        await store.delist(list, ['a', 'c', 'never there'])
        await store.delist(list, [])
        expect(namesOf(await store.listMembers(list, { limit: 10 }))).to.deep.equal(['b'])
      })
    })

    describe('revocation of a grant', () => {
      /** A grant with everything that can hang on it. */
      async function fullGrant(): Promise<Keys> {
        const keys = await rotatedFamily()
        const indexed = { ttlSeconds: 60, index: keys.grant.index }
        await store.put(keys.record, 'grant', indexed)
        await store.offer(keys.code, 'code', indexed)
        await startFamily({ ...keys, family: `${keys.family}b` })
        return keys
      }

      it('removes every member and sets the deny mark, also six times in parallel', async () => {
        const keys = await fullGrant()
        const bystander = await fullGrant()
        await Promise.all(Array.from({ length: 6 }, (_, i) => door(i).revokeGrant(keys.grant)))
        await store.revokeGrant(keys.grant)
        expect(await store.get([keys.record, keys.sealed])).to.deep.equal([undefined, undefined])
        expect(await store.peek(keys.code)).to.equal(undefined)
        for (const family of [keys.family, `${keys.family}b`]) {
          expect((await store.readFamily(family, [])).family).to.equal(undefined)
        }
        expect((await store.get([keys.grant.deny]))[0]).to.be.a('string')
        expect(await store.get([bystander.record, bystander.sealed])).not.to.include(undefined)
        expect(await store.get([bystander.grant.deny])).to.deep.equal([undefined])
      })

      it('keeps the deny mark for its time and a repeat never shortens it', async () => {
        const { grant } = freshGrant()
        await store.revokeGrant(grant)
        await store.revokeGrant({ ...grant, denySeconds: 0.05 })
        const short = freshGrant().grant
        await store.revokeGrant({ ...short, denySeconds: 0.05 })
        await sleep(150)
        expect((await store.get([grant.deny]))[0]).to.be.a('string')
        expect(await store.get([short.deny])).to.deep.equal([undefined])
      })

      it('reaches a record that was written again without naming the index', async () => {
        const { record, grant } = freshGrant()
        await store.put(record, 'old', { ttlSeconds: 60, index: grant.index })
        await store.put(record, 'new', { ttlSeconds: 60 })
        await store.revokeGrant(grant)
        expect(await store.get([record])).to.deep.equal([undefined])
      })

      it('reaches a member that outlives the others of its index', async () => {
        const { record, code, grant } = freshGrant()
        await store.put(record, 'long', { ttlSeconds: 60, index: grant.index })
        await store.offer(code, 'short', { ttlSeconds: 0.05, index: grant.index })
        await sleep(100)
        await store.put(`${record}b`, 'short', { ttlSeconds: 0.05, index: grant.index })
        await sleep(100)
        await store.revokeGrant(grant)
        expect(await store.get([record])).to.deep.equal([undefined])
      })

      it('leaves no family behind when it races with the beginning of one', async () => {
        for (let round = 0; round < 8; round += 1) {
          const keys = freshGrant()
          const { index, deny } = keys.grant
          const begun = (rival: number) => ({
            key: `${keys.family}${rival}`,
            index,
            digest: 'one',
            data: 'd',
            ttlSeconds: 60,
            deny,
          })
          await Promise.all([
            ...Array.from({ length: 6 }, (_, rival) => door(rival).startFamily(begun(rival))),
            subject.other.revokeGrant(keys.grant),
            ...Array.from({ length: 6 }, (_, rival) => door(rival).startFamily(begun(rival + 6))),
          ])
          for (let rival = 0; rival < 12; rival += 1) {
            expect((await store.readFamily(`${keys.family}${rival}`, [])).family, `round ${round}`).to.equal(undefined)
          }
        }
      })
    })

    describe('budgets', () => {
      const budget = { capacity: 5, perSecond: 0.01, cost: 1 }

      it(`lets exactly the capacity through of ${RIVALS} rivals`, async () => {
        const key = `tb:${freshGrant().gid}`
        const spendings = await rivals((rival) => door(rival).spend([{ key, ...budget }]))
        expect(countOf(spendings, ({ ok }) => ok)).to.equal(5)
        for (const { ok, retryAfterMs } of spendings) {
          if (ok) expect(retryAfterMs).to.equal(0)
          else expect(retryAfterMs).to.be.within(90_000, 100_000)
        }
      })

      it('takes nothing when there is not enough, and says when there will be', async () => {
        const key = `tb:${freshGrant().gid}`
        expect(await store.spend([{ key, ...budget, cost: 3 }])).to.deep.equal({ ok: true, retryAfterMs: 0 })
        const refused = await store.spend([{ key, ...budget, cost: 3 }])
        expect(refused.ok).to.equal(false)
        expect(refused.retryAfterMs).to.be.within(95_000, 100_000)
        expect((await store.spend([{ key, ...budget, cost: 2 }])).ok).to.equal(true)
      })

      it('fills again with time, never above the capacity', async () => {
        const key = `tb:${freshGrant().gid}`
        const quick = { capacity: 2, perSecond: 20, cost: 2 }
        expect((await store.spend([{ key, ...quick }])).ok).to.equal(true)
        await sleep(300)
        expect((await store.spend([{ key, ...quick }])).ok).to.equal(true)
        expect((await store.spend([{ key, ...quick, cost: 2 }])).ok).to.equal(false)
      })

      it('takes back what a negative cost gives, never above the capacity', async () => {
        const key = `tb:${freshGrant().gid}`
        await store.spend([{ key, ...budget, cost: 5 }])
        expect((await store.spend([{ key, ...budget, cost: -1 }])).ok).to.equal(true)
        expect((await store.spend([{ key, ...budget }])).ok).to.equal(true)
        expect((await store.spend([{ key, ...budget }])).ok).to.equal(false)
        for (let round = 0; round < 9; round += 1) await store.spend([{ key, ...budget, cost: -1 }])
        expect((await store.spend([{ key, ...budget, cost: 5 }])).ok).to.equal(true)
        expect((await store.spend([{ key, ...budget }])).ok).to.equal(false)
      })

      it('takes from several in turn, and leaves those behind an empty one untouched', async () => {
        const [first, second, third] = [1, 2, 3].map(() => ({ key: `tb:${freshGrant().gid}`, ...budget }))
        if (!first || !second || !third) throw new Error('three were made')
        expect((await store.spend([{ ...second, cost: 5 }])).ok).to.equal(true)
        const refused = await store.spend([first, second, { ...third, cost: 5 }])
        expect(refused.ok).to.equal(false)
        expect(refused.retryAfterMs).to.be.within(90_000, 100_000)
        expect((await store.spend([{ ...third, cost: 5 }])).ok, 'the third').to.equal(true)
        expect((await store.spend([{ ...first, cost: 5 }])).ok, 'the first').to.equal(false)
        expect((await store.spend([{ ...first, cost: 4 }])).ok, 'the rest of the first').to.equal(true)
      })

      it(`lets exactly the least of several capacities through of ${RIVALS} rivals`, async () => {
        const { gid } = freshGrant()
        const buckets = [3, 4, 9].map((capacity, place) => ({ ...budget, key: `tb:{${gid}}:${place}`, capacity }))
        const spendings = await rivals((rival) => door(rival).spend(buckets))
        expect(countOf(spendings, ({ ok }) => ok)).to.equal(3)
      })

      it('has nothing to refuse where nothing is counted', async () => {
        expect(await store.spend([])).to.deep.equal({ ok: true, retryAfterMs: 0 })
      })

      it('is full again when it has been removed', async () => {
        const key = `tb:${freshGrant().gid}`
        await store.spend([{ key, ...budget, cost: 5 }])
        expect(await store.remove([key])).to.equal(1)
        expect((await store.spend([{ key, ...budget, cost: 5 }])).ok).to.equal(true)
      })

      it('asks without taking at cost 0', async () => {
        const key = `tb:${freshGrant().gid}`
        expect((await store.spend([{ key, ...budget, cost: 5 }])).ok).to.equal(true)
        expect(await store.spend([{ key, ...budget, cost: 0 }])).to.deep.equal({ ok: true, retryAfterMs: 0 })
        expect((await store.spend([{ key, ...budget }])).ok).to.equal(false)
      })
    })

    it('answers its check', () => store.check())
  })
}
