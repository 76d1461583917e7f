/**
 * JSON bodies by their schema (JSON Schema 2020-12). Nothing is coerced, filled in or removed: what does not fit is
 * refused with a pointer (RFC 6901) to every fault.
 */
import { Readable } from 'node:stream'
import { Ajv2020, type AnySchema, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import { readJson } from './body.ts'
import type { Parameter, Route } from './route.ts'
import type { BodySchema } from './schema.ts'

const MAX_FAULTS = 20

// That every declared schema is one is a matter of the tests, not of each start.
const ajv = new Ajv2020({
  ...{ allErrors: true, strict: true, allowUnionTypes: true, ownProperties: true },
  validateSchema: false,
})
addFormats.default(ajv, { mode: 'fast', formats: ['uuid', 'date-time', 'uri', 'email'] })

/** Compiled at its first use: of all that a server may be asked it is asked little, and must start at once. */
function checkOf<T>(schema: AnySchema): () => ValidateFunction<T> {
  let compiled: ValidateFunction<T> | undefined
  return () => {
    compiled ??= ajv.compile<T>(schema)
    return compiled
  }
}

/**
 * Makes the reader of one kind of body. `T` is what the schema describes; schemas and types stand side by side in a
 * room's schemas.ts. An `optional` body may be left out, and is read as an empty object then.
 *
 * @returns a function that throws AppError bad_request (400) with a fault per member, and whatever readJson throws
 */
export function bodyOf<T>(schema: BodySchema, { optional = false } = {}): (ctx: Context) => Promise<T> {
  const check = checkOf<T>(schema)
  return async function readBody(ctx) {
    const body = optional && hasNoBody(ctx) ? {} : await readJson(ctx)
    const matches = check()
    if (matches(body)) return body
    const faults = (matches.errors ?? []).slice(0, MAX_FAULTS).map(faultOf)
    throw new AppError('bad_request', 400, 'The body does not have the expected shape.', { faults })
  }
}

/** Without a body some clients send a length of 0, some an empty stream, and none a type they were not told to. */
const hasNoBody = (ctx: Context): boolean => ctx.get('Content-Type') === '' || ctx.request.length === 0

function faultOf({ instancePath, keyword, params, message = 'is wrong' }: ErrorObject) {
  if (keyword === 'required')
    return { pointer: `${instancePath}/${token(params.missingProperty)}`, message: 'is missing' }
  if (keyword === 'additionalProperties')
    return { pointer: `${instancePath}/${token(params.additionalProperty)}`, message: 'is not known' }
  return { pointer: instancePath, message }
}

/** RFC 6901 section 3: "~" is written as "~0" and "/" as "~1". A hostile name is cut short. */
const token = (name: unknown): string => String(name).slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')

/**
 * Makes the reader of the texts in an address or a query.
 *
 * @returns a function that answers them, and throws AppError bad_request (400) with a fault per text, unknown ones included
 */
export function textsOf(
  parameters: Readonly<Record<string, Parameter>>,
  where: 'address' | 'query',
): (texts: Readonly<Record<string, unknown>>) => Record<string, string | undefined> {
  const check = checkOf<Record<string, string>>({
    type: 'object',
    additionalProperties: false,
    required: Object.keys(parameters).filter((name) => parameters[name]?.required),
    properties: Object.fromEntries(Object.entries(parameters).map(([name, { schema }]) => [name, schema])),
  })
  return function readTexts(texts) {
    const matches = check()
    if (matches({ ...texts })) return texts as Record<string, string | undefined>
    const faults = (matches.errors ?? []).slice(0, MAX_FAULTS).map(faultOf)
    // What is not the name of anything names nothing.
    if (where === 'address') throw new AppError('not_found', 404, 'There is nothing at this address.', { faults })
    throw new AppError('bad_request', 400, 'The query does not have the expected shape.', { faults })
  }
}

/** Makes the check that an answer is one of those a route declares; it throws a TypeError, which nobody but us can cause. */
export function answerCheckOf({ id, answers }: Route): (ctx: Context) => void {
  const checks = new Map(
    Object.entries(answers).map(([status, { schema, contentType = 'application/json' }]) => [
      Number(status),
      { matchesOf: schema === undefined ? undefined : checkOf(schema), contentType },
    ]),
  )
  return function checkAnswer(ctx) {
    if (ctx.status === 304) return
    const check = checks.get(ctx.status)
    if (!check) throw new TypeError(`${id} answers ${ctx.status}, which it does not declare`)
    const { matchesOf, contentType } = check
    if (!matchesOf) {
      if (ctx.body !== undefined && ctx.body !== null) throw new TypeError(`${id} declares no body for ${ctx.status}`)
      return
    }
    if (!ctx.response.is(contentType)) throw new TypeError(`${id} answers another type than ${contentType}`)
    // What is still to be sent can be neither looked at nor repeated.
    if (ctx.body instanceof Readable) return
    const body: unknown = JSON.parse(JSON.stringify(ctx.body))
    const matches = matchesOf()
    if (!matches(body))
      throw new TypeError(`${id} breaks its own schema for ${ctx.status}: ${ajv.errorsText(matches.errors)}`)
  }
}
