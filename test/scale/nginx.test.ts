/** The nginx configuration we ship, in front of two processes. Where there is no nginx, only its text is looked at. */
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { startNginx } from '../../bench/nginx.ts'
import { has } from '../../bench/process.ts'
import { createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { temporaryDirectory } from '../support/database.ts'
import { send } from '../support/http.ts'
import { startWorld } from '../support/world.ts'

describe('the nginx configuration', function () {
  this.timeout(40_000)

  it('names the host, the way a request came, and what is not sent twice', async () => {
    const text = await readFile(new URL('../../config/nginx.example.conf', import.meta.url), 'utf8')
    expect(text).to.match(/proxy_set_header Host \$http_host;/)
    expect(text).to.match(/proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;/)
    expect(text).not.to.match(/^[^#]*non_idempotent/m)
    expect(Number(/keepalive_timeout (\d+)s;/.exec(text)?.[1])).to.be.lessThan(75)
  })

  it('spreads the requests of one flow over two processes, and goes on with one', async function () {
    if (!has('nginx')) {
      console.log('      there is no nginx here')
      return this.skip()
    }
    const world = await startWorld({ servers: 2, env: { USHER_TRUSTED_PROXIES: '1' } })
    const directory = await temporaryDirectory('nginx')
    const nginx = await startNginx(
      directory,
      world.servers.map(({ address }) => address),
    )
    try {
      await createAnna(world)
      const redirectUri = 'https://client.example/cb'
      await world.core.clients.create({ id: 'app', type: 'spa', firstParty: true, redirectUris: [redirectUri] })
      const behind = { issuer: world.issuer, servers: [{ address: nginx.address }] }
      const flow = createCodeFlow(behind, { id: 'app', redirectUri })
      const tokens = await flow.tokens()
      await world.servers[0]?.stop()
      for (let turn = 0; turn < 4; turn += 1) {
        expect((await flow.userinfo(tokens.access_token)).status, `request ${turn}`).to.equal(200)
      }
      tokensOf(await flow.refresh(tokens.refresh_token))
      const foreign = await send(nginx.address, 'https://other.example', '/.well-known/openid-configuration')
      expect(foreign.status).to.equal(421)
    } finally {
      await nginx.stop()
      await world.stop()
    }
  })
})
