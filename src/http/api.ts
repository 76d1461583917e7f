/** Mounts declared routes: every request passes the same gate and the same checks, and no route can forget one. */
import type Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import type { Gatekeeper } from './gatekeeper.ts'
import type { Idempotency } from './idempotency.ts'
import { type Page, readPageOf, withoutPage } from './pagination.ts'
import type { Handler, Parameter, Route } from './route.ts'
import { answerCheckOf, bodyOf, textsOf } from './validate.ts'

export interface ApiDeps {
  admit: Gatekeeper
  idempotency: Idempotency
  /** Whether an answer that is not as declared is a fault (500); for tests. */
  checkAnswers: boolean
}

export type Api = ReturnType<typeof createApi>

const UUID: Parameter = { description: 'The id.', schema: { type: 'string', format: 'uuid' } }
const NO_PAGE: Page = { limit: 0, cursor: undefined, search: undefined }

export function createApi({ admit, idempotency, checkAnswers }: ApiDeps) {
  const routes: { route: Route; handle: Middleware }[] = []

  function add<Body = undefined>(route: Route, handler: Handler<Body>): void {
    for (const { route: other } of routes) {
      if (other.id === route.id) throw new TypeError(`two routes are called ${route.id}`)
      if (addressOf(other) === addressOf(route)) throw new TypeError(`${other.id} and ${route.id} have one address`)
    }
    const readBody = route.body && bodyOf<Body>(route.body, { optional: route.optionalBody === true })
    const readParams = textsOf(paramsOf(route), 'address')
    const readQuery = textsOf(route.query ?? {}, 'query')
    const checkAnswer = checkAnswers ? answerCheckOf(route) : undefined

    async function call(ctx: Context): Promise<void> {
      // The gate comes first: whoever may not enter learns nothing of what would be wrong with the request.
      const params = ctx.params as Record<string, string>
      const caller = await admit(ctx, route.who, params)
      readParams(params)
      const page = route.page ? readPageOf(ctx.query, route.page) : NO_PAGE
      const query = readQuery(route.page ? withoutPage(ctx.query) : ctx.query)
      const body = (readBody ? await readBody(ctx) : undefined) as Body
      const work = () => handler(ctx, { caller, params, query, body, page, ifMatch: ctx.get('If-Match') })
      if (route.idempotent)
        await idempotency(ctx, { route: route.id, actor: caller.actor, body: { params, body } }, work)
      else await work()
      checkAnswer?.(ctx)
    }
    routes.push({ route, handle: call })
  }

  return {
    /** Declares a route. Throws when its id or its address is taken; a schema that is wrong shows when it is first used. */
    add,

    /** All of them, as declared. */
    routes: (): readonly Route[] => routes.map(({ route }) => route),

    /** Puts them on a router; what is declared later is not on it. */
    mount(router: Router): void {
      for (const { route, handle } of routes) router[route.method](patternOf(route.path), handle)
    },
  }
}

/** `{id}` in the words of the router. */
const patternOf = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1')

/** What the router tells routes apart by. */
const addressOf = ({ method, path }: Route): string => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`

/** The parameters in a route's path, each as declared or a UUID. */
export const paramsOf = (route: Route): Record<string, Parameter> =>
  Object.fromEntries(
    [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, route.params?.[name] ?? UUID]),
  )
