/**
 * A command-line application that signs a person in: code flow with PKCE, the answer comes back to a loopback address
 * (RFC 8252 section 7.3). Register it once:
 *
 *   npx usher client create --id cli --type native --redirect-uri http://127.0.0.1/callback
 *   node examples/code-flow.js http://localhost:3000 cli
 */
import { createServer } from 'node:http'
import * as client from 'openid-client'

const [issuer = 'http://localhost:3000', clientId = 'cli'] = process.argv.slice(2)

const isLocal = ['localhost', '127.0.0.1'].includes(new URL(issuer).hostname)
const config = await client.discovery(new URL(issuer), clientId, undefined, client.None(), {
  execute: isLocal ? [client.allowInsecureRequests] : [], // http only towards this machine
})

const server = createServer()
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
// RFC 8252 section 7.3: "The authorization server MUST allow any port to be specified at the time of the request".
const redirectUri = `http://127.0.0.1:${server.address().port}/callback`

const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope: 'openid profile email',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
})
console.log(`Open this address and sign in:\n\n  ${address}\n`)

const callback = await waitForCallback()
server.close()
const tokens = await client.authorizationCodeGrant(config, callback, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
})
console.log('Signed in. The ID token says:', tokens.claims())

const userinfo = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
console.log('Userinfo says:', userinfo)

/** The address the browser came back to. */
function waitForCallback() {
  return new Promise((resolve) => {
    server.on('request', (request, response) => {
      const url = new URL(request.url, redirectUri)
      if (url.pathname !== '/callback') return response.writeHead(404).end()
      response.writeHead(200, { 'Content-Type': 'text/plain', Connection: 'close' })
      response.end('You may close this window.\n', () => resolve(url))
    })
  })
}
