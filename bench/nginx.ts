/** nginx with the configuration we ship, on loopback and without TLS, in front of so many processes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './process.ts'

const EXAMPLE = new URL('../config/nginx.example.conf', import.meta.url)

export interface Front {
  address: string
  stop(): Promise<void>
}

/** The shipped configuration for these upstreams; it differs in addresses and TLS alone. */
export async function nginxConfig(
  directory: string,
  { port, upstreams }: { port: number; upstreams: readonly string[] },
): Promise<string> {
  const example = await readFile(EXAMPLE, 'utf8')
  const [first = '', ...others] = example.match(/^ +server 127\.0\.0\.1:\d+ .*$/gm) ?? []
  const servers = upstreams.map((upstream) => first.replace(/127\.0\.0\.1:\d+/, new URL(upstream).host))
  const own = others
    .reduce((text, line) => text.replace(`${line}\n`, ''), example)
    .replace(first, servers.join('\n'))
    .replace(/^ +ssl_.*\n/gm, '')
    .replace('listen 443 ssl;', `listen 127.0.0.1:${port};\n    access_log off;`)
    .replace('http {', `http {\n${TEMPORARY.map((kind) => `  ${kind}_temp_path ${join(directory, kind)};`).join('\n')}`)
  return `pid ${join(directory, 'nginx.pid')};\nerror_log ${join(directory, 'nginx.log')} warn;\ndaemon off;\n${own}`
}

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

export async function startNginx(
  directory: string,
  upstreams: readonly string[],
  pinned: (command: string[]) => string[] = (command) => command,
): Promise<Front> {
  const port = await freePort()
  const file = join(directory, `nginx-${port}.conf`)
  const config = (await nginxConfig(directory, { port, upstreams })).replace('nginx.pid', `nginx-${port}.pid`)
  await writeFile(file, config)
  const [program = '', ...rest] = pinned(['nginx', '-c', file, '-e', join(directory, 'nginx.log')])
  const child = spawn(program, rest, { stdio: 'ignore' })
  const ended = once(child, 'exit')
  const isUp = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
  for (let tries = 0; !(await isUp()); tries += 1) {
    if (child.exitCode !== null || tries > 200) throw new Error(`nginx does not listen; see ${directory}/nginx.log`)
    await sleep(20)
  }
  return {
    address: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
