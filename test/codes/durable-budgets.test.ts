/** What bounds the guessing of codes, when Redis forgets everything. */
import { expect } from 'chai'
import { openRedis } from '../../src/storage/redis.ts'
import { PASSWORD } from '../support/code-flow.ts'
import { forgetBelow, storeUrl } from '../support/database.ts'
import { codeIn, mailTo } from '../support/mailed.ts'
import { startWorld, type World } from '../support/world.ts'

const SHORT = /^\d{6}$/
const LONG = /^[0-9a-f]{32}$/
const SHORT_CODES_A_DAY = 5
const FAILURES_AT_ONCE = 5_000

describe('the budgets of codes', function () {
  this.timeout(60_000)
  let world: World
  let serial = 0

  before(async () => {
    world = await startWorld({ servers: 0 })
  })
  after(() => world?.stop())

  async function flush(): Promise<void> {
    const redis = await openRedis(storeUrl())
    await forgetBelow(redis, world.config.redisPrefix)
    await redis.quit()
  }
  async function somebody() {
    serial += 1
    const email = `budget-${serial}@example.org`
    return world.core.accounts.create({ email, password: PASSWORD, emailVerified: true })
  }
  /** Delivers a code, and answers it. */
  async function nextCode(email: string): Promise<string> {
    await flush() // which also forgets how often somebody was mailed
    const before = (await mailTo(world, email)).length
    await world.core.passwordReset.deliver({ email })
    const [newest, ...older] = await mailTo(world, email)
    if (!newest || older.length !== before) throw new Error('nothing was mailed')
    return codeIn(newest)
  }

  it('of one account are not given back by a flushed Redis', async () => {
    const { email } = await somebody()
    for (let count = 0; count < SHORT_CODES_A_DAY; count += 1) expect(await nextCode(email)).to.match(SHORT)
    expect(await nextCode(email)).to.match(LONG)
    expect(await nextCode((await somebody()).email)).to.match(SHORT)
  })

  it('of everybody are not either', async () => {
    const { email } = await somebody()
    const { db } = world.stores.database
    expect(await nextCode(email)).to.match(SHORT)
    const confirm = (code: string) =>
      world.core.passwordReset.confirm({ email, code, newPassword: 'another long pass phrase', from: '192.0.2.9' })
    const guess = () => confirm('000000').catch((error) => expect(error.code).to.equal('invalid_code'))
    await guess()
    const buckets = await db
      .selectFrom('ephemeral_buckets')
      .selectAll()
      .where('key', 'like', 'limit:code-failure:%')
      .execute()
    expect(buckets).to.have.length(1)
    expect(Math.round(FAILURES_AT_ONCE - Number(buckets[0]?.tokens))).to.equal(1)

    // As if others had guessed all day.
    await db.updateTable('ephemeral_buckets').set({ tokens: 0 }).where('key', 'like', 'limit:code-failure:%').execute()
    const code = await nextCode(email)
    expect(code).to.match(LONG)
    await confirm(code)
  })
})
