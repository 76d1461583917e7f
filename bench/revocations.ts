/**
 * `node bin/runtime.js bench/revocations.ts [--rate 1000] [--seconds 10] [--listeners 3]`: how long a revocation takes
 * from the answer to whoever revoked until a service has heard of it. Listeners are processes of their own, at another
 * server process than the one that revokes.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { migrateUp } from '../src/storage/migrator.ts'
import { openPostgres } from '../src/storage/postgres.ts'
import { makeRunDirectory, startServices } from '../test/services.ts'
import { createDatabase } from '../test/support/database.ts'
import { listenTo } from '../test/support/event-stream.ts'
import { basic, send } from '../test/support/http.ts'
import { startWorld } from '../test/support/world.ts'

const SELF = fileURLToPath(import.meta.url)
const { LISTENER_OF: listenerOf = '' } = process.env
/** One clock for all processes of the machine. */
const now = () => performance.timeOrigin + performance.now()

if (listenerOf) await listen()
else await measure()

/** The listening process: says when it has everything in force, and at the end what arrived when. */
async function listen(): Promise<void> {
  const arrivals: [id: unknown, at: number][] = []
  const listener = await listenTo({
    ...JSON.parse(listenerOf),
    onEvent: ({ event, data }) => {
      if (event === 'revoked') arrivals.push([data.id, now()])
    },
  })
  await listener.next('snapshot_end')
  process.send?.('ready')
  await once(process, 'message')
  process.send?.(arrivals, () => process.exit(0))
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rate: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '10' },
      listeners: { type: 'string', default: '3' },
    },
  })
  const [rate, seconds, count] = [Number(values.rate), Number(values.seconds), Number(values.listeners)]
  const directory = await makeRunDirectory()
  const services = await startServices(directory, ['PostgreSQL', 'Redis'])
  const urlOf = (name: string) => services.find((service) => service.name === name)?.url ?? ''
  const model = await createDatabase(urlOf('PostgreSQL'))
  const open = await openPostgres(model.url)
  await migrateUp(open)
  await open.close()
  Object.assign(process.env, {
    TEST_RUN_DIRECTORY: directory,
    TEST_DATABASE_URL: urlOf('PostgreSQL'),
    TEST_DATABASE_TEMPLATE: model.name,
    TEST_REDIS_URL: urlOf('Redis'),
  })
  const world = await startWorld({ servers: 2, env: { USHER_LOG_LEVEL: 'warn' } })
  try {
    const { secret = '' } = await world.core.clients.create({
      id: 'service',
      type: 'machine',
      grantTypes: ['client_credentials'],
      scopes: ['events:read'],
    })
    const [address = '', other = ''] = world.servers.map((server) => server.address)
    const ask = (path: string, form: Record<string, string>) =>
      send(address, world.issuer, path, { form, headers: { Authorization: basic('service', secret) } })
    const newToken = async () =>
      String(
        (await ask('/oauth2/token', { grant_type: 'client_credentials', scope: 'events:read' })).json().access_token,
      )

    const listeners = []
    for (let place = 0; place < count; place += 1) {
      const bearer = await newToken()
      const child = fork(SELF, {
        env: { ...process.env, LISTENER_OF: JSON.stringify({ address: other, issuer: world.issuer, bearer }) },
      })
      await once(child, 'message')
      listeners.push(child)
    }

    const total = rate * seconds
    const tokens: string[] = []
    while (tokens.length < total) tokens.push(...(await Promise.all(Array.from({ length: 50 }, newToken))))
    const answeredAt = new Map<string, number>()
    let failed = 0
    const underWay: Promise<void>[] = []
    const begunAt = now()
    for (let sent = 0; sent < total; ) {
      const due = Math.min(total, Math.floor(((now() - begunAt) / 1_000) * rate))
      for (; sent < due; sent += 1) underWay.push(revoke(tokens[sent] ?? ''))
      await sleep(1)
    }
    await Promise.all(underWay)
    const took = (now() - begunAt) / 1_000
    await sleep(2_000)

    async function revoke(token: string): Promise<void> {
      const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
      const { status } = await ask('/oauth2/revoke', { token })
      if (status === 200) answeredAt.set(jti, now())
      else failed += 1
    }

    console.log(`${answeredAt.size} revocations in ${took.toFixed(1)} s, ${failed} failed`)
    for (const [place, child] of listeners.entries()) {
      const received = once(child, 'message')
      child.send('tell')
      const [arrivals] = (await received) as [[string, number][]]
      const arrivedAt = new Map(arrivals.toReversed())
      const delays = [...answeredAt].map(([id, at]) => (arrivedAt.get(id) ?? Number.POSITIVE_INFINITY) - at)
      delays.sort((one, next) => one - next)
      const at = (share: number) =>
        (delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? 0).toFixed(1)
      const lost = delays.filter((delay) => delay === Number.POSITIVE_INFINITY).length
      console.log(`listener ${place + 1}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms, ${lost} never came`)
    }
  } finally {
    await world.stop()
    await Promise.all(services.map((service) => service.stop()))
    await rm(directory, { recursive: true, force: true })
  }
}
