/** Applications over real sign-ins: browser sessions, password grants and grants that outlive their session. */
import { expect } from 'chai'
import { ANNA, type CodeFlow, createAnna, createCodeFlow } from '../support/code-flow.ts'
import { refusal } from '../support/refusal.ts'
import { startWorld, type World } from '../support/world.ts'

for (const [store, env] of [
  ['Redis', {}],
  ['SQL', { USHER_REDIS_URL: '' }],
] as const) {
  describe(`connected applications over ${store}`, function () {
    this.timeout(30_000)
    let world: World
    let lamp: CodeFlow
    let horn: CodeFlow
    let anna = ''

    before(async () => {
      world = await startWorld({ env })
      anna = (await createAnna(world)).id
      const redirectUri = 'https://app.example/callback'
      const common = {
        ...({ type: 'spa', redirectUris: [redirectUri] } as const),
        ...({
          scopes: ['openid', 'email', 'offline_access'],
          grantTypes: ['authorization_code', 'refresh_token'],
        } as const),
      }
      await world.core.clients.create({
        ...common,
        id: 'lamp',
        name: 'Lamp',
        grantTypes: [...common.grantTypes],
        scopes: [...common.scopes],
      })
      await world.core.clients.create({
        ...common,
        id: 'horn',
        name: 'Horn',
        firstParty: true,
        grantTypes: [...common.grantTypes, 'password'],
        scopes: [...common.scopes],
      })
      lamp = createCodeFlow(world, { id: 'lamp', redirectUri })
      horn = createCodeFlow(world, { id: 'horn', redirectUri })
    })
    after(() => world?.stop())

    const namesOf = async () => (await world.core.applications.list(anna)).map(({ name }) => name)
    const password = { grant_type: 'password', username: ANNA.login, password: ANNA.password }

    it('are the clients with a living grant, each once, with what they may do', async () => {
      expect(await world.core.applications.list(anna)).to.deep.equal([])
      const agent = lamp.newAgent()
      await lamp.tokens({ scope: 'openid email offline_access', prompt: 'consent' }, agent)
      await lamp.tokens({ scope: 'openid' })
      await horn.tokens({ scope: 'openid' }, agent)
      await horn.post('/oauth2/token', { ...password, scope: 'openid' })
      const found = await world.core.applications.list(anna)
      expect(found.map(({ clientId, name, isOwn }) => ({ clientId, name, isOwn }))).to.deep.equal([
        { clientId: 'horn', name: 'Horn', isOwn: true },
        { clientId: 'lamp', name: 'Lamp', isOwn: false },
      ])
      expect(found[1]?.scopes.toSorted()).to.deep.equal(['email', 'offline_access', 'openid'])
    })

    it('lose every token of every session at once, and nobody else does', async () => {
      const offline = await lamp.tokens({ scope: 'openid offline_access', prompt: 'consent' })
      const bound = await lamp.tokens({ scope: 'openid' })
      const others = (await horn.post('/oauth2/token', { ...password, scope: 'openid' })).json<{
        access_token: string
      }>()
      await world.core.applications.revoke(anna, 'lamp')
      expect(await namesOf()).to.deep.equal(['Horn'])
      for (const { access_token, refresh_token } of [offline, bound]) {
        expect((await lamp.userinfo(access_token)).status).to.equal(401)
        if (refresh_token) expect((await lamp.refresh(refresh_token)).status).to.equal(400)
      }
      expect((await horn.userinfo(others.access_token)).status).to.equal(200)
    })

    it('cannot be revoked twice, nor by somebody else', async () => {
      await lamp.tokens({ scope: 'openid' })
      const bob = await world.core.accounts.create({ email: 'bob@example.org', password: ANNA.password })
      expect(await refusal(world.core.applications.revoke(bob.id, 'lamp'))).to.include({ status: 404 })
      await world.core.applications.revoke(anna, 'lamp')
      expect(await refusal(world.core.applications.revoke(anna, 'lamp'))).to.include({ status: 404 })
    })

    it('do not hold the pages of the server itself', async () => {
      const agent = horn.newAgent()
      await agent.submit(await agent.open(`${world.issuer}/account`), { fill: ANNA, press: 'login-submit' })
      expect(await namesOf()).to.deep.equal(['Horn'])
    })
  })
}
