/** One way through everything that the servers keep in Redis, between two processes over one store. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createProbedClient } from '../faults/probes.ts'
import { untilWell } from '../faults/unavailable.ts'
import { ANNA, type CodeFlow, PASSWORD, tokensOf } from '../support/code-flow.ts'
import { listenTo } from '../support/event-stream.ts'
import { basic, send } from '../support/http.ts'
import { codeIn, mailed } from '../support/mailed.ts'
import { refusal } from '../support/refusal.ts'
import type { World } from '../support/world.ts'

/** Declares the tests; `at` answers the running world, which has two servers. */
export function itWorksBetweenTwoProcesses(at: () => World): void {
  let world: World
  let flow: CodeFlow
  const INACTIVE = '{"active":false}'

  before(async () => {
    world = at()
    flow = await createProbedClient(world)
  })

  /** The other process has been told within a second. */
  async function untilInactive(token: string, server: number): Promise<void> {
    for (let tries = 0; tries < 40; tries += 1) {
      if ((await flow.introspect(token, server)).text === INACTIVE) return
      await sleep(25)
    }
    throw new Error(`still active at server ${server}`)
  }

  it('redeems a code of one process at the other, once', async () => {
    const authorization = await flow.authorize(flow.newAgent(0))
    const tokens = tokensOf(await flow.redeem(authorization, {}, 1))
    expect((await flow.userinfo(tokens.access_token, 0)).status).to.equal(200)
    expect((await flow.redeem(authorization, {}, 0)).json().error).to.equal('invalid_grant')
    await untilInactive(tokens.access_token, 1)
  })

  it('rotates a refresh token at either process, and ends the grant when an old one is presented', async () => {
    const first = await flow.tokens()
    const second = tokensOf(await flow.refresh(first.refresh_token, {}, 0))
    const third = tokensOf(await flow.refresh(second.refresh_token, {}, 1))
    const rivals = await Promise.all([0, 1, 0, 1].map((server) => flow.refresh(third.refresh_token, {}, server)))
    expect(new Set(rivals.map((reply) => tokensOf(reply).refresh_token)).size).to.equal(1)
    const { refresh_token: last, access_token } = tokensOf(rivals[0] ?? (await flow.refresh('')))
    expect((await flow.refresh(first.refresh_token, {}, 1)).json().error).to.equal('invalid_grant')
    expect((await flow.refresh(last, {}, 0)).json().error).to.equal('invalid_grant')
    await untilInactive(access_token, 0)
    await untilInactive(access_token, 1)
  })

  it('shows a revocation at the other process, and to whoever listens there', async () => {
    const { secret = '' } = await world.core.clients.create({
      id: 'listener',
      type: 'machine',
      scopes: ['events:read'],
    })
    const granted = await send(world.servers[1]?.address ?? '', world.issuer, '/oauth2/token', {
      form: { grant_type: 'client_credentials', scope: 'events:read' },
      headers: { Authorization: basic('listener', secret) },
    })
    const listener = await listenTo({
      address: world.servers[1]?.address ?? '',
      issuer: world.issuer,
      bearer: tokensOf(granted).access_token,
    })
    const { access_token: token } = await flow.tokens()
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    expect((await flow.introspect(token, 1)).json().active).to.equal(true)
    expect((await flow.revoke(token, 0)).status).to.equal(200)
    await untilInactive(token, 1)
    await listener.next('revoked', (data) => data.kind === 'token' && data.id === jti)
    listener.close()
  })

  it('lists the sessions of an account, and ends them all', async () => {
    const { id } = (await world.core.accounts.findByLogin(ANNA.login)) ?? { id: '' }
    const tokens = await flow.tokens()
    expect((await world.core.sessions.list(id, { limit: 50, currentId: undefined })).items).not.to.be.empty
    await world.core.sessions.endAll(id)
    expect((await world.core.sessions.list(id, { limit: 50, currentId: undefined })).items).to.be.empty
    await untilInactive(tokens.access_token, 1)
    expect((await flow.refresh(tokens.refresh_token, {}, 1)).json().error).to.equal('invalid_grant')
    await sleep(25) // a sign-in of the same millisecond would count as one of before
  })

  it('resets a password by a mailed code, which ends what was signed in', async () => {
    const tokens = await flow.tokens()
    await world.core.passwordReset.deliver({ email: ANNA.login })
    const code = codeIn(await mailed(world, ANNA.login))
    const attempt = (tried: string) =>
      world.core.passwordReset.confirm({ email: ANNA.login, code: tried, newPassword: PASSWORD, from: '192.0.2.1' })
    await refusal(attempt(code === '000000' ? '111111' : '000000'))
    await attempt(code)
    await untilInactive(tokens.access_token, 0)
    await untilInactive(tokens.access_token, 1)
    await refusal(attempt(code))
    await sleep(25)
  })

  it('counts tries of both processes in one budget', async () => {
    const wrong = (server: number) =>
      flow.post('/oauth2/token', { grant_type: 'password', username: 'nobody@example.org', password: 'wrong' }, server)
    const statuses: number[] = []
    for (let tries = 0; tries < 40 && !statuses.includes(429); tries += 1) {
      statuses.push((await wrong(tries % 2)).status)
    }
    expect(statuses.at(-1), statuses.join(' ')).to.equal(429)
    expect([(await wrong(0)).status, (await wrong(1)).status]).to.deep.equal([429, 429])
  })

  it('says that it is ready', async () => {
    const reply = await untilWell(() => send(world.servers[1]?.address ?? '', world.issuer, '/readyz'))
    expect(reply.status).to.equal(200)
  })
}
