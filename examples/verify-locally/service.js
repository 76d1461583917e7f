/**
 * An API that verifies Usher's access tokens itself and knows within a second when one was revoked: no request asks Usher.
 *
 *   CLIENT_SECRET=… node bin/runtime.js examples/verify-locally/service.js ISSUER [PORT] [AUDIENCE] [CLIENT_ID]
 *   curl -H "Authorization: Bearer $TOKEN" http://localhost:4100/orders
 *
 * The client is one of type machine with the scopes events:read and access:read. In a project of your own install the
 * package that `npm run pack:verifier` makes, import from '@usher/verifier', and run it with plain node.
 */
import { createServer } from 'node:http'
import { createVerifier } from '../../src/verifier/verifier.ts'

const [issuer = 'http://localhost:3000', port = '4100', audience = 'https://orders.example.org', clientId = 'orders'] =
  process.argv.slice(2)

const verifier = createVerifier({
  issuer,
  audience,
  stream: true,
  credentials: { clientId, clientSecret: process.env.CLIENT_SECRET ?? '' },
  onEvent: ({ kind, error }) => console.error(kind, error?.message ?? ''),
})

const listOrders = verifier.http(
  ({ auth }, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
    response.end(`${JSON.stringify({ orders: [], asked_by: auth.subject })}\n`)
  },
  { scopes: ['orders:read'] },
)
// By what the person may do, not only by what the application was allowed.
const editOrders = verifier.http((_request, response) => response.writeHead(204).end(), {
  permissions: { any: ['orders:edit', 'orders:admin'] },
})
const routes = { 'GET /orders': listOrders, 'PUT /orders': editOrders }

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`]
  if (route) route(request, response)
  else response.writeHead(404).end()
})

// Listens when it can tell good tokens from bad ones, and not before.
await verifier.ready()
server.listen(Number(port), '127.0.0.1', () => {
  console.log(`The API answers at http://localhost:${server.address().port}/orders`)
})

process.once('SIGTERM', () => {
  verifier.close()
  server.close()
})
