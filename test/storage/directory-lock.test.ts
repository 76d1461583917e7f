import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { sql } from 'kysely'
import { DirectoryInUse, lockDirectory } from '../../src/storage/directory-lock.ts'
import { openPglite } from '../../src/storage/pglite.ts'
import { freshPgliteDirectory, temporaryDirectory } from '../support/database.ts'

const pglite = fileURLToPath(new URL('../../src/storage/pglite.ts', import.meta.url))

describe('the lock of the embedded database', function () {
  this.timeout(20_000)
  let directory: string
  const children: ChildProcess[] = []

  beforeEach(async () => {
    directory = join(await temporaryDirectory('lock'), 'db')
  })
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  /** Another process that opens the directory, writes a row and stays. */
  async function openElsewhere(): Promise<ChildProcess> {
    const script = `
      const { openPglite } = await import(${JSON.stringify(pglite)})
      const { db } = await openPglite(process.argv[1])
      await db.insertInto('installation').values({ key: 'written', value: 'elsewhere' }).execute()
      process.stdout.write('open')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    await once(child.stdout ?? child, 'data')
    return child
  }

  const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => undefined,
      (error) => error,
    )

  const plant = (holder: object): Promise<void> =>
    writeFile(`${directory}.lock`, JSON.stringify({ startedAt: '1', host: hostname(), nonce: 'n', ...holder }))

  it('refuses a second process in one line that names the first, and reopens with its data after its SIGKILL', async () => {
    ;({ directory } = await freshPgliteDirectory())
    const child = await openElsewhere()
    const failure = await failureOf(openPglite(directory))
    expect(failure).to.be.instanceOf(DirectoryInUse)
    expect(failure).to.have.property('pid', child.pid)
    expect(failure)
      .to.have.property('message')
      .that.matches(new RegExp(`^.*process ${child.pid}\\b.*$`))

    child.kill('SIGKILL')
    await once(child, 'exit')
    const database = await openPglite(directory)
    const { rows } = await sql`select value from installation where key = 'written'`.execute(database.db)
    expect(rows).to.deep.equal([{ value: 'elsewhere' }])
    await database.close()
  })

  it('refuses a second opening by the same process, and allows it after the first was closed', async () => {
    ;({ directory } = await freshPgliteDirectory())
    const first = await openPglite(directory)
    expect(await failureOf(openPglite(directory)))
      .to.be.instanceOf(DirectoryInUse)
      .with.property('pid', process.pid)
    await first.close()
    await (await openPglite(directory)).close()
    expect((await readdir(dirname(directory))).filter((name) => name.includes('lock'))).to.deep.equal([])
  })

  it('lets exactly one of many take a stale lock', async () => {
    for (let round = 0; round < 15; round += 1) {
      await plant({ pid: 2 ** 22 + 1 })
      const taken = await Promise.allSettled(Array.from({ length: 16 }, () => lockDirectory(directory)))
      const winners = taken.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      expect(winners, `round ${round}`).to.have.length(1)
      await winners[0]?.()
    }
  })

  it('refuses when a start was killed while it removed a stale lock, and says what to remove', async () => {
    await plant({ pid: 2 ** 22 + 1 })
    await writeFile(`${directory}.lock.reaping`, '')
    expect(await failureOf(lockDirectory(directory)))
      .to.have.property('message')
      .that.matches(/lock\.reaping was left/)
  })

  it('takes over from a process id that belongs to another process now', async () => {
    await plant({ pid: process.ppid })
    const unlock = await lockDirectory(directory)
    expect(JSON.parse(await readFile(`${directory}.lock`, 'utf8')).pid).to.equal(process.pid)
    await unlock()
  })

  it('takes over from its own process id of a former life, as in a restarted container', async () => {
    await plant({ pid: process.pid })
    await (await lockDirectory(directory))()
  })

  it('refuses the lock of another host and says how to clear it', async () => {
    await plant({ pid: process.pid, host: 'elsewhere.example' })
    const failure = await failureOf(lockDirectory(directory))
    expect(failure).to.be.instanceOf(DirectoryInUse)
    expect(failure)
      .to.have.property('message')
      .that.matches(/elsewhere\.example.*remove .*\.lock/)
  })

  it('refuses to guess about a lock file it cannot read', async () => {
    await writeFile(`${directory}.lock`, 'garbage')
    expect(await failureOf(lockDirectory(directory)))
      .to.have.property('message')
      .that.matches(/not a lock file/)
  })

  it('does not take away a lock that somebody else has taken over', async () => {
    const unlock = await lockDirectory(directory)
    await plant({ pid: process.ppid, nonce: 'another' })
    await unlock()
    expect(JSON.parse(await readFile(`${directory}.lock`, 'utf8')).nonce).to.equal('another')
  })
})
