/** The declared routes as an OpenAPI 3.1 document. What is described is what is checked: the same objects. */
import type { ErrorCode } from '../errors.ts'
import { paramsOf } from './api.ts'
import { describeTags } from './openapi-tags.ts'
import { PROBLEMS } from './problems.ts'
import type { Answer, Parameter, Route } from './route.ts'
import type { BodySchema, Schema } from './schema.ts'
import { createComponents } from './schema-components.ts'

export interface ApiFrame {
  issuer: string
  version: string
  /** Paths of the endpoints where tokens come from. */
  endpoints: { authorization: string; token: string }
}

export interface OpenApiDocument {
  openapi: '3.1.0'
  info: { title: string; version: string }
  servers: { url: string }[]
  tags: { name: string; description?: string }[]
  paths: Record<string, Record<string, object>>
  components: object
}

type ToReference = (schema: Schema) => unknown

/** Pure: the same routes and frame make the same document. */
export function describeApi(routes: readonly Route[], frame: ApiFrame): OpenApiDocument {
  const components = createComponents()
  const paths: OpenApiDocument['paths'] = {}
  for (const route of routes) {
    const operations = paths[route.path] ?? {}
    operations[route.method] = operationOf(route, components.reference)
    paths[route.path] = operations
  }
  const schemas = { Problem: PROBLEM, ...components.schemas() }
  const responses = referred('responses', COMMON_RESPONSES, paths)
  return {
    openapi: '3.1.0',
    info: infoOf(frame),
    servers: [{ url: frame.issuer }],
    tags: describeTags(new Set(routes.map(({ tag }) => tag))),
    paths: sorted(paths),
    components: {
      securitySchemes: securitySchemesOf(routes, frame),
      parameters: referred('parameters', PARAMETERS, paths),
      headers: referred('headers', HEADERS, { paths, responses }),
      responses,
      schemas,
    },
  }
}

/** The components of a kind that a part of the document refers to. */
function referred(kind: string, all: Readonly<Record<string, object>>, part: object): Record<string, object> {
  const text = JSON.stringify(part)
  return Object.fromEntries(Object.entries(all).filter(([name]) => text.includes(`"#/components/${kind}/${name}"`)))
}

const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))

const infoOf = ({ version }: ApiFrame) => ({
  title: 'Usher API',
  version,
  summary: 'Accounts, what they may do, and the decisions that follow from it.',
  description: [
    'JSON with snake_case members, instants in RFC 3339 and UTC. What is not known is refused, never ignored.',
    'Errors are problem documents (RFC 9457) with a stable `code`; `request_id` (also in the X-Request-Id header) is ' +
      'what to tell the operator.',
    'Lists come in pages: give `next_cursor` of one page as `cursor` for the next.',
    'Sign-in itself is OAuth 2.0 and OpenID Connect: see `/.well-known/openid-configuration`.',
  ].join('\n\n'),
  license: { name: 'MIT', identifier: 'MIT' },
})

function operationOf(route: Route, reference: ToReference): object {
  const parameters = parametersOf(route, reference)
  const { permissions } = route.who
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, needOf(route)].filter(Boolean).join('\n\n'),
    security: securityOf(route),
    ...(permissions ? { 'x-permissions': permissions } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body ? { requestBody: requestBodyOf(route.body, route.optionalBody === true, reference) } : {}),
    responses: responsesOf(route, reference),
  }
}

function requestBodyOf(body: BodySchema, isOptional: boolean, reference: ToReference): object {
  return { required: !isOptional, content: { 'application/json': { schema: reference({ ...body }) } } }
}

function parametersOf(route: Route, reference: ToReference): object[] {
  const named = (place: 'path' | 'query', parameters: Readonly<Record<string, Parameter>>) =>
    Object.entries(parameters).map(([name, { description, schema, required }]) => ({
      name,
      in: place,
      description,
      required: place === 'path' || required === true,
      schema: reference(schema),
    }))
  const { page } = route
  const search = page?.search === undefined ? {} : { search: { description: page.search, schema: SEARCH } }
  return [
    ...named('path', paramsOf(route)),
    ...named('query', { ...search, ...route.query }),
    ...(page ? [parameterReference('limit'), parameterReference('cursor')] : []),
    ...(route.ifMatch ? [parameterReference('ifMatch')] : []),
    ...(route.idempotent ? [parameterReference('idempotencyKey')] : []),
  ]
}

