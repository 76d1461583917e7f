/** What a service of the field stands on: plain Koa with one handler. */
import Koa from 'koa'

const body = process.env.BENCH_BODY ?? '{"msg":"Token is valid"}'
const app = new Koa()
app.use(async (ctx) => {
  if (ctx.method === 'POST') {
    const chunks: Buffer[] = []
    for await (const chunk of ctx.req) chunks.push(chunk)
    new URLSearchParams(Buffer.concat(chunks).toString())
  }
  ctx.type = 'application/json'
  ctx.body = body
})
const server = app.listen(Number(process.env.BENCH_PORT), '127.0.0.1', () => console.log('listening'))
server.keepAliveTimeout = 75_000
