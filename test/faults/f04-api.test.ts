/** The REST API while a store is gone: 503 with Retry-After, and nobody is called signed out, wrong or unknown. */
import { expect } from 'chai'
import { type Api, createApi, problemOf } from '../support/api.ts'
import { ANNA, createAnna, PASSWORD, type TokenResponse } from '../support/code-flow.ts'
import { createCookieJar } from '../support/cookie-jar.ts'
import { postgresUrl, redisUrl } from '../support/database.ts'
import { createFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import type { Reply } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'
import { untilWell } from './unavailable.ts'

type Ask = () => Promise<Reply>

for (const [store, url, option] of [
  ['Redis', redisUrl, 'redisUrl'],
  ['PostgreSQL', postgresUrl, 'databaseUrl'],
] as const) {
  describe(`F04: the REST API without ${store}`, function () {
    this.timeout(60_000)
    let world: World
    let api: Api
    let proxy: FaultProxy

    before(async () => {
      proxy = await createFaultProxy(url())
      world = await startWorld({ [option]: proxy.url })
      api = createApi(world)
      await createAnna(world)
    })
    after(async () => {
      await proxy?.heal()
      await world?.stop()
      await proxy?.close()
    })

    const signIn = () => api('POST', '/session', { json: ANNA })

    it('says that it cannot answer, keeps cookies and codes, and goes on as before afterwards', async () => {
      const { access_token: bearer, refresh_token } = (await signIn()).json<TokenResponse>()
      const jar = createCookieJar()
      await api('POST', '/session', { json: { ...ANNA, transport: 'cookie' }, jar })
      const cookies = jar.all()
      const changed = { current_password: PASSWORD, new_password: 'another horse, another battery' }
      const needsBoth: Record<string, Ask> = {
        'signing in': signIn,
        'signing in wrongly': () => api('POST', '/session', { json: { ...ANNA, password: 'wrong' } }),
        refreshing: () => api('POST', '/session/refresh', { json: { refresh_token } }),
        'refreshing by cookie': () => api('POST', '/session/refresh', { jar }),
        'the profile': () => api('GET', '/me', { bearer }),
        'changing the profile': () => api('PATCH', '/me', { bearer, json: { first_name: 'Eve' } }),
        'changing the password': () => api('PUT', '/me/password', { bearer, json: changed }),
        'the history': () => api('GET', '/me/sign-ins', { bearer }),
        'the export': () => api('GET', '/me/export', { bearer }),
        'deleting the account': () => api('DELETE', '/me', { bearer }),
        registering: () => api('POST', '/registration', { json: { email: 'new@example.org', password: PASSWORD } }),
        'asking for a reset': () => api('POST', '/password-reset', { json: { email: ANNA.login } }),
      }
      const needsRedis: Record<string, Ask> = {
        'the sessions': () => api('GET', '/me/sessions', { bearer }),
        'signing out': () => api('DELETE', '/session', { bearer }),
        'ending the others': () => api('DELETE', '/me/sessions', { bearer }),
      }
      await proxy.refuse()
      try {
        for (const [name, ask] of Object.entries(store === 'Redis' ? { ...needsBoth, ...needsRedis } : needsBoth)) {
          const reply = await ask()
          expect(problemOf(reply), `${name}: ${reply.text}`).to.deep.equal([503, 'temporarily_unavailable'])
          expect(Number(reply.headers['retry-after']), name).to.be.at.least(1)
          expect(reply.headers, name).not.to.have.property('set-cookie')
        }
      } finally {
        await proxy.heal()
      }
      expect(jar.all()).to.deep.equal(cookies)
      const me = await untilWell(() => api('GET', '/me', { bearer }))
      expect(me.json()).to.include({ first_name: 'Anna', email: ANNA.login })
      expect((await untilWell(() => api('POST', '/session/refresh', { json: { refresh_token } }))).status).to.equal(200)
      expect((await untilWell(signIn)).status).to.equal(200)
    })
  })
}
