/**
 * A small API that accepts Usher's access tokens and verifies them by itself: no request goes to Usher but for its keys.
 *
 *   node examples/resource-service.js ISSUER [PORT] [AUDIENCE]
 *   curl -H "Authorization: Bearer $TOKEN" http://localhost:4000/me
 *
 * It trusts a token until it expires; a service that must see a revocation at once asks the introspection endpoint.
 */
import { createServer } from 'node:http'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const [issuer = 'http://localhost:3000', port = '4000', audience = `${issuer}/api/v1`] = process.argv.slice(2)
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), { timeoutDuration: 5000 })

const routes = {
  '/me': { scope: 'openid', answer: ({ sub, client_id: client, roles = [] }) => ({ sub, client, roles }) },
}

const server = createServer(async (request, response) => {
  const route = routes[request.url]
  if (!route) return send(response, 404, { error: 'not_found' })
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  // RFC 6750 section 3.1: a request without credentials gets the bare challenge.
  if (scheme?.toLowerCase() !== 'bearer' || !token) return challenge(response, 401)
  try {
    const claims = await verify(token)
    if (!(claims.scope ?? '').split(' ').includes(route.scope)) {
      return challenge(response, 403, 'insufficient_scope', route.scope)
    }
    send(response, 200, route.answer(claims))
  } catch (error) {
    if (!isAboutToken(error)) return send(response, 503, { error: 'temporarily_unavailable' }, { 'Retry-After': '1' })
    challenge(response, 401, 'invalid_token')
  }
})

/** RFC 9068 section 4. */
async function verify(token) {
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: 'at+jwt',
    algorithms: ['ES256', 'RS256'],
    requiredClaims: ['sub', 'client_id', 'exp'],
  })
  return payload
}

/** Keys that could not be fetched say nothing about the token. */
function isAboutToken(error) {
  const isAboutKeys = ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID'].includes(error.code)
  return error instanceof errors.JOSEError && !isAboutKeys
}

function challenge(response, status, error, scope) {
  const parameters = Object.entries({ error, scope }).filter(([, value]) => value)
  const header = ['Bearer', parameters.map(([name, value]) => `${name}="${value}"`).join(', ')].join(' ').trim()
  send(response, status, { error: error ?? 'unauthorized' }, { 'WWW-Authenticate': header })
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers })
  response.end(`${JSON.stringify(body)}\n`)
}

server.listen(Number(port), '127.0.0.1', () => {
  console.log(`The API answers at http://localhost:${server.address().port}/me`)
})
