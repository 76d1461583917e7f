import { expect } from 'chai'
import type { Context } from 'koa'
import type { Actor } from '../../src/audit-event.ts'
import { AppError, Unavailable } from '../../src/errors.ts'
import { createErrorHandler } from '../../src/http/error-handler.ts'
import { createIdempotency } from '../../src/http/idempotency.ts'
import { createRequestId } from '../../src/http/request-id.ts'
import type { Ephemeral } from '../../src/storage/ephemeral.ts'
import { type OpenStores, openStores } from '../support/open-stores.ts'
import { type Answer, makeLog, makeRenderer, serve } from './serve.ts'

const ISSUER = 'https://id.example.test'
const KEY = 'a-key-of-the-caller'
const SECRET = 'shown-this-once-and-never-again'
const PASSWORD = 'correct horse battery staple'

const anna: Actor = { kind: 'account', id: 'anna' }

for (const kind of ['redis', 'sql'] as const) {
  describe(`a creation with an Idempotency-Key, kept in ${kind}`, () => {
    let stores: OpenStores
    let server: Awaited<ReturnType<typeof serve>>
    let written: string[]
    let work: (ctx: Context) => Promise<void>
    let works: number
    let attempt: { route: string; actor: Actor; body: unknown }
    let serial = 0
    let isStoreGone = false

    before(async () => {
      stores = await openStores()
      const store = watched(stores[kind])
      const idempotency = createIdempotency({ ephemeral: store, secret: 'a secret of the server' })
      server = await serve([
        createRequestId(),
        createErrorHandler({ logger: makeLog().logger, render: makeRenderer(ISSUER).render }),
        async (ctx) => idempotency(ctx, attempt, () => work(ctx)),
      ])
    })
    after(async () => {
      await server.close()
      await stores.close()
    })
    beforeEach(() => {
      serial += 1
      works = 0
      written = []
      isStoreGone = false
      attempt = { route: `create-${serial}`, actor: anna, body: { name: 'x', password: PASSWORD } }
      work = async (ctx) => {
        works += 1
        ctx.status = 201
        ctx.set('Location', `/things/${works}`)
        ctx.set('ETag', '"v"')
        ctx.set('Cache-Control', 'no-store')
        ctx.body = { id: works, secret: SECRET, name: 'Ё' }
      }
    })

    /** Notes every value that is written, and can be gone. */
    function watched(store: Ephemeral): Pick<Ephemeral, 'get' | 'put' | 'swap' | 'remove'> {
      return {
        get: (keys) => store.get(keys),
        remove: (keys) => store.remove(keys),
        put(key, value, options) {
          written.push(key, value)
          return store.put(key, value, options)
        },
        async swap(key, from, to, options) {
          if (isStoreGone) throw new Unavailable('the store')
          written.push(key, to)
          return store.swap(key, from, to, options)
        },
      }
    }
    const ask = (key: string | undefined = KEY): Promise<Answer> =>
      server.ask({ method: 'POST', path: '/api/v1/things', headers: key === '' ? {} : { 'Idempotency-Key': key } })
    const codeOf = ({ body }: Answer): string => JSON.parse(body).code
    const essence = ({ status, headers, body }: Answer) => ({
      ...{ status, body },
      ...{ location: headers.location, etag: headers.etag, cache: headers['cache-control'] },
      type: headers['content-type'],
    })

    it('gives the first answer again, and says so', async () => {
      const first = await ask()
      const again = await ask()
      expect(works).to.equal(1)
      expect(essence(first)).to.include({ status: 201, location: '/things/1', etag: '"v"', cache: 'no-store' })
      expect(essence(again)).to.deep.equal(essence(first))
      expect([first.headers['idempotent-replayed'], again.headers['idempotent-replayed']]).to.deep.equal([
        undefined,
        'true',
      ])
    })

    it('refuses another request with the same key', async () => {
      await ask()
      attempt = { ...attempt, body: { name: 'y' } }
      const other = await ask()
      expect([other.status, codeOf(other), works]).to.deep.equal([409, 'conflict', 1])
    })

    it('does the work once for simultaneous requests; the others are told to ask again, or get the answer', async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const answering = work
      work = async (ctx) => {
        await promise
        await answering(ctx)
      }
      const asked = Array.from({ length: 8 }, () => ask())
      // All but the one that works are answered while it works.
      const early: Answer[] = []
      for (const answer of asked) void answer.then((got) => early.length < 7 && early.push(got) === 7 && resolve())
      const answers = await Promise.all(asked)
      expect(works).to.equal(1)
      expect(answers.map(({ status }) => status).sort()).to.deep.equal([201, ...Array(7).fill(409)])
      for (const { headers } of early) expect(headers['retry-after']).to.equal('1')
      expect((await ask()).status).to.equal(201)
    })

    it('frees the key at once when the work fails', async () => {
      const working = work
      work = async () => {
        throw new AppError('bad_request', 400, 'This was wrong.')
      }
      expect((await ask()).status).to.equal(400)
      work = working
      attempt = { ...attempt, body: { name: 'corrected' } }
      const second = await ask()
      expect([second.status, second.headers['idempotent-replayed'], works]).to.deep.equal([201, undefined, 1])
    })

    it('lets one of many in after a failure', async () => {
      const working = work
      work = async () => {
        throw new AppError('bad_request', 400, 'This was wrong.')
      }
      await ask()
      work = working
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask()))
      expect(works).to.equal(1)
      for (const { status } of answers) expect([201, 409]).to.include(status)
    })

    it('says what has happened when the store is gone by then', async () => {
      const working = work
      work = async (ctx) => {
        isStoreGone = true
        await working(ctx)
      }
      expect((await ask()).status).to.equal(201)
      isStoreGone = false
      attempt = { ...attempt, route: `${attempt.route}-failing` }
      work = async () => {
        isStoreGone = true
        throw new AppError('bad_request', 400, 'This was wrong.')
      }
      expect((await ask()).status).to.equal(400)
    })

    it('keeps the keys of callers and of routes apart', async () => {
      await ask()
      for (const other of [
        { ...attempt, actor: { kind: 'account', id: 'berta' } as const },
        { ...attempt, actor: { kind: 'client', id: 'anna' } as const },
        { ...attempt, route: `${attempt.route}-other` },
      ]) {
        const before = works
        attempt = other
        const { headers } = await ask()
        expect([works, headers['idempotent-replayed']]).to.deep.equal([before + 1, undefined])
      }
    })

    it('does not keep anything readable: neither key nor caller, neither request nor answer', async () => {
      await ask()
      expect(written.length).to.be.greaterThan(3)
      const { createHash } = await import('node:crypto')
      const plainDigest = createHash('sha256').update(JSON.stringify(attempt.body)).digest('base64url')
      const decoded = written.map(
        (text) => text + Buffer.from(text.split(' ').at(-1) ?? '', 'base64url').toString('latin1'),
      )
      for (const hidden of [KEY, 'anna', PASSWORD, plainDigest, SECRET, '/things/1']) {
        expect(decoded.join('\n')).not.to.contain(hidden)
      }
    })

    it('does the work each time without a key, and refuses a key of another form', async () => {
      await ask('')
      await ask('')
      expect([works, written]).to.deep.equal([2, []])
      for (const key of ['short', 'with a blank', 'x'.repeat(201), 'tab\tbed-key']) {
        expect([key, (await ask(key)).status]).to.deep.equal([key, 400])
      }
      expect(works).to.equal(2)
    })
  })
}
