/** The use cases, the outbox and its worker over the real stores, and a whole server that signs in. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createLogger } from '../../src/observability/logger.ts'
import { send } from '../support/http.ts'
import { refusal } from '../support/refusal.ts'
import { startWorld, type World } from '../support/world.ts'

const EMAIL = 'anna@example.org'
const NEW_EMAIL = 'anna@example.com'
const PASSWORD = 'correct horse battery'
const NEW_PASSWORD = 'a wholly new pass phrase'
const from = '192.0.2.1'

describe('the life of an account by mailed codes', function () {
  this.timeout(60_000)
  let world: World
  before(async () => {
    world = await startWorld()
    world.core.outbox.start(createLogger({ level: 'silent' }))
    await world.core.clients.create({
      id: 'app',
      name: 'App',
      type: 'spa',
      firstParty: true,
      grantTypes: ['password', 'refresh_token', 'authorization_code'],
      redirectUris: ['https://app.example/callback'],
      scopes: ['openid'],
    })
  })
  after(async () => {
    await world?.core.outbox.stop()
    await world?.stop()
  })

  const token = (form: Record<string, string>) =>
    send(world.servers[0]?.address ?? '', world.issuer, '/oauth2/token', { form: { client_id: 'app', ...form } })
  const signIn = async (username: string, password: string) => {
    const reply = await token({ grant_type: 'password', username, password, scope: 'openid' })
    return { status: reply.status, refreshToken: reply.json<{ refresh_token?: string }>().refresh_token ?? '' }
  }
  const refresh = async (refreshToken: string) =>
    (await token({ grant_type: 'refresh_token', refresh_token: refreshToken })).status

  const read = new Set<string>()
  /** Waits for the next mail to an address whose subject has the form; each mail is read once. */
  async function mailTo(address: string, subject: RegExp): Promise<string> {
    const folder = join(world.config.dataDir, 'outbox')
    for (let round = 0; round < 200; round += 1) {
      const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.eml') && !read.has(name))
      for (const name of names.sort()) {
        const mail = await readFile(join(folder, name), 'utf8')
        const match = subject.exec(/^Subject: (.*)$/m.exec(mail)?.[1] ?? '')
        if (!mail.includes(`To: ${address}`) || !match) continue
        read.add(name)
        return match[0]
      }
      await sleep(100)
    }
    throw new Error(`no mail to ${address}`)
  }
  async function untilAllIsMailed(): Promise<void> {
    for (let round = 0; round < 200; round += 1) {
      const left = await world.stores.database.db.selectFrom('outbox').select('kind').execute()
      if (left.length === 0) return
      await sleep(50)
    }
    throw new Error('something is left in the outbox')
  }
  const codeTo = (address: string) => mailTo(address, /^[0-9]{6}(?= )/)

  it('registers, verifies, changes the address and the password, forgets it, every old token is dead, no mail is left', async () => {
    const { registration, changePassword, emailChange, passwordReset, accounts } = world.core
    await registration.register({ email: EMAIL, password: PASSWORD }, from)
    expect((await signIn(EMAIL, PASSWORD)).status).to.equal(400)
    const { id } = await registration.verify({ email: EMAIL, code: await codeTo(EMAIL), from })
    const first = await signIn(EMAIL, PASSWORD)
    expect(first.status).to.equal(200)

    await registration.register({ email: EMAIL.toUpperCase(), password: PASSWORD }, from)
    await mailTo(EMAIL, /already have an account/)

    await emailChange.request({ accountId: id, password: PASSWORD, newEmail: NEW_EMAIL, from })
    await mailTo(EMAIL, /about to change/)
    await emailChange.confirm({ accountId: id, code: await codeTo(NEW_EMAIL), from })
    expect((await accounts.findById(id))?.email).to.equal(NEW_EMAIL)
    expect((await signIn(EMAIL, PASSWORD)).status).to.equal(400)

    const change = { accountId: id, currentPassword: PASSWORD, newPassword: NEW_PASSWORD, keepSession: undefined }
    await changePassword(change)
    await mailTo(NEW_EMAIL, /password was changed/)
    expect(await refresh(first.refreshToken)).to.equal(400)
    const second = await signIn(NEW_EMAIL, NEW_PASSWORD)
    expect(second.status).to.equal(200)

    await passwordReset.request({ email: NEW_EMAIL, from })
    const code = await codeTo(NEW_EMAIL)
    await passwordReset.confirm({ email: NEW_EMAIL, code, newPassword: PASSWORD, from })
    await mailTo(NEW_EMAIL, /password was changed/)
    expect(await refresh(second.refreshToken)).to.equal(400)
    expect((await signIn(NEW_EMAIL, NEW_PASSWORD)).status).to.equal(400)
    expect((await signIn(NEW_EMAIL, PASSWORD)).status).to.equal(200)
    const replay = passwordReset.confirm({ email: NEW_EMAIL, code, newPassword: PASSWORD, from })
    expect((await refusal(replay)).code).to.equal('invalid_code')
    await untilAllIsMailed()
  })
})
