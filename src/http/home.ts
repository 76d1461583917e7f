import type Router from '@koa/router'
import type { Render } from './render.ts'

/** The start page: says what this server is, to people who come without an application. */
export function mountHome(router: Router, deps: { render: Render; issuer: string; hasDemo: boolean }): void {
  const { render, issuer, hasDemo } = deps
  router.get('/', function showHome(ctx) {
    render(ctx, 'home', { issuer, demoHref: hasDemo ? '/demo' : undefined })
  })
}
