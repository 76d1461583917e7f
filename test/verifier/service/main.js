/**
 * A service as somebody else writes it: plain JavaScript, the installed package, all four frameworks. Prints where it
 * listens; ends by itself once its standard input has ended.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createVerifier, TokenError } from '@usher/verifier'
import express from 'express'
import fastify from 'fastify'
import Koa from 'koa'

const [issuer, audience, clientId, clientSecret, clockOffsetMs] = process.argv.slice(2)
const verifier = createVerifier({
  issuer,
  audience,
  stream: true,
  credentials: { clientId, clientSecret },
  now: () => Date.now() + Number(clockOffsetMs),
})
const rule = { scopes: ['orders:read'], permissions: { any: ['orders:edit', 'orders:admin'] } }

const koa = new Koa()
koa.use(verifier.koa(rule))
koa.use((ctx) => {
  ctx.body = ctx.state.auth.subject
})
const app = express()
app.use(verifier.express(rule), (request, response) => response.send(request.auth.subject))
const fast = fastify()
fast.get('/', { preHandler: verifier.fastify(rule) }, (request) => request.auth.subject)

const servers = [
  createServer(koa.callback()),
  createServer(app),
  createServer(verifier.http(({ auth }, response) => response.end(auth.subject), rule)),
]
for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
await fast.listen({ port: 0, host: '127.0.0.1' })

// Also while it waits for a server that never comes.
const ended = once(process.stdin.resume(), 'end').then(() => verifier.close())
await verifier.ready()
const [koaPort, expressPort, httpPort] = servers.map((server) => server.address().port)
const ports = { koa: koaPort, express: expressPort, http: httpPort, fastify: fast.server.address().port }
console.log(JSON.stringify({ ports, node: process.versions.node, TokenError: TokenError.name }))

await ended
for (const server of servers) {
  server.closeAllConnections()
  server.close()
}
await fast.close()
