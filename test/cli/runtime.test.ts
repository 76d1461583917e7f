import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { temporaryDirectory } from '../support/database.ts'

const BIN = fileURLToPath(new URL('../../bin', import.meta.url))
/** Makes this very Node one that cannot run TypeScript, as Node 20 cannot. */
const INCAPABLE = '--no-experimental-strip-types'
const { scripts } = JSON.parse(readFileSync(join(BIN, '../package.json'), 'utf8'))

describe('the launcher', () => {
  let dir: string
  before(async () => {
    dir = await temporaryDirectory('launcher')
  })

  const launch = (nodeFlags: string[], code: string, ...args: string[]) => {
    const entry = join(dir, 'entry.ts')
    writeFileSync(entry, `const flags: string[] = process.execArgv\n${code}`)
    const child = spawn(process.execPath, [...nodeFlags, join(BIN, 'runtime.js'), entry, ...args])
    return { child, out: text(child.stdout), err: text(child.stderr), end: once(child, 'exit') }
  }
  const SHOW = 'console.log(JSON.stringify([process.argv.slice(2), flags, process.execPath]))'

  it('runs through a link to its folder as well', async () => {
    const [linked, entry] = [join(dir, 'linked'), join(dir, 'linked-entry.ts')]
    symlinkSync(BIN, linked)
    writeFileSync(entry, "const said: string = 'here'\nconsole.log(said)")
    expect(await text(spawn(process.execPath, [join(linked, 'runtime.js'), entry]).stdout)).to.equal('here\n')
  })

  for (const [what, flags, gained] of [
    ['a Node that can', [], []],
    ['a Node that cannot', [INCAPABLE], scripts.start.match(/--max\S+/)],
  ] as const) {
    describe(`on ${what} run TypeScript`, () => {
      it('passes the arguments on, and prints nothing of its own', async () => {
        const { out, err, end } = launch([...flags], SHOW, 'a', '--b', 'c d')
        expect(await end).to.deep.equal([0, null])
        expect(JSON.parse(await out).slice(0, 2)).to.deep.equal([['a', '--b', 'c d'], [...gained]])
        expect(await err).to.equal('')
      })

      it('ends with the exit code of the program', async () => {
        expect(await launch([...flags], 'process.exit(7)').end).to.deep.equal([7, null])
      })

      it('passes SIGTERM on and waits for the program to end', async () => {
        const { child, out, end } = launch(
          [...flags],
          `process.on('SIGTERM', () => setTimeout(() => { console.log('stopped'); process.exit(3) }, 50))
          setTimeout(() => undefined, 20_000); console.log('ready')`,
        )
        await once(child.stdout, 'data')
        child.kill('SIGTERM')
        expect(await end).to.deep.equal([3, null])
        expect(await out).to.contain('stopped')
      })

      it('ends by the signal that ended the program', async () => {
        expect(await launch([...flags], `process.kill(process.pid, 'SIGKILL')`).end).to.deep.equal([null, 'SIGKILL'])
      })
    })
  }

  it('says what to do where neither it nor npm has brought a Node that can', async () => {
    cpSync(BIN, join(dir, 'bin'), { recursive: true })
    const child = spawn(process.execPath, [INCAPABLE, join(dir, 'bin/usher.js'), '--help'])
    const [err, end] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect(end).to.deep.equal([1, null])
    expect(err).to.contain('24.7').and.contain('npm ci')
    expect(err).to.not.contain('    at ')
  })

  it('runs through the link that npm makes for npx', async () => {
    symlinkSync(join(BIN, 'usher.js'), join(dir, 'usher'))
    const child = spawn(process.execPath, [join(dir, 'usher'), '--version'], { cwd: dir })
    expect(await text(child.stdout)).to.match(/^\d+\./)
  })
})
