/**
 * Two server processes over one Redis and one PostgreSQL. RFC 9700 section 4.14.2 and RFC 6749 section 4.1.2 speak of one
 * use; the engine checks first and acts later, so only the store can keep that promise.
 */
import { expect } from 'chai'
import { type CodeFlow, createAnna, createCodeFlow, tokensOf } from '../support/code-flow.ts'
import { basic, send } from '../support/http.ts'
import type { UserAgent } from '../support/user-agent.ts'
import { startWorld, type World } from '../support/world.ts'
import { startNaiveServers } from './naive-server.ts'
import { codeFaults, race, refreshFaults, wonTokens } from './race.ts'

const RIVALS = 8

/**
 * A rival that the machine keeps back until the answer has left is a replay for whoever sees it, and revokes. Over SQL
 * that is not rare, and there is no saying how often: redeeming takes longer than a busy machine keeps a process waiting,
 * and a commit can be seen later than its statement was made.
 */
for (const [store, rounds, mostRevoked, env] of [
  ['Redis', 100, 5, {}],
  ['SQL', 25, undefined, { USHER_REDIS_URL: '' }],
] as const) {
  describe(`F10: two processes race over ${store}`, function () {
    this.timeout(60_000)
    let world: World
    let party: CodeFlow
    let agent: UserAgent

    before(async () => {
      world = await startWorld({ servers: 2, env })
      await createAnna(world)
      await world.core.clients.create({
        id: 'racer',
        name: 'Racer',
        type: 'spa',
        firstParty: true,
        redirectUris: ['https://racer.example/cb'],
        scopes: ['openid', 'offline_access'],
      })
      party = createCodeFlow(world, { id: 'racer', redirectUri: 'https://racer.example/cb' })
      agent = party.newAgent()
      const { code, ...request } = await party.authorize(agent)
      // Every rival gets its connection first: what is sent late by opening a socket is no rival but a replay.
      await race(RIVALS, (rival) => party.redeem({ ...request, code: `${code}-not` }, {}, rival % 2))
    })
    after(() => world?.stop())

    const claim = mostRevoked === undefined ? '' : ', and no loser harms the winner'
    it(`gives tokens for a code once${claim}`, async () => {
      const faults: string[] = []
      let revoked = 0
      for (let round = 0; round < rounds; round++) {
        const authorization = await party.authorize(agent, { prompt: 'none' })
        const result = await race(RIVALS, (rival) => party.redeem(authorization, {}, rival % 2))
        faults.push(...codeFaults(result))
        const { access_token, refresh_token } = wonTokens(result)
        const [userinfo, refreshed] = await Promise.all([
          party.userinfo(access_token, round % 2),
          party.refresh(refresh_token, {}, round % 2),
        ])
        expect(userinfo.status, userinfo.text).to.be.oneOf([200, 401])
        if (refreshed.status !== 200) expect(refreshed.json().error, refreshed.text).to.equal('invalid_grant')
        if (userinfo.status !== 200 || refreshed.status !== 200) revoked++
      }
      expect(faults).to.deep.equal([])
      if (mostRevoked !== undefined) expect(revoked, 'rounds whose winner was revoked').to.be.at.most(mostRevoked)
    })

    it('A019: a code presented after its answer kills what it gave, on both processes', async () => {
      const authorization = await party.authorize(agent, { prompt: 'none' })
      const { access_token, refresh_token } = tokensOf(await party.redeem(authorization))
      expect((await party.userinfo(access_token, 1)).status).to.equal(200)
      const replay = await party.redeem(authorization, {}, 1)
      expect([replay.status, replay.json().error]).to.deep.equal([400, 'invalid_grant'])
      for (const server of [0, 1]) expect((await party.userinfo(access_token, server)).status).to.equal(401)
      expect((await party.refresh(refresh_token)).json().error).to.equal('invalid_grant')
    })

    it('gives one refresh token one successor, and every rival the same', async () => {
      const first = await party.redeem(await party.authorize(agent, { prompt: 'none' }))
      let presented = tokensOf(first).refresh_token
      const faults: string[] = []
      for (let round = 0; round < rounds; round++) {
        const result = await race(RIVALS, (rival) => party.refresh(presented, {}, rival % 2))
        faults.push(...refreshFaults(result))
        const winner = wonTokens(result)
        const userinfo = await party.userinfo(winner.access_token, round % 2)
        if (userinfo.status !== 200) faults.push(`round ${round}: the winner's access token is dead`)
        presented = winner.refresh_token
      }
      expect(faults).to.deep.equal([])
    })
  })
}

describe('F10: the race itself', () => {
  it('would catch an adapter that checks and then acts', async () => {
    const naive = await startNaiveServers(2)
    const token = (rival: number, form: Record<string, string>) =>
      send(naive.addresses[rival % 2] ?? '', naive.issuer, '/token', {
        form,
        headers: { Authorization: basic(naive.client.id, naive.client.secret) },
      })
    try {
      const { code, refreshToken } = await naive.seed()
      const forCode = await race(RIVALS, (rival) =>
        token(rival, { grant_type: 'authorization_code', code, redirect_uri: naive.client.redirectUri }),
      )
      const forRotation = await race(RIVALS, (rival) =>
        token(rival, { grant_type: 'refresh_token', refresh_token: refreshToken }),
      )
      expect(codeFaults(forCode).join()).to.match(/rivals got tokens for one code/)
      expect(refreshFaults(forRotation).join()).to.match(/one refresh token has \d+ successors/)
    } finally {
      await naive.stop()
    }
  })
})
