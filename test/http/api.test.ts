/** Declared routes: the gate first, then every check, then the handler, and an answer that is as declared. */
import Router from '@koa/router'
import { expect } from 'chai'
import type { Context } from 'koa'
import { AppError } from '../../src/errors.ts'
import { type Api, createApi } from '../../src/http/api.ts'
import { createErrorHandler } from '../../src/http/error-handler.ts'
import type { Caller, Need } from '../../src/http/gatekeeper.ts'
import type { Attempt } from '../../src/http/idempotency.ts'
import { createRequestId } from '../../src/http/request-id.ts'
import type { Call, Route } from '../../src/http/route.ts'
import { objectOf } from '../../src/http/schema.ts'
import { type Answer, makeLog, makeRenderer, serve } from './serve.ts'

const ISSUER = 'https://id.example.test'
const ID = '01890000-0000-7000-8000-000000000000'
const CALLER: Caller = { kind: 'nobody', actor: { kind: 'system' } }

const THING: Route = {
  id: 'changeThing',
  method: 'post',
  path: '/api/v1/things/{id}',
  tag: 'Things',
  summary: 'Change a thing',
  who: { permissions: ['things_admin'] },
  query: { kind: { description: 'Of which kind.', schema: { enum: ['a', 'b'] } } },
  body: { type: 'object', additionalProperties: false, required: ['name'], properties: { name: { type: 'string' } } },
  answers: {
    200: { description: 'The thing.', schema: objectOf({ name: { type: 'string' } }) },
    204: { description: 'Nothing to say.' },
  },
}
const LIST: Route = {
  id: 'listThings',
  method: 'get',
  path: '/api/v1/things',
  tag: 'Things',
  summary: 'List the things',
  who: { anyone: true },
  page: { cursor: ['string'], search: 'How the name begins.' },
  answers: { 200: { description: 'Things.', schema: true } },
}

