/** What an application that is not of the house can do to the session its tokens come from. */
import { expect } from 'chai'
import { createAnna, createCodeFlow, responseOf } from '../support/code-flow.ts'
import { send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

const REDIRECT_URI = 'https://client.example/cb'

describe('the session behind a token', () => {
  let world: World

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    await createAnna(world)
    const { create } = world.core.clients
    await create({ id: 'own', type: 'spa', firstParty: true, redirectUris: [REDIRECT_URI] })
    await create({ id: 'foreign', type: 'spa', redirectUris: [REDIRECT_URI] })
  })
  after(() => world?.stop())

  for (const [id, status, isOver] of [
    ['foreign', 403, false],
    ['own', 200, true],
  ] as const) {
    it(`is ${isOver ? '' : 'not '}ended by a token of an application that is ${isOver ? '' : 'not '}of the house`, async () => {
      const flow = createCodeFlow(world, { id, redirectUri: REDIRECT_URI })
      const agent = flow.newAgent()
      const { access_token } = await flow.tokens({}, agent)
      const reply = await send(world.servers[0]?.address ?? '', world.issuer, '/api/v1/session', {
        method: 'DELETE',
        headers: { Authorization: `Bearer ${access_token}` },
      })
      expect(reply.status).to.equal(status)
      const answer = responseOf(await agent.open(flow.requestOf({ prompt: 'none' }).url))
      expect(answer.get('error')).to.equal(isOver ? 'login_required' : null)
    })
  }
})