/** The ways in, for people; any one of them is enough. */
function needOf({ who }: Route): string {
  if (who.anyone) return 'Needs no access token.'
  const { permissions = [], scopes = [] } = who
  const ways = [
    ...(who.account ? ['the access token of any account'] : []),
    ...(permissions.length > 0 ? [`an account with ${permissions.map(quoted).join(' or ')}`] : []),
    ...(scopes.length > 0 ? [`a client by itself with the scope ${scopes.map(quoted).join(' or ')}`] : []),
    ...[who.self, who.selfQuery].flatMap((name) =>
      name === undefined ? [] : [`the account named by ${quoted(name)} itself`],
    ),
    ...(who.manages === undefined ? [] : [`a manager of the team named by ${quoted(who.manages)}`]),
  ]
  return `Open to ${ways.join(', ')}.`
}

const quoted = (name: string): string => `\`${name}\``

function securityOf({ who }: Route): object[] {
  if (who.anyone) return []
  const isForPeople =
    who.account || who.permissions || (who.self ?? who.selfQuery) !== undefined || who.manages !== undefined
  return [
    ...(isForPeople ? [{ oauth2: ['openid'] }] : []),
    ...(who.scopes ?? []).map((scope) => ({ oauth2: [scope] })),
    { bearer: [] },
  ]
}

function securitySchemesOf(routes: readonly Route[], { issuer, endpoints }: ApiFrame): object {
  const tokenUrl = `${issuer}${endpoints.token}`
  const scopes = [...new Set(routes.flatMap(({ who }) => who.scopes ?? []))].sort()
  return {
    oauth2: {
      type: 'oauth2',
      description: 'As a person through a client of the house (code flow with PKCE), or as a client by itself.',
      flows: {
        authorizationCode: {
          authorizationUrl: `${issuer}${endpoints.authorization}`,
          tokenUrl,
          scopes: { openid: 'Act as the person who signs in.' },
        },
        clientCredentials: { tokenUrl, scopes: Object.fromEntries(scopes.map((scope) => [scope, `Act on ${scope}.`])) },
      },
    },
    bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token (RFC 6750).' },
  }
}

function responsesOf(route: Route, reference: ToReference): Record<string, object> {
  const answers = Object.entries(route.answers).map(([status, answer]) => [
    status,
    answerOf(answer, headersOf(route, Number(status)), reference),
  ])
  // What a route declares itself stands for its status.
  return Object.fromEntries([...Object.entries(problemsOf(route)), ...answers])
}

const answerOf = (answer: Answer, headers: object, reference: ToReference): object => ({
  description: answer.description,
  ...(Object.keys(headers).length > 0 ? { headers } : {}),
  ...(answer.schema === undefined
    ? {}
    : { content: { [answer.contentType ?? 'application/json']: { schema: reference(answer.schema) } } }),
})

function headersOf(route: Route, status: number): object {
  const etag = { ETag: { $ref: '#/components/headers/ETag' } }
  if (status === 201 && route.idempotent) return { Location: { $ref: '#/components/headers/Location' }, ...etag }
  return status === 200 && route.ifMatch ? etag : {}
}

/** The codes that follow from what a route takes. */
function commonCodesOf(route: Route): ErrorCode[] {
  const isRead = route.body || route.query || route.page || route.idempotent
  return [
    ...(isRead ? (['bad_request'] as const) : []),
    ...(route.who.anyone ? [] : (['unauthenticated', 'forbidden'] as const)),
    ...(route.path.includes('{') ? (['not_found'] as const) : []),
    ...(route.idempotent ? (['conflict'] as const) : []),
    ...(route.ifMatch ? (['precondition_failed'] as const) : []),
    ...(route.body ? (['payload_too_large', 'unsupported_media_type'] as const) : []),
    'rate_limited',
    'temporarily_unavailable',
  ]
}

