/** Where a request came from, for the record of what it changed. */
import type { Context } from 'koa'
import type { Traces } from '../audit-event.ts'
import { remoteAddress } from './remote-address.ts'
import { requestIdOf } from './request-state.ts'

export const tracesOf = (ctx: Context): Traces => ({ requestId: requestIdOf(ctx), address: remoteAddress(ctx) })
