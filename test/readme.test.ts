/** The tour of README.md, block by block in one shell against a fresh server, and what the banner says to paste. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { chromium } from 'playwright-core'
import { temporaryDirectory } from './support/database.ts'
import { freePort, type ServerProcess, startServer } from './support/world.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const executablePath = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium-headless-shell'

/** Not run here: they install, or run everything including this test. */
const LEFT_OUT = ['npm ci && npm start', 'npm ci && npm test', 'npm ci']
/** What a block must print, by a piece of it. */
const EXPECTED: readonly [piece: string, output: RegExp][] = [
  ['client create --id cli', /client_id: +cli/],
  ['code-flow.js', /Signed in[\s\S]*"?email"?: 'admin@example\.org'[\s\S]*Userinfo says/],
  ['verify-token.js', /"aud": "\S+\/api\/v1"[\s\S]*"aud": "https:\/\/orders\.example\.org"/],
  ['localhost:4000/me', /"client":"demo","roles":\["superuser"/],
  ['grant_type=refresh_token', /"refresh_token":"ey/],
  ['/oauth2/introspect', /"active":true[\s\S]*\{"active":false\}/],
  ['$API/registration -H', /\{"status":"accepted"\}/],
  ['$API/registration/verify', /"email":"ada@example\.org"/],
  ['$API/me/sessions', /"current":true[\s\S]*"code":"unauthenticated"/],
  ['$API/roles/$ROLE/permissions', /"key":"orders:edit"[\s\S]*"key":"editor"/],
  ['$API/auth_token/validation', /Token is valid[\s\S]*Token has been revoked/],
  ['combined_permissions/validation?', /"valid":true[\s\S]*"editor"[\s\S]*"missing":\["orders:ship","orders:admin"\]/],
  ['access_token.split', /\[ 'editor', 'user' \]/],
  ['/access/v1/evaluation', /\{"decision":true\}/],
  ['localhost:4100/orders', /"asked_by":"worker"[\s\S]*"code":"invalid_token"/],
]

describe('README.md', function () {
  this.timeout(120_000)
  let home: string
  let shell: Shell
  let server: ServerProcess | undefined
  let env: Record<string, string>
  const background: ChildProcess[] = []

  before(async () => {
    home = await temporaryDirectory('readme')
    for (const name of ['bin', 'src', 'views', 'config', 'migrations', 'examples', 'node_modules', 'package.json']) {
      await symlink(join(ROOT, name), join(home, name))
    }
    env = {
      PATH: await pathOfAPerson(home),
      HOME: process.env.HOME ?? home,
      USHER_PORT: String(await freePort()),
      USHER_DATA_DIR: join(home, 'data'),
      USHER_KEYS_DIR: join(home, 'keys'),
    }
    shell = openShell(home, env)
  })
  after(async () => {
    for (const child of background) child.kill()
    shell?.close()
    await server?.stop()
  })

  it('says only what works, block by block', async () => {
    const blocks = bashBlocks(await readFile(join(ROOT, 'README.md'), 'utf8'))
    const [apiPort, servicePort] = [String(await freePort()), String(await freePort())]
    const adapted = (block: string) =>
      block
        .replaceAll('localhost:3000', `localhost:${env.USHER_PORT}`)
        .replace('localhost:4000', `localhost:${apiPort}`)
        .replace(/(resource-service\.js \S+) 4000/, `$1 ${apiPort}`)
        .replaceAll('localhost:4100', `localhost:${servicePort}`)
        .replace(/(service\.js \S+) 4100/, `$1 ${servicePort}`)
        .replace(/^PASSWORD=.*$/m, `PASSWORD='${passwordIn(server)}'`)

    for (const block of blocks.filter((text) => !LEFT_OUT.includes(text))) {
      if (block === 'npm start') server = await startServer(env)
      else if (block.startsWith('node examples/resource-service.js')) {
        background.push(await startInBackground(adapted(block), home, env))
      } else {
        const isSignIn = block.includes('code-flow.js')
        const output = await shell.run(adapted(block), isSignIn ? (address) => signInAt(address, server) : undefined)
        for (const [piece, expected] of EXPECTED) if (block.includes(piece)) expect(output, block).to.match(expected)
      }
    }
    for (const [piece] of EXPECTED)
      expect(
        blocks.some((block) => block.includes(piece)),
        piece,
      ).to.equal(true)
    for (const block of [...LEFT_OUT, 'npm start']) expect(blocks).to.include(block)
  })

  it('is not alone: what the banner says to paste works as it is', async () => {
    const commands = (server?.lines ?? [])
      .filter((line) => line.startsWith('    '))
      .slice(3)
      .join('\n')
    expect(commands).to.include('curl').and.include('verify-token.js')
    expect(await shell.run(commands)).to.match(/"client_id": "demo"/)
  })

  it('names files that exist', async () => {
    for (const document of [
      'README.md',
      'CONTRIBUTING.md',
      'SECURITY.md',
      'CHANGELOG.md',
      'docs/operations.md',
      'docs/permissions.md',
      'docs/tokens.md',
      'docs/ARCHITECTURE.md',
    ]) {
      const text = await readFile(join(ROOT, document), 'utf8')
      const folder = document.includes('/') ? join(ROOT, 'docs') : ROOT
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
        expect(existsSync(join(folder, target)), `${target} in ${document}`).to.equal(true)
      }
    }
  })
})

const bashBlocks = (markdown: string): string[] =>
  [...markdown.matchAll(/^```bash\n([\s\S]*?)\n```$/gm)].map(([, block = '']) => block)

const passwordIn = (server: ServerProcess | undefined): string =>
  /password +(\S+)/.exec(server?.lines.join('\n') ?? '')?.[1] ?? 'no server yet'

/** The PATH without what npm puts in front of it, and with something in the place of a missing curl. */
async function pathOfAPerson(home: string): Promise<string> {
  const directories = (process.env.PATH ?? '').split(delimiter).filter((path) => !path.includes('node_modules'))
  if (directories.some((path) => existsSync(join(path, 'curl')))) return directories.join(delimiter)
  const own = join(home, 'own-bin')
  await mkdir(own)
  await cp(join(ROOT, 'test/support/curl.js'), join(own, 'curl'))
  await chmod(join(own, 'curl'), 0o755)
  return [own, ...directories].join(delimiter)
}

interface Shell {
  /** Runs a block and answers what it printed; `onAddress` gets the first indented address while it runs. */
  run(block: string, onAddress?: (address: string) => Promise<void>): Promise<string>
  close(): void
}

/** One bash for all blocks, so that variables live on as in a terminal. */
function openShell(cwd: string, env: Record<string, string>): Shell {
  const bash = spawn('bash', { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
  bash.stdin.write('set -eo pipefail\n')
  let output = ''
  let heard = () => {}
  for (const stream of [bash.stdout, bash.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      heard()
    })
  }
  return {
    async run(block, onAddress) {
      output = ''
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      let isTold = false
      heard = () => {
        const address = /^ {2}(http\S+)$/m.exec(output)?.[1]
        if (address && onAddress && !isTold) {
          isTold = true
          onAddress(address).catch(reject)
        }
        if (output.endsWith('@@END\n')) resolve(output)
      }
      const refuse = (code: number | null) => reject(new Error(`ended with ${code}: ${block}\n${output}`))
      bash.once('exit', refuse)
      bash.stdin.write(`${block}\necho '@@END'\n`)
      return promise.finally(() => bash.off('exit', refuse))
    },
    close: () => bash.kill(),
  }
}

async function startInBackground(command: string, cwd: string, env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn('bash', ['-c', `exec ${command}`], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.stdout.once('data', () => resolve())
  child.once('exit', (code) => reject(new Error(`${command} ended with ${code}`)))
  await promise
  return child
}

async function signInAt(address: string, server: ServerProcess | undefined): Promise<void> {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage()
    await page.goto(address)
    await page.locator('#login').fill('admin@example.org')
    await page.locator('#password').fill(passwordIn(server))
    await page.locator('#login-submit').click()
    await page.locator('#consent-submit').click()
    await page.getByText('You may close this window').waitFor()
  } finally {
    await browser.close()
  }
}
