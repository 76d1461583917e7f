/**
 * JSON bodies by their schema (JSON Schema 2020-12). Nothing is coerced, filled in or removed: what does not fit is
 * refused with a pointer (RFC 6901) to every fault.
 */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import type { Context } from 'koa'
import { AppError } from '../errors.ts'
import { readJson } from './body.ts'

/** An object schema; it must refuse additional properties, so that a misspelt or forged member never passes silently. */
export interface BodySchema {
  readonly type: 'object'
  readonly additionalProperties: false
  readonly properties: Readonly<Record<string, object>>
  readonly required?: readonly string[]
}

const MAX_FAULTS = 20

const ajv = new Ajv2020({ allErrors: true, strict: true, ownProperties: true })

/**
 * Makes the reader of one kind of body. `T` is what the schema describes; schemas and types stand side by side in a
 * room's schemas.ts. An `optional` body may be left out, and is read as an empty object then.
 *
 * @returns a function that throws AppError bad_request (400) with a fault per member, and whatever readJson throws
 */
export function bodyOf<T>(schema: BodySchema, { optional = false } = {}): (ctx: Context) => Promise<T> {
  const matches = ajv.compile<T>(schema)
  return async function readBody(ctx) {
    const body = optional && hasNoBody(ctx) ? {} : await readJson(ctx)
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
