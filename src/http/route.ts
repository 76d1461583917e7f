/**
 * A route of the API, declared once: who may call it, what it takes and everything it answers. The declaration checks
 * requests here, checks answers in tests, and is what openapi.ts describes.
 */
import type { Context } from 'koa'
import type { ErrorCode } from '../errors.ts'
import type { Caller, Need } from './gatekeeper.ts'
import type { Page } from './pagination.ts'
import type { BodySchema, Schema } from './schema.ts'

export interface Parameter {
  description: string
  /** Of a text: what arrives in an address is never coerced. */
  schema: Schema
  required?: boolean
}

export interface Answer {
  description: string
  /** Without one the answer has no body. */
  schema?: Schema
  /** Default: application/json. */
  contentType?: string
}

export interface Route {
  /** Unique; names the operation for generated clients: `createRole`. */
  id: string
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** With parameters in braces: `/api/v1/roles/{id}`. */
  path: string
  tag: string
  summary: string
  description?: string
  who: Need
  /** What stands in braces. Default: a UUID. */
  params?: Readonly<Record<string, Parameter>>
  query?: Readonly<Record<string, Parameter>>
  body?: BodySchema
  /** The body may be left out. */
  optionalBody?: true
  /** A list in pages: takes `limit` and `cursor`, whose values are of these kinds; with `search` also that. */
  page?: { cursor: readonly ('string' | 'number')[]; search?: string }
  /** Refuses a change of what the caller has not seen, when asked by If-Match. */
  ifMatch?: true
  /** A creation that may be repeated safely with an Idempotency-Key. */
  idempotent?: true
  answers: Readonly<Record<number, Answer>>
  /** The problems of this route itself, by code, with a status where it is not the usual one; common ones are added. */
  errors?: Readonly<Partial<Record<ErrorCode, string | { status: number; description: string }>>>
}

/** What has been read and checked of a request. */
export interface Call<Body = undefined> {
  caller: Caller
  params: Record<string, string>
  query: Record<string, string | undefined>
  body: Body
  page: Page
  /** The If-Match header, empty without one. */
  ifMatch: string
}

/** Answers through `ctx`, as every handler does. */
export type Handler<Body> = (ctx: Context, call: Call<Body>) => Promise<void>
