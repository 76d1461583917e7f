import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { refusal } from '../support/refusal.ts'

const run = promisify(execFile)
const poolModule = new URL('../../src/accounts/hash-pool.ts', import.meta.url).href

describe('the hash pool', () => {
  let pool: HashPool
  afterEach(() => pool.close())

  it('verifies what it hashed', async () => {
    pool = createHashPool({ workers: 1 })
    const hash = await pool.hash('correct horse battery')
    expect(await pool.verify(hash, 'correct horse battery')).to.deep.equal({ matches: true, needsRehash: false })
    expect((await pool.verify(hash, 'wrong')).matches).to.equal(false)
  })

  it('answers 503 with Retry-After 1 at once when the queue is full, and does the jobs it took', async () => {
    pool = createHashPool({ workers: 2, queuePerWorker: 3 })
    const jobs = Array.from({ length: 20 }, () => pool.hash('correct horse battery'))
    const outcomes = await Promise.allSettled(jobs)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.lengthOf(8)
    const { status, retryAfterSeconds } = await refusal(jobs.at(-1) ?? Promise.resolve())
    expect({ status, retryAfterSeconds }).to.deep.equal({ status: 503, retryAfterSeconds: 1 })
    expect(await pool.hash('there is room again')).to.be.a('string')
  })

  for (const way of ['exit', 'throw']) {
    it(`answers the job of a worker that dies (${way}) with 503 and the next by a new worker`, async () => {
      pool = createHashPool({ workers: 1, workerModule: new URL('./dying-hash-worker.ts', import.meta.url) })
      const outcomes = await Promise.allSettled([
        pool.hash('first'),
        pool.hash(way),
        pool.hash('third'),
        pool.hash('last'),
      ])
      expect(outcomes.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
      expect((await refusal(pool.hash(way))).status).to.equal(503)
      expect(await pool.hash('correct horse battery')).to.be.a('string')
    })
  }

  it('gives no job to a worker that died while it was idle', async () => {
    pool = createHashPool({ workers: 1, workerModule: new URL('./dying-hash-worker.ts', import.meta.url) })
    await pool.hash('answer, then exit')
    await new Promise((resolve) => setTimeout(resolve, 100))
    // The first of these may meet the dying worker; none may wait for ever.
    await Promise.allSettled([pool.hash('first')])
    expect(await pool.hash('second')).to.be.a('string')
  })

  it('answers waiting jobs with 503 when it closes, and takes no more', async () => {
    pool = createHashPool({ workers: 1 })
    const jobs = [pool.hash('one'), pool.hash('two'), pool.hash('three')].map(refusal)
    await pool.close()
    expect((await Promise.all(jobs)).map(({ status }) => status)).to.deep.equal([503, 503, 503])
    expect((await refusal(pool.hash('four'))).status).to.equal(503)
  })

  it('lets a command line wait for its hash and then exit, without being closed', async () => {
    pool = createHashPool({ workers: 1 })
    const program = `import { createHashPool } from '${poolModule}'; console.log(await createHashPool().hash('x'))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { timeout: 8000 })
    expect(stdout).to.match(/^\$argon2id\$/)
  })
})
