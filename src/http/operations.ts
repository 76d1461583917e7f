import type Router from '@koa/router'
import type { Context } from 'koa'
import type { HealthReport } from '../observability/health.ts'

export interface OperationsDeps {
  health: { report(): Promise<HealthReport> }
  /** True from the moment the process was told to stop. */
  isDraining(): boolean
}

/** `/healthz`: this process runs. `/readyz`: it can serve, so send it requests. */
export function mountOperations(router: Router, { health, isDraining }: OperationsDeps): void {
  router.get('/healthz', function live(ctx) {
    answer(ctx, 200, { status: 'ok' })
  })

  router.get('/readyz', async function ready(ctx) {
    if (isDraining()) return answer(ctx, 503, { status: 'draining' })
    const { ready, checks } = await health.report()
    answer(ctx, ready ? 200 : 503, { status: ready ? 'ready' : 'unavailable', checks })
  })
}

function answer(ctx: Context, status: number, body: object): void {
  ctx.status = status
  ctx.set('Cache-Control', 'no-store')
  if (status === 503) ctx.set('Retry-After', '1')
  ctx.body = body
}