function problemsOf(route: Route): Record<string, object> {
  const own = route.errors ?? {}
  const codes = [...new Set([...(Object.keys(own) as ErrorCode[]), ...commonCodesOf(route)])]
  const byStatus = Map.groupBy(codes, (code) => problemOf(own[code], code).status)
  return Object.fromEntries(
    [...byStatus].map(([status, members]) => {
      const [only = 'bad_request'] = members
      const isCommon = members.length === 1 && own[only] === undefined
      const lines = members.map((code) => `\`${code}\`: ${problemOf(own[code], code).description}`)
      return [String(status), isCommon ? commonResponse(only) : problemResponse(lines.join('\n\n'), only)]
    }),
  )
}

function problemOf(own: string | { status: number; description: string } | undefined, code: ErrorCode) {
  const { status, meaning } = PROBLEMS[code]
  return typeof own === 'object' ? own : { status, description: own ?? meaning }
}

const WAITS: ReadonlySet<ErrorCode> = new Set(['rate_limited', 'temporarily_unavailable'])

const problemResponse = (description: string, code: ErrorCode): object => ({
  description,
  ...(WAITS.has(code) ? { headers: { 'Retry-After': { $ref: '#/components/headers/Retry-After' } } } : {}),
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
})

const responseName = (code: ErrorCode): string =>
  code.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())

const commonResponse = (code: ErrorCode) => ({ $ref: `#/components/responses/${responseName(code)}` })

const COMMON_RESPONSES: Record<string, object> = Object.fromEntries(
  (
    [
      ...['bad_request', 'unauthenticated', 'forbidden', 'not_found', 'conflict', 'precondition_failed'],
      ...['payload_too_large', 'unsupported_media_type', 'rate_limited', 'temporarily_unavailable'],
    ] as ErrorCode[]
  ).map((code) => [responseName(code), problemResponse(`\`${code}\`: ${PROBLEMS[code].meaning}`, code)]),
)

const SEARCH: Schema = { type: 'string', maxLength: 200 }

const PARAMETERS = {
  limit: {
    name: 'limit',
    in: 'query',
    description: 'How many items a page has at most.',
    schema: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
  },
  cursor: {
    name: 'cursor',
    in: 'query',
    description: '`next_cursor` of the page before.',
    schema: { type: 'string', maxLength: 512 },
  },
  ifMatch: {
    name: 'If-Match',
    in: 'header',
    description: 'The ETag of what is to be changed: refused with 412 when it has been changed meanwhile.',
    schema: { type: 'string' },
  },
  idempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'Of your choice: a repetition with the same key within a day gets the same answer and creates nothing.',
    schema: { type: 'string', minLength: 8, maxLength: 200 },
  },
}

const parameterReference = (name: keyof typeof PARAMETERS) => ({ $ref: `#/components/parameters/${name}` })

const HEADERS = {
  ETag: { description: 'Names this state of the object, for If-Match.', schema: { type: 'string' } },
  Location: { description: 'The path of the new object.', schema: { type: 'string' } },
  'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } },
}

/** RFC 9457, with members of our own. */
const PROBLEM = {
  title: 'Problem',
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'request_id'],
  properties: {
    type: { type: 'string', description: '`urn:usher:problem:` and the code.' },
    title: { type: 'string', description: 'A sentence for people.' },
    status: { type: 'integer' },
    code: { enum: [...Object.keys(PROBLEMS), 'server_error'], description: 'For programs.' },
    request_id: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'message'],
        properties: {
          pointer: { type: 'string', description: 'The member of the request (RFC 6901).' },
          message: { type: 'string' },
          code: { type: 'string' },
        },
      },
    },
  },
  examples: [
    {
      type: 'urn:usher:problem:bad_request',
      title: 'The body does not have the expected shape.',
      status: 400,
      code: 'bad_request',
      request_id: 'Zk3xq0b7Wm5fTn1d',
      errors: [{ pointer: '/email', message: 'is missing' }],
    },
  ],
}
