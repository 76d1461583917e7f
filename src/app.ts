/**
 * The chain of one request, as one list; what nobody took falls to the engine, which is the application itself. In front
 * of it stands the short way for the busiest calls.
 */
import Router from '@koa/router'
import type Koa from 'koa'
import type { Middleware } from 'koa'
import { noteArrival, noteTurn } from './http/arrival.ts'
import type { Dispatch, RequestListener } from './http/dispatcher.ts'

export interface AppParts {
  /** The engine: whatever is used here runs before its own router. */
  app: Koa
  requestId: Middleware
  requestLog: Middleware
  errors: Middleware
  pinnedHost: Middleware
  securityHeaders: Middleware
  /** Lets pages of other origins in, and answers their preflights. */
  cors: Middleware
  /** Adds its routes to the router; one per room. */
  mounts: readonly ((router: Router) => void)[]
  /** What stands directly in front of the engine. */
  engineSeams: readonly Middleware[]
  /** Answers the plain cases of the busiest calls before the chain is asked. */
  dispatch: Dispatch
}

export function assembleApp(parts: AppParts): RequestListener {
  const { app } = parts
  const router = new Router()
  for (const mount of parts.mounts) mount(router)

  app.use(parts.requestId)
  app.use(parts.requestLog)
  app.use(parts.errors)
  app.use(parts.pinnedHost)
  app.use(parts.securityHeaders)
  app.use(parts.cors)
  app.use(router.routes())
  for (const seam of parts.engineSeams) app.use(seam)
  const chain: RequestListener = app.callback()
  return (request, response) => {
    // How old a request is matters where something is redeemed.
    if (request.method === 'POST') noteArrival(request)
    else noteTurn()
    if (!parts.dispatch(request, response, chain)) chain(request, response)
  }
}
