/**
 * Verifies an access token of Usher in another process, with nothing but the published keys (RFC 9068 section 4).
 *
 *   node examples/verify-token.js ISSUER TOKEN [AUDIENCE]
 *
 * AUDIENCE is the name of your API, the client's audience; without one it is Usher's own API. Node 20 or newer.
 */
import { createRemoteJWKSet, jwtVerify } from 'jose'

const [issuer, token, audience = `${issuer}/api/v1`] = process.argv.slice(2)
if (!issuer || !token) {
  console.error('usage: node examples/verify-token.js ISSUER TOKEN [AUDIENCE]')
  process.exit(2)
}

// A service makes this once: it fetches the keys when first needed and again when it meets a new one.
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), { timeoutDuration: 5000 })

try {
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: 'at+jwt', // an ID token is no access token
    algorithms: ['ES256', 'RS256'],
    requiredClaims: ['sub', 'client_id', 'exp', 'iat', 'jti'],
  })
  console.log(JSON.stringify(payload, null, 2))
} catch (error) {
  console.error(`Not a valid token: ${error.message}${error.code ? ` (${error.code})` : ''}`)
  process.exit(1)
}
