/** Every route of the API is declared, and its declaration says everything: the whole server, composed and asked by nobody. */
import { readFileSync } from 'node:fs'
import Router from '@koa/router'
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js'
import { expect } from 'chai'
import { withUnusedServer } from '../../src/cli/unused-server.ts'
import type { Route } from '../../src/http/route.ts'

/** What answers without being a declared route; each with its reason. */
const UNDECLARED: readonly string[] = []

const ANSWERED_WITHOUT_BODY = new Set([204, 304])

describe('the routes of the API', function () {
  this.timeout(30_000)
  let routes: readonly Route[]
  let mounted: { method: string; path: string }[]

  before(() =>
    withUnusedServer((server) => {
      routes = server.routes()
      const router = new Router()
      for (const mount of server.mounts) mount(router)
      mounted = router.stack.flatMap(({ methods, path }) =>
        methods.filter((method) => method !== 'HEAD').map((method) => ({ method, path: String(path) })),
      )
    }),
  )

  it('are declared, every one below /api/v1 and /access/v1', () => {
    const declared = new Set(routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`))
    const found = mounted
      .filter(({ path }) => /^\/(api|access)\/v1(\/|$)/.test(path))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    expect(found).to.include('GET /api/v1/me')
    expect(found.filter((route) => !declared.has(route) && !UNDECLARED.includes(route))).to.deep.equal([])
  })

  it('have schemas that are JSON Schema 2020-12 and nothing else, and so have the settings and the file of apply', () => {
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateSchema: false })
    const faultsIn = (schema: AnySchema): string => (ajv.validateSchema(schema) ? '' : ajv.errorsText(ajv.errors))
    const declared = routes.flatMap(({ id, body, answers, query = {} }) =>
      [body, ...Object.values(answers).map(({ schema }) => schema), ...Object.values(query).map(({ schema }) => schema)]
        .filter((schema) => schema !== undefined)
        .map((schema) => [id, faultsIn(schema)] as const),
    )
    const files = ['schema.json', 'apply.schema.json'].map((name) => {
      const text = readFileSync(new URL(`../../config/${name}`, import.meta.url), 'utf8')
      return [name, faultsIn(JSON.parse(text))] as const
    })
    expect(declared.length).to.be.greaterThan(100)
    expect([...declared, ...files].filter(([, fault]) => fault !== '')).to.deep.equal([])
    expect(faultsIn({ type: 'strin' })).to.include('must be equal to one of the allowed values')
  })

  it('stand on the router, every one that is declared', () => {
    const found = new Set(mounted.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`))
    const missing = routes.filter(({ method, path }) => !found.has(`${method.toUpperCase()} ${path}`))
    expect(missing.map(({ id }) => id)).to.deep.equal([])
  })

  it('say what they are for, and what a body of theirs looks like', () => {
    for (const { id, summary, tag, answers } of routes) {
      expect(summary, id).to.match(/^[A-Z].{4,78}[^.]$/)
      expect(tag, id).to.match(/^[A-Z]/)
      expect(Object.keys(answers), id).not.to.deep.equal([])
      for (const [status, { schema, description }] of Object.entries(answers)) {
        expect(description, `${id} ${status}`).not.to.equal('')
        const isBare = ANSWERED_WITHOUT_BODY.has(Number(status))
        expect(schema === undefined, `${id} ${status} ${isBare ? 'has a schema' : 'lacks a schema'}`).to.equal(isBare)
      }
    }
  })

  it('say who may call them: nobody by oversight', () => {
    for (const { id, who } of routes) expect(Object.keys(who), id).not.to.deep.equal([])
    const open = routes.filter(({ who }) => who.anyone).map(({ id }) => id)
    expect(open).to.have.members([
      'signIn',
      'refreshSession',
      'signOut',
      'register',
      'verifyRegistration',
      // Judges the token it is given.
      'validateToken',
      'getAuthzenConfiguration',
      'requestPasswordReset',
      'confirmPasswordReset',
    ])
  })

  it('declare nothing for anybody that other ways in would narrow', () => {
    for (const { id, who } of routes) if (who.anyone) expect(who, id).to.deep.equal({ anyone: true })
  })
})
