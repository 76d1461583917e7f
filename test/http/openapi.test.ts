/** The description of the API: a linter of others finds nothing wrong with it, and it says what the routes declare. */
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { expect } from 'chai'
import { withUnusedServer } from '../../src/cli/unused-server.ts'
import { describeApi, type OpenApiDocument } from '../../src/http/openapi.ts'
import type { Route } from '../../src/http/route.ts'
import { objectOf } from '../../src/http/schema.ts'

const frame = {
  issuer: 'https://id.example.com',
  version: '1.2.3',
  endpoints: { authorization: '/oauth2/authorize', token: '/oauth2/token' },
}

const role = objectOf({ id: { type: 'string' }, key: { type: 'string' } }, 'Role')

const route = (more: Partial<Route> = {}): Route => ({
  id: 'getRole',
  method: 'get',
  path: '/api/v1/roles/{id}',
  tag: 'Roles',
  summary: 'Read a role',
  who: { account: true },
  answers: { 200: { description: 'The role.', schema: role } },
  ...more,
})

/** An operation as a reader of the document sees it. */
interface Operation {
  operationId: string
  description: string
  security: object[]
  parameters?: { $ref?: string; name?: string }[]
  requestBody?: { required: boolean }
  responses: Record<string, { $ref?: string; description?: string; headers?: object; content?: object }>
  'x-permissions'?: string[]
}

const operationOf = (one: Route): Operation => describeApi([one], frame).paths[one.path]?.[one.method] as Operation

/** Those the recommended set only warns of, or leaves out. */
const RULES = [
  ...['info-license', 'info-license-strict', 'operation-4xx-response', 'operation-operationId-unique'],
  ...['operation-summary', 'tag-description', 'operation-tag-defined', 'path-parameters-defined'],
  ...['no-unused-components', 'no-invalid-schema-examples', 'no-invalid-media-type-examples', 'struct'],
  ...['no-ambiguous-paths', 'security-defined', 'no-identical-paths'],
]

const problemsOf = async (document: OpenApiDocument): Promise<string[]> => {
  const rules = Object.fromEntries(RULES.map((name) => [name, 'error' as const]))
  // The description in the repository is that of an example.
  const config = await createConfig({ extends: ['recommended'], rules: { ...rules, 'no-server-example.com': 'off' } })
  const found = await lintFromString({ source: JSON.stringify(document), config, absoluteRef: 'openapi.json' })
  return found.map(({ ruleId, message, location }) => `${ruleId}: ${message} at ${location[0]?.pointer ?? ''}`)
}

describe('the description of the API', function () {
  this.timeout(60_000)
  let document: OpenApiDocument

  before(() =>
    withUnusedServer((server) => {
      document = server.describe()
    }),
  )

  it('passes a linter of OpenAPI 3.1 without a complaint, its examples included', async () => {
    expect(await problemsOf(document)).to.deep.equal([])
  })

  it('would not pass it with a fault', async () => {
    const broken = structuredClone(document)
    Object.assign(broken.components, { responses: {} })
    expect(await problemsOf(broken)).not.to.deep.equal([])
  })

  it('gives every name to one schema only', async () => {
    const titles = new Map<string, Set<string>>()
    await withUnusedServer(({ routes }) => {
      for (const { title, text } of routes().flatMap(titledIn)) {
        titles.set(title, (titles.get(title) ?? new Set()).add(text))
      }
    })
    expect([...titles].filter(([, texts]) => texts.size > 1).map(([title]) => title)).to.deep.equal([])
  })

  it('names a schema with a title once, also one within another', () => {
    const page = objectOf({ items: { type: 'array', items: role } })
    const list = route({ id: 'listRoles', path: '/api/v1/roles', answers: { 200: { description: '', schema: page } } })
    const described = describeApi([route(), list], frame)
    expect(described.components).to.have.nested.property('schemas.Role.properties.key')
    expect(JSON.stringify(described.paths)).not.to.contain('"key"')
  })

  it('keeps a second schema of one name where it is: neither is lied about', () => {
    const other = objectOf({ other: { type: 'string' } }, 'Role')
    const second = route({ id: 'x', path: '/api/v1/x', answers: { 200: { description: '', schema: other } } })
    const { paths } = describeApi([route(), second], frame)
    expect(JSON.stringify(paths['/api/v1/x'])).to.contain('"other"')
  })

  it('takes definitions of a schema to where their references find them', () => {
    const schema = { $ref: '#/$defs/Tree', $defs: { Tree: { type: 'array', items: { $ref: '#/$defs/Tree' } } } }
    const described = describeApi([route({ answers: { 200: { description: '', schema } } })], frame)
    expect(described.components).to.have.deep.nested.property('schemas.Tree', {
      type: 'array',
      items: { $ref: '#/components/schemas/Tree' },
    })
    expect(JSON.stringify(described)).not.to.contain('$defs')
  })

  it('asks for no token where anyone may call', () => {
    const { security, responses } = operationOf(route({ who: { anyone: true } }))
    expect(security).to.deep.equal([])
    expect(responses).not.to.have.any.keys('401', '403')
  })

  it('names permissions and scopes that let in', () => {
    const operation = operationOf(route({ who: { permissions: ['a_admin', 'all_all'], scopes: ['access:read'] } }))
    expect(operation['x-permissions']).to.deep.equal(['a_admin', 'all_all'])
    expect(operation.security).to.deep.equal([{ oauth2: ['openid'] }, { oauth2: ['access:read'] }, { bearer: [] }])
    expect(operation.description).to.contain('`a_admin` or `all_all`').and.to.contain('`access:read`')
  })

  it('describes what every route of a kind takes', () => {
    const names = ({ parameters = [] }: Operation) =>
      parameters.map(({ $ref, name }) => $ref?.split('/').at(-1) ?? name)
    const list = route({ path: '/api/v1/roles', page: { cursor: ['string'], search: 'Beginning of the key.' } })
    expect(names(operationOf(list))).to.deep.equal(['search', 'limit', 'cursor'])
    expect(names(operationOf(route({ ifMatch: true })))).to.deep.equal(['id', 'ifMatch'])
    expect(names(operationOf(route({ path: '/api/v1/roles', idempotent: true })))).to.deep.equal(['idempotencyKey'])
  })

  it('puts problems of one status together, and the word of the route before the common one', () => {
    const { responses } = operationOf(
      route({
        errors: { forbidden: 'Not over this role.', in_use: 'A role needs it.', cycle: 'It would hold itself.' },
      }),
    )
    expect(responses[403]?.description).to.equal('`forbidden`: Not over this role.')
    expect(responses[409]?.description).to.contain('`in_use`').and.to.contain('`cycle`')
    expect(responses[404]).to.deep.equal({ $ref: '#/components/responses/NotFound' })
  })

  it('lets a route give a code with another status', () => {
    const own = { status: 403, description: 'The password is wrong.' }
    expect(operationOf(route({ errors: { invalid_credentials: own } })).responses[403]?.description).to.contain(
      'The password is wrong.',
    )
  })
})

/** Every schema with a title in the declaration of a route. */
function titledIn(value: unknown): { title: string; text: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const below = Object.values(value).flatMap(titledIn)
  return 'title' in value && typeof value.title === 'string'
    ? [{ title: value.title, text: JSON.stringify(value) }, ...below]
    : below
}
