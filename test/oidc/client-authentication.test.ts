/** Clients prove who they are by exactly the method they are registered with (RFC 6749 section 2.3, RFC 7523 section 3). */
import { expect } from 'chai'
import { SignJWT } from 'jose'
import {
  ASSERTION_TYPE,
  byBasic,
  byName,
  byPost,
  type Credentials,
  createSigner,
  presenting,
  type Signer,
} from '../support/authenticating.ts'
import { basic, type Reply, send } from '../support/http.ts'
import { startWorld, type World } from '../support/world.ts'

/** What form encoding changes: space, colon, plus, percent sign and their like. */
const ODD_SECRET = 'a b:c+d%20e&f=g/h?i#j ~ k"l\'m!n o p q'

describe('client authentication', () => {
  let world: World
  let signer: Signer
  const secrets: Record<string, string> = {}

  before(async function () {
    this.timeout(30_000)
    world = await startWorld({ servers: 2 })
    signer = await createSigner()
    const create = async (id: string, tokenEndpointAuthMethod: 'client_secret_basic' | 'client_secret_post') => {
      const { secret } = await world.core.clients.create({ id, type: 'machine', tokenEndpointAuthMethod })
      secrets[id] = secret ?? ''
    }
    await create('basic', 'client_secret_basic')
    await create('post', 'client_secret_post')
    await world.core.clients.create({
      id: 'assertion',
      type: 'machine',
      tokenEndpointAuthMethod: 'private_key_jwt',
      metadata: { jwks: signer.jwks },
    })
    await world.core.clients.create({ id: 'public', type: 'spa', redirectUris: ['https://spa.example/cb'] })
  })
  after(() => world?.stop())

  /** A request that any authenticated machine may make. */
  const ask = ({ form, headers }: Credentials, server = 0, path = '/oauth2/token'): Promise<Reply> =>
    send(world.servers[server]?.address ?? '', world.issuer, path, {
      form: path === '/oauth2/token' ? { grant_type: 'client_credentials', ...form } : { token: 'x.y', ...form },
      headers,
    })
  const outcome = (reply: Reply) => [reply.status, reply.status === 200 ? 'ok' : reply.json().error]
  const OK = [200, 'ok']
  const INVALID_CLIENT = [401, 'invalid_client']

  it('works by each method at every endpoint that asks for it', async () => {
    for (const path of ['/oauth2/token', '/oauth2/introspect', '/oauth2/revoke']) {
      expect(outcome(await ask(await byBasic('basic', secrets.basic)(), 1, path)), path).to.deep.equal(OK)
      expect(outcome(await ask(await byPost('post', secrets.post)(), 1, path)), path).to.deep.equal(OK)
      const assertion = await signer.assertion('assertion', world.issuer)
      expect(outcome(await ask(presenting(assertion), 1, path)), path).to.deep.equal(OK)
    }
  })

  it('A128: refuses a wrong, empty or missing secret, and says so in one way', async () => {
    const refusals = [
      await ask(await byBasic('basic', `${secrets.basic}x`)()),
      await ask(await byPost('post', `${secrets.post}x`)()),
      await ask(await byBasic('nobody', secrets.basic)()),
      await ask(await byPost('post', '')()),
      await ask(await byName('basic')()),
      await ask(await byName('post')()),
      await ask(await byName('assertion')()),
      await ask({ form: {}, headers: {} }),
    ]
    for (const reply of refusals) {
      expect(outcome(reply)).to.deep.equal(INVALID_CLIENT)
      expect(reply.headers['cache-control']).to.equal('no-store')
      expect(reply.text).not.to.include(secrets.basic)
    }
    expect(refusals[0]?.headers['www-authenticate']).to.match(/^Basic realm="/)
    expect(refusals[1]?.text).to.equal(refusals[3]?.text)
    expect(outcome(await ask(await byBasic('basic', secrets.basic)()))).to.deep.equal(OK)
  })

  it('A128: refuses two methods at once and a header that is not well formed', async () => {
    const good = basic('basic', secrets.basic ?? '')
    for (const credentials of [
      { form: { client_id: 'basic', client_secret: secrets.basic ?? '' }, headers: { Authorization: good } },
      { ...presenting(await signer.assertion('assertion', world.issuer)), headers: { Authorization: good } },
      { form: { client_id: 'post' }, headers: { Authorization: good } },
      { form: {}, headers: { Authorization: `${good} x` } },
      { form: {}, headers: { Authorization: 'Basic !!!!' } },
      { form: {}, headers: { Authorization: `Basic ${Buffer.from('basic').toString('base64')}` } },
      { form: {}, headers: { Authorization: `Basic ${Buffer.from('basic:%ZZ').toString('base64')}` } },
      { form: {}, headers: { Authorization: `Bearer ${secrets.basic}` } },
    ]) {
      const reply = await ask(credentials)
      expect(reply.status, JSON.stringify(credentials)).to.be.within(400, 401)
      expect(['invalid_request', 'invalid_client']).to.include(reply.json().error)
    }
  })

  it('A128: takes a form-encoded id and secret with special characters by Basic', async () => {
    const secret = ODD_SECRET
    await world.core.clients.create({ id: 'odd.id~1', type: 'machine', secret })
    expect(outcome(await ask(await byBasic('odd.id~1', secret)()))).to.deep.equal(OK)
    const plus = `Basic ${Buffer.from(`odd.id~1:${encodeURIComponent(secret).replaceAll('%20', '+')}`).toString('base64')}`
    expect(outcome(await ask({ form: {}, headers: { Authorization: plus } }))).to.deep.equal(OK)
  })

  it('holds a private_key_jwt client to assertions, and the others to their secret', async () => {
    expect(outcome(await ask(await byBasic('assertion', 'x'.repeat(40))()))).to.deep.equal(INVALID_CLIENT)
    const forBasic = await signer.assertion('basic', world.issuer)
    expect(outcome(await ask(presenting(forBasic)))).to.deep.equal(INVALID_CLIENT)
  })

  it('takes an assertion once, whichever process sees it again', async () => {
    for (const [first, second] of [
      [0, 1],
      [1, 0],
      [0, 0],
    ] as const) {
      const assertion = await signer.assertion('assertion', world.issuer)
      expect(outcome(await ask(presenting(assertion), first))).to.deep.equal(OK)
      expect(outcome(await ask(presenting(assertion), second))).to.deep.equal(INVALID_CLIENT)
    }
  })

  it('lets exactly one of sixteen rivals use an assertion', async () => {
    const assertion = await signer.assertion('assertion', world.issuer)
    const replies = await Promise.all(
      Array.from({ length: 16 }, (_, rival) => ask(presenting(assertion), rival % 2).then(outcome)),
    )
    const refused = replies.filter(([status]) => status !== 200)
    expect(refused).to.have.length(15)
    for (const refusal of refused) expect(refusal).to.deep.equal(INVALID_CLIENT)
  })

  it('A040, A041: refuses an assertion without, with a foreign or with a confused signature', async () => {
    const other = await createSigner()
    const genuine = await signer.assertion('assertion', world.issuer)
    const [header = '', payload = ''] = genuine.split('.')
    const none = (alg: string) => `${Buffer.from(JSON.stringify({ alg })).toString('base64url')}.${payload}.`
    const symmetric = await new SignJWT({ iss: 'assertion', sub: 'assertion', aud: world.issuer, jti: 'j' })
      .setProtectedHeader({ alg: 'HS256', kid: 'client-key' })
      .setExpirationTime('1m')
      .sign(new TextEncoder().encode(JSON.stringify(signer.jwks.keys[0])))
    for (const [kind, assertion] of Object.entries({
      none: none('none'),
      None: none('None'),
      nOnE: none('nOnE'),
      'no signature': `${header}.${payload}.`,
      'a foreign key': await other.assertion('assertion', world.issuer),
      'the public key as a secret': symmetric,
    })) {
      expect(outcome(await ask(presenting(assertion))), kind).to.deep.equal(INVALID_CLIENT)
    }
    expect(outcome(await ask(presenting(genuine)))).to.deep.equal(OK)
  })

  it('holds an assertion to its audience, subject, time and id', async () => {
    const now = Math.floor(Date.now() / 1000)
    for (const claims of [
      { aud: 'https://elsewhere.example' },
      { aud: undefined },
      { iss: 'basic' },
      { exp: now - 300 },
      { exp: undefined },
      { jti: undefined },
      { nbf: now + 300 },
    ]) {
      const assertion = await signer.assertion('assertion', world.issuer, claims)
      expect(outcome(await ask(presenting(assertion))), JSON.stringify(claims)).to.deep.equal(INVALID_CLIENT)
    }
    for (const audience of [world.issuer, `${world.issuer}/oauth2/token`]) {
      expect(outcome(await ask(presenting(await signer.assertion('assertion', audience))))).to.deep.equal(OK)
    }
  })

  it('A043: does not take a token for an assertion', async () => {
    const reply = await ask(await byBasic('basic', secrets.basic)())
    const { access_token: token } = reply.json<{ access_token: string }>()
    expect(outcome(await ask(presenting(token)))).to.deep.equal(INVALID_CLIENT)
    const wrongType = await ask({
      form: { client_assertion: await signer.assertion('assertion', world.issuer), client_assertion_type: 'jwt' },
      headers: {},
    })
    expect(outcome(wrongType)).to.deep.equal([400, 'invalid_request'])
    expect(ASSERTION_TYPE).to.match(/jwt-bearer$/)
  })
})
