/** /api/v1/registration, /api/v1/password-reset and the change of credentials, with the mail that the servers send. */
import { expect } from 'chai'
import { type Api, createApi, pointersOf, problemOf } from '../support/api.ts'
import { PASSWORD, type TokenResponse } from '../support/code-flow.ts'
import type { Reply } from '../support/http.ts'
import { codeIn, mailed, mailTo } from '../support/mailed.ts'
import { isRefusedBy } from '../support/people.ts'
import { startWorld, type World } from '../support/world.ts'

const NEW_PASSWORD = 'another horse, another battery'
const BAD_REQUEST = [400, 'bad_request']
const INVALID_CODE = [400, 'invalid_code']
const UNAUTHENTICATED = [401, 'unauthenticated']

/** What must not differ between addresses with and without an account. */
const outsideOf = ({ status, headers, text }: Reply) => ({ status, names: Object.keys(headers), text })

let serial = 0
const freshAddress = (): string => `new-${++serial}@example.org`

describe('registration and credentials as JSON', function () {
  this.timeout(30_000)
  let world: World
  let api: Api
  let another: Api

  before(async function () {
    this.timeout(40_000)
    world = await startWorld({ servers: 2 })
    api = createApi(world)
    another = createApi(world, 1)
  })
  after(() => world?.stop())

  const register = (email: string, more: object = {}) =>
    api('POST', '/registration', { json: { email, password: PASSWORD, ...more } })
  const verify = (email: string, code: unknown, call = api) =>
    call('POST', '/registration/verify', { json: { email, code } })
  const signIn = (login: string, password = PASSWORD) => api('POST', '/session', { json: { login, password } })
  const tokensOf = async (login: string, password = PASSWORD): Promise<TokenResponse> => {
    const reply = await signIn(login, password)
    expect(reply.status, reply.text).to.equal(200)
    return reply.json<TokenResponse>()
  }
  const somebody = async () => {
    const email = freshAddress()
    await world.core.accounts.create({ email, password: PASSWORD, emailVerified: true })
    return { email, ...(await tokensOf(email)) }
  }

  describe('registration', () => {
    it('refuses what is no registration, naming the fault', async () => {
      const malformed: [json: object, pointer: string][] = [
        [{}, '/email'],
        [{ email: 'a@example.org' }, '/password'],
        [{ email: 'no address', password: PASSWORD }, '/email'],
        [{ email: 'a@v.example\r\nBcc: x@evil.example', password: PASSWORD }, '/email'],
        [{ email: 'a@example.org', password: PASSWORD, username: 'a b' }, '/username'],
        [{ email: 'a@example.org', password: PASSWORD, is_superuser: true }, '/is_superuser'],
        [{ email: 'a@example.org', password: PASSWORD, email_verified: true }, '/email_verified'],
        [{ email: ['a@example.org'], password: PASSWORD }, '/email'],
      ]
      for (const [json, pointer] of malformed) {
        const reply = await api('POST', '/registration', { json })
        expect(problemOf(reply), JSON.stringify(json)).to.deep.equal(BAD_REQUEST)
        expect(pointersOf(reply)).to.include(pointer)
      }
      const weak = await register('a@example.org', { password: 'short' })
      expect(problemOf(weak)).to.deep.equal([400, 'invalid_password'])
    })

    it('makes an account of who reads the mail, once', async () => {
      const email = freshAddress()
      const reply = await register(email, { username: `u${serial}`, first_name: 'Ann', locale: 'ru' })
      expect(reply.status).to.equal(202)
      expect(problemOf(await signIn(email))).to.deep.equal([401, 'invalid_credentials'])
      const code = codeIn(await mailed(world, email))
      const verified = await verify(email, code, another)
      expect(verified.json()).to.include({ email, email_verified: true, first_name: 'Ann', locale: 'ru' })
      expect((await signIn(email)).status).to.equal(200)
      expect(problemOf(await verify(email, code))).to.deep.equal(INVALID_CODE)
    })

    it('answers a taken address like a new one, and tells its owner by mail', async () => {
      const { email } = await somebody()
      const [taken, fresh] = [await register(email), await register(freshAddress())]
      expect(outsideOf(taken)).to.deep.equal(outsideOf(fresh))
      const notice = await mailed(world, email)
      expect(() => codeIn(notice)).to.throw()
    })

    it('refuses wrong codes alike, whatever is wrong', async () => {
      const email = freshAddress()
      await register(email)
      const code = codeIn(await mailed(world, email))
      const wrong = code === '000000' ? '000001' : '000000'
      for (const [address, given] of [
        [email, wrong],
        [freshAddress(), code],
        [email, 'letters'],
      ] as const) {
        expect(problemOf(await verify(address, given))).to.deep.equal(INVALID_CODE)
      }
      for (const given of ['', null, 0, ['000000'], { $ne: 1 }]) {
        expect(problemOf(await verify(email, given)), JSON.stringify(given)).to.deep.equal(BAD_REQUEST)
      }
      expect((await verify(email, code)).status).to.equal(200)
    })

    it('makes one account for one of racing verifications', async () => {
      const email = freshAddress()
      await register(email)
      const code = codeIn(await mailed(world, email))
      const replies = await Promise.all(Array.from({ length: 6 }, (_, i) => verify(email, code, i % 2 ? api : another)))
      expect(replies.filter(({ status }) => status === 200)).to.have.length(1)
    })
  })

  describe('password reset', () => {
    const request = (email: string) => api('POST', '/password-reset', { json: { email } })
    const confirm = (email: string, code: unknown, new_password = NEW_PASSWORD, call = api) =>
      call('POST', '/password-reset/confirm', { json: { email, code, new_password } })

    it('answers every address alike', async () => {
      const { email } = await somebody()
      const [known, unknown] = [await request(email), await request(freshAddress())]
      expect(known.status).to.equal(202)
      expect(outsideOf(known)).to.deep.equal(outsideOf(unknown))
      expect(problemOf(await request('no address'))).to.deep.equal(BAD_REQUEST)
    })

    it('sets the password and kills everything that was signed in before, once', async () => {
      const { email, access_token, refresh_token } = await somebody()
      await request(email)
      const code = codeIn(await mailed(world, email))
      expect(problemOf(await confirm(email, code, 'short'))).to.deep.equal([400, 'invalid_password'])
      expect((await confirm(email, code, NEW_PASSWORD, another)).status).to.equal(204)
      expect(problemOf(await confirm(email, code))).to.deep.equal(INVALID_CODE)
      for (const call of [another, api]) {
        await isRefusedBy(call, access_token)
        expect(problemOf(await call('POST', '/session/refresh', { json: { refresh_token } }))).to.deep.equal(
          UNAUTHENTICATED,
        )
      }
      expect(problemOf(await signIn(email))).to.deep.equal([401, 'invalid_credentials'])
      expect((await signIn(email, NEW_PASSWORD)).status).to.equal(200)
      const notice = await mailed(world, email, 2)
      expect(() => codeIn(notice)).to.throw()
    })

    it('refuses codes of others and what is no code, and no account is told from nobody', async () => {
      const [one, other] = [await somebody(), await somebody()]
      await request(one.email)
      const code = codeIn(await mailed(world, one.email))
      const wrong = await confirm(other.email, code)
      const nobody = await confirm(freshAddress(), code)
      for (const reply of [wrong, nobody]) expect(problemOf(reply)).to.deep.equal(INVALID_CODE)
      expect(Object.keys(nobody.headers)).to.deep.equal(Object.keys(wrong.headers))
      for (const given of ['', null, ['000000'], { $ne: 1 }, 123456]) {
        expect(problemOf(await confirm(one.email, given)), JSON.stringify(given)).to.deep.equal(BAD_REQUEST)
      }
    })
  })

  describe('the own password', () => {
    const change = (bearer: string, current_password: string, new_password = NEW_PASSWORD) =>
      api('PUT', '/me/password', { bearer, json: { current_password, new_password } })

    it('changes for who knows the old one; other sessions end and this one goes on', async () => {
      const { email, access_token: bearer, refresh_token } = await somebody()
      const other = await tokensOf(email)
      expect(problemOf(await change(bearer, 'wrong'))).to.deep.equal([403, 'invalid_credentials'])
      expect(problemOf(await change(bearer, PASSWORD, 'short'))).to.deep.equal([400, 'invalid_password'])
      expect((await change(bearer, PASSWORD)).status).to.equal(204)
      expect((await another('GET', '/me', { bearer })).status).to.equal(200)
      expect((await another('POST', '/session/refresh', { json: { refresh_token } })).status).to.equal(200)
      await isRefusedBy(another, other.access_token)
      expect((await signIn(email, NEW_PASSWORD)).status).to.equal(200)
      await mailed(world, email)
      expect(problemOf(await change(bearer, PASSWORD))).to.deep.equal([403, 'invalid_credentials'])
    })
  })

  describe('the own e-mail address', () => {
    const ask = (bearer: string, new_email: string, password = PASSWORD) =>
      api('PUT', '/me/email', { bearer, json: { password, new_email } })
    const confirm = (bearer: string, code: unknown) => api('POST', '/me/email/confirm', { bearer, json: { code } })

    it('changes when the code that went to the new one comes back', async () => {
      const { email, access_token: bearer } = await somebody()
      const target = freshAddress()
      expect(problemOf(await ask(bearer, target, 'wrong'))).to.deep.equal([403, 'invalid_credentials'])
      expect(problemOf(await ask(bearer, 'no address'))).to.deep.equal(BAD_REQUEST)
      expect((await ask(bearer, target)).status).to.equal(202)
      expect((await api('GET', '/me', { bearer })).json()).to.include({ email })
      const code = codeIn(await mailed(world, target))
      await mailed(world, email)
      const stranger = await somebody()
      expect(problemOf(await confirm(stranger.access_token, code))).to.deep.equal(INVALID_CODE)
      expect((await confirm(bearer, code)).json()).to.include({ email: target, email_verified: true })
      expect(problemOf(await confirm(bearer, code))).to.deep.equal(INVALID_CODE)
      expect((await signIn(target)).status).to.equal(200)
    })

    it('does not tell that somebody else has the new one', async () => {
      const [one, other] = [await somebody(), await somebody()]
      const [taken, free] = [await ask(one.access_token, other.email), await ask(one.access_token, freshAddress())]
      expect(outsideOf(taken)).to.deep.equal(outsideOf(free))
      await mailed(world, one.email, 2)
      const notices = await mailTo(world, one.email)
      expect(notices[0]?.subject).to.equal(notices[1]?.subject)
    })
  })
})

for (const [mode, status] of [
  ['open', 201],
  ['closed', 403],
] as const) {
  describe(`registration in the mode ${mode}`, function () {
    this.timeout(40_000)
    let world: World
    before(async () => {
      world = await startWorld({ env: { USHER_REGISTRATION: mode } })
    })
    after(() => world?.stop())

    it(`answers ${status} at once`, async () => {
      const api = createApi(world)
      const email = freshAddress()
      const reply = await api('POST', '/registration', { json: { email, password: PASSWORD } })
      expect(reply.status, reply.text).to.equal(status)
      if (mode === 'closed') expect(problemOf(reply)).to.deep.equal([403, 'registration_closed'])
      else expect(reply.json()).to.include({ email, email_verified: false })
      const signedIn = await api('POST', '/session', { json: { login: email, password: PASSWORD } })
      expect(signedIn.status).to.equal(mode === 'open' ? 200 : 401)
    })
  })
}
