/** /api/v1/audit_events: who reads it, what is in it after the whole life of an account, and what never is. */
import { expect } from 'chai'
import { type Api, createApi, pointersOf, problemOf } from '../support/api.ts'
import { createCodeFlow, PASSWORD, type TokenResponse, tokensOf } from '../support/code-flow.ts'
import { eventually } from '../support/eventually.ts'
import { basic, type Reply, send } from '../support/http.ts'
import { codeIn, mailed } from '../support/mailed.ts'
import { startWorld, type World } from '../support/world.ts'

const UNAUTHENTICATED = [401, 'unauthenticated']
const FORBIDDEN = [403, 'forbidden']
const BAD_REQUEST = [400, 'bad_request']
const NOT_FOUND = [404, 'not_found']
const NOBODY = '01890000-0000-7000-8000-000000000000'
const REDIRECT_URI = 'https://client.example/cb'

interface Item {
  id: string
  at: string
  actor: { kind: string; id: string | null; client_id: string | null }
  action: string
  target: { kind: string; id: string }
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
  request_id: string | null
  address: string | null
}
interface Page {
  items: Item[]
  next_cursor: string | null
}

describe('the audit events', function () {
  this.timeout(60_000)
  let world: World
  let api: Api
  let reader: { id: string; bearer: string }
  let serial = 0

  before(async function () {
    this.timeout(60_000)
    world = await startWorld({ servers: 2 })
    api = createApi(world)
    const { access, clients } = world.core
    await access.initialize()
    await access.ensureRole({ key: 'auditor', permissions: ['audit_read'] })
    await access.ensureRole({ key: 'others', permissions: ['accounts_admin', 'permissions_admin', 'teams_admin'] })
    await clients.create({
      id: 'app',
      type: 'spa',
      firstParty: true,
      redirectUris: [REDIRECT_URI],
      scopes: ['openid', 'offline_access'],
    })
    await clients.create({ id: 'worker', type: 'machine', secret: 's'.repeat(40), scopes: ['access:read'] })
    reader = await somebody('auditor')
  })
  after(() => world?.stop())

  const signIn = async (login: string, password = PASSWORD) => {
    const reply = await api('POST', '/session', { json: { login, password } })
    expect(reply.status, reply.text).to.equal(200)
    return reply.json<TokenResponse>().access_token
  }
  async function somebody(role?: string) {
    serial += 1
    const email = `person-${serial}@example.org`
    const { id } = await world.core.accounts.create({ email, password: PASSWORD, emailVerified: true })
    if (role !== undefined) await world.core.access.assignRole(id, role)
    return { id, email, bearer: await signIn(email) }
  }
  const read = (query = '', bearer = reader.bearer): Promise<Reply> => api('GET', `/audit_events${query}`, { bearer })
  const eventsOn = async (kind: string, id: string) => {
    const reply = await read(`?target=${kind}:${id}&limit=100`)
    expect(reply.status, reply.text).to.equal(200)
    return reply.json<Page>().items.reverse()
  }
  const actionsOn = async (id: string) => (await eventsOn('account', id)).map(({ action }) => action)

  for (const path of ['', `/${NOBODY}`]) {
    it(`GET /audit_events${path} is for who has a token, and for who may read them`, async () => {
      expect(problemOf(await api('GET', `/audit_events${path}?bad=1`))).to.deep.equal(UNAUTHENTICATED)
      const machine = await send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', {
        form: { grant_type: 'client_credentials', scope: 'access:read' },
        headers: { Authorization: basic('worker', 's'.repeat(40)) },
      })
      const others = [(await somebody()).bearer, (await somebody('others')).bearer]
      for (const bearer of [...others, machine.json<TokenResponse>().access_token]) {
        expect(problemOf(await read(`${path}?bad=1`, bearer))).to.deep.equal(FORBIDDEN)
      }
      const root = await somebody('superuser')
      expect((await read(path, root.bearer)).status).to.equal(path === '' ? 200 : 404)
    })
  }

  it('cannot be changed by anybody', async () => {
    const root = await somebody('superuser')
    const [event] = (await read('?limit=1')).json<Page>().items
    for (const [method, path] of [
      ['POST', '/audit_events'],
      ['DELETE', `/audit_events/${event?.id}`],
      ['PATCH', `/audit_events/${event?.id}`],
      ['PUT', `/audit_events/${event?.id}`],
    ] as const) {
      expect((await api(method, path, { bearer: root.bearer, json: {} })).status).to.be.oneOf([404, 405])
    }
    expect((await read(`/${event?.id}`)).json()).to.deep.equal(event)
  })

  it('refuses what no index serves, and what is malformed', async () => {
    const wrong = [
      '?actor=a&action=role.created',
      `?target=role:1&action=role.created`,
      '?target=role',
      '?target=cat:1',
      '?action=role',
      '?action=*',
      '?since=yesterday',
      '?until=2030-01-01',
      '?actor=',
      '?search=x',
      '?limit=0',
      '?limit=101',
      '?cursor=x',
      `?cursor=${Buffer.from('["x"]').toString('base64url')}`,
      '?actor=a&actor=b',
    ]
    for (const query of wrong) expect(problemOf(await read(query)), query).to.deep.equal(BAD_REQUEST)
    expect(pointersOf(await read('?since=yesterday'))).to.deep.equal(['/since'])
    for (const id of [NOBODY, 'x']) expect(problemOf(await read(`/${id}`)), id).to.deep.equal(NOT_FOUND)
  })

  it('are read newest first, page by page, and one by one', async () => {
    const person = await somebody()
    for (const name of ['A', 'B', 'C', 'D', 'E']) {
      await api('PATCH', '/me', { bearer: person.bearer, json: { first_name: name } })
    }
    const names: unknown[] = []
    let cursor: string | null = null
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`
      const page: Page = (await read(`?actor=${person.id}&limit=2${query}`)).json<Page>()
      names.push(...page.items.map(({ after }) => after?.first_name))
      cursor = page.next_cursor
    } while (cursor !== null)
    expect(names).to.deep.equal(['E', 'D', 'C', 'B', 'A'])
    const [newest] = (await read(`?actor=${person.id}&limit=1`)).json<Page>().items
    expect((await read(`/${newest?.id}`)).json()).to.deep.equal(newest)
    const since = encodeURIComponent(new Date(Date.parse(newest?.at ?? '') + 1).toISOString())
    expect((await read(`?actor=${person.id}&since=${since}`)).json<Page>().items).to.deep.equal([])
    const family = (await read('?action=account.*&limit=100')).json<Page>().items
    expect(family.every(({ action }) => action.startsWith('account.'))).to.equal(true)
    expect(family).not.to.be.empty
  })

  it('say who did it, by what request, and what differs', async () => {
    const person = await somebody()
    const requestId = 'the-request-of-this-test'
    const reply = await api('PATCH', '/me', {
      bearer: person.bearer,
      json: { first_name: 'Ada', attributes: { team: 'red' } },
      headers: { 'X-Request-Id': requestId },
    })
    expect(reply.status).to.equal(200)
    const [event] = await eventsOn('account', person.id)
    const { id: _, at: __, ...said } = event ?? ({} as Item)
    expect(said).to.deep.equal({
      actor: { kind: 'account', id: person.id, client_id: 'usher' },
      action: 'account.profile_changed',
      target: { kind: 'account', id: person.id },
      before: { first_name: null, attributes: {} },
      after: { first_name: 'Ada', attributes: { team: 'red' } },
      request_id: requestId,
      address: '127.0.0.1',
    })
  })

  it('say nothing of a change that was refused, or that changed nothing', async () => {
    const [person, other] = [await somebody(), await somebody()]
    await world.core.accounts.update(other.id, { username: 'taken' })
    const { bearer } = person
    expect((await api('PATCH', '/me', { bearer, json: { username: 'taken' } })).status).to.equal(409)
    expect((await api('PATCH', '/me', { bearer, json: {} })).status).to.equal(200)
    const passwords = { current_password: 'not this one at all', new_password: 'another long pass phrase' }
    expect((await api('PUT', '/me/password', { bearer, json: passwords })).status).to.equal(403)
    expect((await api('DELETE', '/me/sessions/g.somebody-elses', { bearer })).status).to.equal(404)
    expect(await actionsOn(person.id)).to.deep.equal([])
  })

  it('say that a refresh token was used again', async () => {
    const person = await somebody()
    const flow = createCodeFlow(world, { id: 'app', redirectUri: REDIRECT_URI })
    const login = { login: person.email, password: PASSWORD }
    const granted = await flow.authorize(flow.newAgent(), { scope: 'openid offline_access', prompt: 'consent' }, login)
    const first = tokensOf(await flow.redeem(granted))
    const second = tokensOf(await flow.refresh(first.refresh_token))
    tokensOf(await flow.refresh(second.refresh_token))
    expect((await flow.refresh(first.refresh_token)).status).to.equal(400)
    const [event] = (await untilSome('?action=grant.reuse_detected')).items
    expect(event).to.deep.include({ actor: { kind: 'client', id: 'app', client_id: null } })
    expect(event?.target.kind).to.equal('grant')
    expect(event?.after).to.deep.equal({ account_id: person.id })
  })

  /** What is noted after the fact may come a moment after the answer. */
  const untilSome = (query: string): Promise<Page> =>
    eventually(async () => {
      const page = (await read(query)).json<Page>()
      expect(page.items, query).not.to.be.empty
      return page
    })

  it('say once of every key that it came into use, however many servers see it', async () => {
    const { items } = (await read('?action=key.rotated&limit=100')).json<Page>()
    const kids = items.map(({ target }) => target.id)
    expect(kids).not.to.be.empty
    expect(new Set(kids).size).to.equal(kids.length)
    expect(items[0]?.actor.kind).to.equal('operator')
  })

  it('tell the whole life of an account, and never a password, a code or a token', async () => {
    const [email, newEmail] = ['whole-life@example.org', 'other-life@example.org']
    const secrets = ['first long pass phrase', 'second long pass phrase', 'third long pass phrase']
    const [first = '', second = '', third = ''] = secrets
    const keep = (secret: string) => {
      secrets.push(secret)
      return secret
    }
    const session = async (password: string, login = email) => keep(await signIn(login, password))
    const done = (reply: Reply, status: number) => expect(reply.status, reply.text).to.equal(status)

    done(await api('POST', '/registration', { json: { email, password: first, first_name: 'Ada' } }), 202)
    const proof = keep(codeIn(await mailed(world, email)))
    const made = await api('POST', '/registration/verify', { json: { email, code: proof } })
    const { id } = made.json<{ id: string }>()
    let bearer = await session(first)
    done(await api('PATCH', '/me', { bearer, json: { last_name: 'Lovelace' } }), 200)
    done(await api('PUT', '/me/password', { bearer, json: { current_password: first, new_password: second } }), 204)
    done(await api('POST', '/password-reset', { json: { email } }), 202)
    const sent = await mailedCode(email)
    done(await api('POST', '/password-reset/confirm', { json: { email, code: keep(sent), new_password: third } }), 204)
    bearer = await session(third)
    done(await api('PUT', '/me/email', { bearer, json: { password: third, new_email: newEmail } }), 202)
    const code = keep(codeIn(await mailed(world, newEmail)))
    done(await api('POST', '/me/email/confirm', { bearer, json: { code } }), 200)
    await session(third, newEmail)
    const { items } = (await api('GET', '/me/sessions', { bearer })).json<{
      items: { id: string; current: boolean }[]
    }>()
    const other = items.find(({ current }) => !current)
    done(await api('DELETE', `/me/sessions/${other?.id}`, { bearer }), 204)
    done(await api('DELETE', '/me/sessions', { bearer }), 204)
    done(await api('DELETE', '/me', { bearer }), 202)
    await session(third, newEmail) // which brings it back

    expect(await actionsOn(id)).to.deep.equal([
      'account.created',
      'account.profile_changed',
      'account.password_changed',
      'account.password_reset',
      'account.email_changed',
      'account.session_ended',
      'account.other_sessions_ended',
      'account.deletion_requested',
      'account.restored',
    ])
    const events = await eventsOn('account', id)
    expect(events.every(({ actor }) => actor.kind === 'account' && actor.id === id)).to.equal(true)
    expect(events.find(({ action }) => action === 'account.email_changed')).to.deep.include({
      before: { email },
      after: { email: newEmail },
    })
    const rows = await world.stores.database.db.selectFrom('audit_events').selectAll().execute()
    const text = JSON.stringify(rows)
    expect(text).to.contain(newEmail).and.not.contain('argon2')
    for (const secret of secrets) expect(text.includes(secret), `${secret} is in the audit log`).to.equal(false)
  })

  /** The newest code in the mail to an address, once there is one of a reset. */
  async function mailedCode(address: string): Promise<string> {
    for (let count = 1; count < 10; count += 1) {
      const mail = await mailed(world, address, count)
      if (/new password/.test(mail.subject)) return codeIn(mail)
    }
    throw new Error('there is no mail of a reset')
  }

  it('say that an application lost its access', async () => {
    const person = await somebody()
    const flow = createCodeFlow(world, { id: 'app', redirectUri: REDIRECT_URI })
    await flow.redeem(await flow.authorize(flow.newAgent(), {}, { login: person.email, password: PASSWORD }))
    await world.core.applications.revoke(person.id, 'app', { address: '192.0.2.1' })
    const [event] = await eventsOn('account', person.id)
    expect(event).to.deep.include({
      action: 'account.application_revoked',
      before: { client_id: 'app', grants: 1 },
      address: '192.0.2.1',
    })
  })

  it('say that an account is gone', async () => {
    const person = await somebody()
    const { core } = world
    await core.deletion.request(person.id, Date.now() / 1000)
    await world.stores.database.db
      .updateTable('accounts')
      .set({ deletion_due_at: new Date(0) })
      .where('id', '=', person.id)
      .execute()
    await core.deletion.removeDue()
    const events = await eventsOn('account', person.id)
    expect(events.map(({ action, actor }) => [action, actor.kind])).to.deep.equal([
      ['account.deletion_requested', 'account'],
      ['account.deleted', 'system'],
    ])
  })
})
