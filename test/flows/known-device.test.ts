import { expect } from 'chai'
import { send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const PASSWORD = 'correct horse battery staple'

describe('a device that has signed in before', () => {
  let world: World

  const signIn = (login: string, password: string, cookie = '', address = '203.0.113.1') =>
    send(world.servers[0]?.address ?? '', world.issuer, '/api/v1/session', {
      headers: { 'X-Forwarded-For': address, ...(cookie ? { Cookie: cookie } : {}) },
      json: { login, password, transport: 'cookie' },
    })

  async function deviceOf(login: string): Promise<string> {
    const reply = await signIn(login, PASSWORD)
    expect(reply.status, reply.text).to.equal(200)
    return /usher_device=[^;]+/.exec(String(reply.headers['set-cookie']))?.[0] ?? ''
  }

  /** Wrong passwords from ever other addresses until the login's budget is spent. */
  async function guessAt(login: string, cookie = ''): Promise<number[]> {
    const statuses = []
    for (let round = 2; round < 14; round++) {
      statuses.push((await signIn(login, 'wrong', cookie, `203.0.113.${round}`)).status)
    }
    return statuses
  }

  before(async function () {
    this.timeout(30_000)
    world = await startWorld({ env: { USHER_TRUSTED_PROXIES: '1' } })
    await world.core.accounts.create({ email: 'owner@example.org', password: PASSWORD, emailVerified: true })
  })
  after(() => world?.stop())

  it('still lets its owner in when a stranger has used up the guesses, and no other device does', async function () {
    this.timeout(30_000)
    const device = await deviceOf('owner@example.org')
    expect(await guessAt('owner@example.org')).to.include(429)

    expect((await signIn('owner@example.org', PASSWORD, '', '203.0.113.99')).status, 'another device').to.equal(429)
    expect((await signIn('owner@example.org', PASSWORD, device)).status, 'the known device').to.equal(200)
  })

  it('gives no guesses at the account of somebody else', async function () {
    this.timeout(30_000)
    await world.core.accounts.create({ email: 'thief@example.org', password: PASSWORD, emailVerified: true })
    await world.core.accounts.create({ email: 'victim@example.org', password: PASSWORD, emailVerified: true })
    const device = await deviceOf('thief@example.org')
    expect(await guessAt('victim@example.org', device)).to.include(429)
  })
})
