/**
 * `node bin/runtime.js bench/revocations.ts [--rate 1000] [--seconds 10] [--listeners 3] [--json]`: how long a revocation
 * takes from the answer to whoever revoked until a service has heard of it, and until another server process refuses the
 * token. Listeners are processes of their own, at another server process than the one that revokes.
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
import type { Delay, RevocationLatency } from './revocation-latency.ts'
import { quantile } from './statistics.ts'

/** Of every so many revoked tokens the other process is asked about one. */
const ASKED_OF = 5
const GIVEN_UP_MS = 10_000

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
      json: { type: 'boolean', default: false },
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
    const refusals: number[] = []
    const underWay: Promise<void>[] = []
    const begunAt = now()
    for (let sent = 0; sent < total; ) {
      const due = Math.min(total, Math.floor(((now() - begunAt) / 1_000) * rate))
      for (; sent < due; sent += 1) underWay.push(revoke(tokens[sent] ?? '', sent % ASKED_OF === 0))
      await sleep(1)
    }
    await Promise.all(underWay)
    const took = (now() - begunAt) / 1_000
    await sleep(2_000)

    /** Asks the other process over and over until it refuses. */
    async function untilRefused(token: string, since: number): Promise<void> {
      for (;;) {
        const askedAt = now()
        const headers = { Authorization: `Bearer ${token}` }
        const reply = await send(other, world.issuer, '/api/v1/auth_token/validation', { headers })
        if (reply.status !== 200) {
          refusals.push(Math.max(0, askedAt - since))
          return
        }
        if (now() - since > GIVEN_UP_MS) throw new Error('a revoked token is still valid at another process')
        await sleep(2)
      }
    }

    async function revoke(token: string, isAsked: boolean): Promise<void> {
      const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
      const { status } = await ask('/oauth2/revoke', { token })
      if (status !== 200) {
        failed += 1
        return
      }
      const at = now()
      answeredAt.set(jti, at)
      if (isAsked) await untilRefused(token, at)
    }

    const found: RevocationLatency = {
      revocations: answeredAt.size,
      failed,
      seconds: took,
      refusal: delayOf(refusals),
      listeners: [],
    }
    for (const child of listeners) {
      const received = once(child, 'message')
      child.send('tell')
      const [arrivals] = (await received) as [[string, number][]]
      const arrivedAt = new Map(arrivals.toReversed())
      // Some hear of it before the answer has arrived.
      const delays = [...answeredAt].map(([id, at]) =>
        Math.max(0, (arrivedAt.get(id) ?? Number.POSITIVE_INFINITY) - at),
      )
      const lost = delays.filter((delay) => delay === Number.POSITIVE_INFINITY).length
      found.listeners.push({ ...delayOf(delays), lost })
    }
    if (values.json) console.log(JSON.stringify(found))
    else tell(found)
  } finally {
    await world.stop()
    await Promise.all(services.map((service) => service.stop()))
    await rm(directory, { recursive: true, force: true })
  }
}

function delayOf(delays: readonly number[]): Delay {
  return { p50Ms: quantile(delays, 0.5), p99Ms: quantile(delays, 0.99), mostMs: quantile(delays, 1) }
}

function tell({ revocations, failed, seconds, refusal, listeners }: RevocationLatency): void {
  const line = (name: string, { p50Ms, p99Ms, mostMs }: Delay) =>
    console.log(`${name}: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, most ${mostMs.toFixed(1)} ms`)
  console.log(`${revocations} revocations in ${seconds.toFixed(1)} s, ${failed} failed`)
  line('refused by the other process', refusal)
  for (const [place, listener] of listeners.entries()) line(`listener ${place + 1}, ${listener.lost} lost`, listener)
}
