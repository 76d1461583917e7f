import type Router from '@koa/router'
import type { Render } from './render.ts'

export interface HomeDeps {
  render: Render
  issuer: string
  hasDemo: boolean
  /** Whether there are pages about the API. */
  hasDocs: boolean
}

/** The start page: says what this server is, to people who come without an application. */
export function mountHome(router: Router, deps: HomeDeps): void {
  const { render, issuer, hasDemo, hasDocs } = deps
  router.get('/', function showHome(ctx) {
    render(ctx, 'home', { issuer, demoHref: hasDemo ? '/demo' : undefined, hasDocs })
  })
}
