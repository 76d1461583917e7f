/** The package as services get it: packed, installed into an empty project, and run there by an older Node. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../support/database.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SERVICE = fileURLToPath(new URL('service', import.meta.url))
const run = promisify(execFile)

export interface InstalledPackage {
  project: string
  /** Where the package lies in it. */
  installed: string
  /** What was packed. */
  files: string[]
}

/** An empty project with the package and the four frameworks. */
export async function installPackage(): Promise<InstalledPackage> {
  const home = await temporaryDirectory('package')
  const { stdout } = await run(process.execPath, [join(ROOT, 'bin/pack-verifier.js'), join(home, 'packed')])
  const tarball = stdout.trim()
  const files = (await run('tar', ['-tzf', tarball])).stdout.trim().split('\n')

  const project = join(home, 'project')
  await mkdir(project)
  await writeFile(join(project, 'package.json'), '{"type":"module","private":true}')
  // The dependency comes from here, so that no registry is asked.
  const dependencies = [tarball, join(ROOT, 'node_modules/jose')]
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...dependencies], { cwd: project })
  for (const name of ['koa', 'express', 'fastify', '@types']) {
    await symlink(join(ROOT, 'node_modules', name), join(project, 'node_modules', name))
  }
  await cp(join(SERVICE, 'main.js'), join(project, 'main.js'))
  // Under this name it does not belong to our own project, which has no such package.
  await cp(join(SERVICE, 'types.ts.sample'), join(project, 'types.ts'))
  return { project, installed: join(project, 'node_modules/@usher/verifier'), files }
}

export interface ServiceOptions {
  issuer: string
  audience: string
  credentials?: { clientId: string; clientSecret: string }
  /** By how much its clock is wrong. */
  clockOffsetMs?: number
}

export interface ServiceProcess {
  process: ChildProcess
  /** The door of each framework. */
  ports: Record<string, number>
  /** The version of Node that runs it. */
  node: string
  /** All that it wrote to its standard error. */
  complaints(): string
}

/** Starts a service and waits until its verifier is ready. */
export async function startService(project: string, options: ServiceOptions): Promise<ServiceProcess> {
  const { issuer, audience, credentials = { clientId: 'service', clientSecret: 'secret' }, clockOffsetMs = 0 } = options
  const { clientId, clientSecret } = credentials
  const argv = ['main.js', issuer, audience, clientId, clientSecret, String(clockOffsetMs)]
  const service = spawn(await oldestNode(), ['--unhandled-rejections=strict', ...argv], { cwd: project })
  let complaints = ''
  service.stderr.on('data', (text) => {
    complaints += text
  })
  const ended = once(service, 'exit').then(() => Promise.reject(new Error(complaints)))
  ended.catch(() => {})
  const [line] = await Promise.race([once(createInterface({ input: service.stdout }), 'line'), ended])
  const { ports, node } = JSON.parse(line)
  return { process: service, ports, node, complaints: () => complaints }
}

/** What a door of a service answers. */
export async function knock(port: number | undefined, token?: string): Promise<{ status: number; text: string }> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers })
  return { status: response.status, text: await response.text() }
}

/** Of those on the PATH and the one that runs the tests; 20 is the oldest that the package promises. */
async function oldestNode(): Promise<string> {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const candidates = [process.execPath, ...(process.env.PATH ?? '').split(delimiter).map((path) => join(path, name))]
  let [oldest, oldestMajor] = [process.execPath, Number(process.versions.node.split('.')[0])]
  for (const path of new Set(candidates.filter((file) => existsSync(file) && dirname(file) !== '.'))) {
    const { stdout } = await run(path, ['--version'])
    const major = Number(/^v(\d+)/.exec(stdout)?.[1])
    if (major >= 20 && major < oldestMajor) [oldest, oldestMajor] = [path, major]
  }
  return oldest
}
