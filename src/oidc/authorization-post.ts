/**
 * OpenID Connect Core section 3.1.2.1: "Authorization Servers MUST support the use of the HTTP GET and POST methods".
 * The engine's own POST support would need a session cookie with SameSite=None; a redirect to the same request by GET
 * keeps it Lax.
 */
import type Router from '@koa/router'
import { readForm } from '../http/body.ts'
import { ROUTES } from './configuration.ts'

export function mountAuthorizationPost(router: Router): void {
  router.post(ROUTES.authorization, async function turnIntoGet(ctx) {
    const parameters = new URLSearchParams(await readForm(ctx))
    ctx.set('Cache-Control', 'no-store')
    ctx.status = 303
    ctx.redirect(`${ROUTES.authorization}?${parameters}`)
  })
}