describe('declared routes', () => {
  let answering: (ctx: Context, call: Call<unknown>) => void
  let calls: Call<unknown>[]
  let admitted: { need: Need; params: Record<string, string> }[]
  let attempts: Attempt[]
  let isOpen: boolean
  let server: Awaited<ReturnType<typeof serve>>
  let lenient: Awaited<ReturnType<typeof serve>>
  const log = makeLog()

  const build = (checkAnswers: boolean): Api =>
    createApi({
      async admit(_ctx, need, params) {
        admitted.push({ need, params: { ...params } })
        if (!isOpen) throw new AppError('forbidden', 403, 'You may not do this.')
        return CALLER
      },
      async idempotency(_ctx, attempt, work) {
        attempts.push(attempt)
        await work()
      },
      checkAnswers,
    })

  async function serving(api: Api) {
    for (const route of [
      THING,
      LIST,
      { ...THING, id: 'createThing', path: '/api/v1/things', idempotent: true as const },
    ]) {
      api.add<unknown>(route, async (ctx, call) => {
        calls.push(call)
        answering(ctx, call)
      })
    }
    const router = new Router()
    api.mount(router)
    const { render } = makeRenderer(ISSUER)
    const errors = createErrorHandler({ logger: log.logger, render })
    return serve([], (app) => app.use(createRequestId()).use(errors).use(router.routes()))
  }

  before(async () => {
    server = await serving(build(true))
    lenient = await serving(build(false))
  })
  after(() => Promise.all([server.close(), lenient.close()]))
  beforeEach(() => {
    ;[calls, admitted, attempts, isOpen] = [[], [], [], true]
    log.lines.length = 0
    answering = (ctx) => {
      ctx.body = { name: 'x' }
    }
  })

  const post = (path: string, json: unknown = { name: 'x' }, headers = {}, to = server): Promise<Answer> =>
    to.ask({
      method: 'POST',
      path: `/api/v1/things${path}`,
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof json === 'string' ? json : JSON.stringify(json),
    })
  const list = (query: string): Promise<Answer> => server.ask({ path: `/api/v1/things${query}` })
  const problemOf = ({ status, body }: Answer) => {
    const { code, errors = [] } = JSON.parse(body)
    return { status, code, pointers: errors.map(({ pointer }: { pointer: string }) => pointer) }
  }

  it('hand on what was read and checked', async () => {
    const answer = await post(`/${ID}?kind=a`, { name: 'y' }, { 'If-Match': '"v"' })
    expect([answer.status, answer.body]).to.deep.equal([200, '{"name":"x"}'])
    expect(calls).to.have.lengthOf(1)
    expect(calls[0]).to.deep.include({ caller: CALLER, body: { name: 'y' }, ifMatch: '"v"' })
    expect({ ...calls[0]?.params }).to.deep.equal({ id: ID })
    expect({ ...calls[0]?.query }).to.deep.equal({ kind: 'a' })
    expect(admitted).to.deep.equal([{ need: THING.who, params: { id: ID } }])
  })

  it('ask the gate before they look at anything else', async () => {
    isOpen = false
    for (const answer of [
      await post('/nonsense?x=1', '{'),
      await post(`/${ID}`, { wrong: 1 }),
      await list('?limit=0'),
    ]) {
      expect(problemOf(answer)).to.deep.equal({ status: 403, code: 'forbidden', pointers: [] })
    }
    expect(calls).to.deep.equal([])
  })

  it('find nothing at an address whose parameter is malformed', async () => {
    for (const id of ['nonsense', ID.slice(1), `${ID}x`, encodeURIComponent(`${ID}\0`)]) {
      expect(problemOf(await post(`/${id}`))).to.include({ status: 404, code: 'not_found' })
    }
    expect(calls).to.deep.equal([])
  })

  it('refuse query parameters that are unknown, repeated or malformed', async () => {
    for (const [query, pointer] of [
      ['?sort=name', '/sort'],
      ['?kind=c', '/kind'],
      ['?kind=a&kind=b', '/kind'],
      ['?limit=1', '/limit'],
      ['?__proto__=x', '/__proto__'],
    ] as const) {
      const refused = problemOf(await post(`/${ID}${query}`))
      expect(refused, query).to.deep.equal({ status: 400, code: 'bad_request', pointers: [pointer] })
    }
    for (const query of [
      '?kind=a',
      '?limit=0',
      '?limit=1e1',
      '?limit=101',
      '?cursor=x',
      '?search=a&search=b',
      '?search=%00',
    ]) {
      expect(problemOf(await list(query)), query).to.include({ status: 400, code: 'bad_request' })
    }
    expect(calls).to.deep.equal([])
  })

  it('read pages', async () => {
    answering = (ctx) => {
      ctx.body = {}
    }
    const cursor = Buffer.from('["last"]').toString('base64url')
    await list('')
    await list(`?limit=7&search=ab&cursor=${cursor}`)
    expect(calls.map(({ page }) => page)).to.deep.equal([
      { limit: 20, cursor: undefined, search: undefined },
      { limit: 7, cursor: ['last'], search: 'ab' },
    ])
  })

  it('refuse bodies that are malformed, with a pointer to every fault', async () => {
    expect(problemOf(await post(`/${ID}`, { name: 1, is_admin: true })).pointers).to.have.members([
      '/name',
      '/is_admin',
    ])
    expect(problemOf(await post(`/${ID}`, {})).pointers).to.deep.equal(['/name'])
    expect(problemOf(await post(`/${ID}`, '{"__proto__":{}}'))).to.include({ status: 400 })
    expect(problemOf(await post(`/${ID}`, '{'))).to.include({ status: 400 })
    expect(problemOf(await post(`/${ID}`, {}, { 'Content-Type': 'text/plain' }))).to.include({ status: 415 })
    expect(calls).to.deep.equal([])
  })

  it('tell creations apart by their address as well as by their body', async () => {
    expect((await post('')).status).to.equal(200)
    expect(attempts).to.deep.equal([
      { route: 'createThing', actor: CALLER.actor, body: { params: {}, body: { name: 'x' } } },
    ])
    await post(`/${ID}`)
    expect(attempts).to.have.lengthOf(1)
  })

  describe('that are checked', () => {
    const BROKEN: [name: string, answer: (ctx: Context) => void][] = [
      ['a member too many', (ctx) => Object.assign(ctx, { body: { name: 'x', secret: 'y' } })],
      ['a member too few', (ctx) => Object.assign(ctx, { body: {} })],
      ['a member of another type', (ctx) => Object.assign(ctx, { body: { name: null } })],
      ['another type of content', (ctx) => Object.assign(ctx, { body: 'name' })],
      ['a status that is not declared', (ctx) => Object.assign(ctx, { status: 201, body: { name: 'x' } })],
      ['nothing at all', () => {}],
    ]
    for (const [name, breaking] of BROKEN) {
      it(`answer 500 for ${name}, and say in the log which route it was`, async () => {
        answering = breaking
        const answer = await post(`/${ID}`)
        expect(problemOf(answer)).to.deep.equal({ status: 500, code: 'server_error', pointers: [] })
        expect(log.lines.join('')).to.contain('changeThing')
        expect(answer.body).not.to.contain('changeThing')
      })
    }

    it('may answer each of what they declare', async () => {
      answering = (ctx) => {
        ctx.status = 204
      }
      expect((await post(`/${ID}`)).status).to.equal(204)
    })
  })

  it('send what they have in production, whatever they declare', async () => {
    answering = (ctx) => {
      ctx.body = { name: 'x', more: 1 }
    }
    expect((await post(`/${ID}`, { name: 'x' }, {}, lenient)).status).to.equal(200)
  })

  it('are refused when two have one name or one address', () => {
    const api = build(true)
    const handler = async () => {}
    api.add(THING, handler)
    expect(() => api.add({ ...THING, path: '/api/v1/others' }, handler)).to.throw(TypeError, 'two routes are called')
    const twin = { ...THING, id: 'other', path: '/api/v1/things/{thing_id}' }
    expect(() => api.add(twin, handler)).to.throw(TypeError, 'one address')
    api.add({ ...twin, method: 'put' }, handler)
    expect(api.routes().map(({ id }) => id)).to.deep.equal(['changeThing', 'other'])
  })
})
