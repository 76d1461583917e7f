/** An https issuer with every other setting at its default: TLS ends in front of this process, which sees plain HTTP. */
import { expect } from 'chai'
import { createCodeFlow } from '../support/code-flow.ts'
import { startWorld, type World } from '../support/world.ts'

const ISSUER = 'https://id.example'
const REDIRECT_URI = 'https://client.example/cb'

describe('an https issuer behind whatever ends TLS', () => {
  let world: World

  before(async function () {
    this.timeout(30_000)
    world = await startWorld({ issuer: ISSUER })
    await world.core.clients.create({ id: 'spa', type: 'spa', redirectUris: [REDIRECT_URI] })
  })
  after(() => world?.stop())

  const flowOf = () => createCodeFlow(world, { id: 'spa', redirectUri: REDIRECT_URI })

  it('publishes https addresses only', async () => {
    for (const headers of [{}, { 'X-Forwarded-Proto': 'http' }]) {
      const document = (await flowOf().get('/.well-known/openid-configuration', headers)).json()
      const urls = Object.values(document).filter((value) => typeof value === 'string' && value.includes('://'))
      expect(urls).to.have.length.greaterThan(5)
      expect(urls.filter((url) => !String(url).startsWith(ISSUER))).to.deep.equal([])
    }
  })

  it('sets Secure cookies only', async () => {
    const { pathname, search } = new URL(flowOf().requestOf().url)
    const cookies = (await flowOf().get(pathname + search)).headers['set-cookie'] ?? []
    expect(cookies).to.have.length.greaterThan(1)
    for (const cookie of cookies) expect(cookie).to.match(/^__Secure-.*; secure/)
  })
})
