import { expect } from 'chai'
import { until } from '../support/eventually.ts'
import { send } from '../support/http.ts'
import { type MailServer, startMailServer } from '../support/mail-server.ts'
import { freePort, startWorld, type World } from '../support/world.ts'

const OWNER = 'owner@example.org'

describe('F21: the mail server is down', () => {
  let world: World
  let port: number
  let mailServer: MailServer | undefined

  const askForReset = (email: string, headers: Record<string, string> = {}) =>
    send(world.servers[0]?.address ?? '', world.issuer, '/api/v1/password-reset', { json: { email }, headers })

  /** Waits, bounded, for the outbox to be so. */
  const untilOutbox = (isSo: (rows: { attempts: number; lease_id: string | null }[]) => boolean): Promise<void> =>
    until(async () =>
      isSo(await world.stores.database.db.selectFrom('outbox').select(['attempts', 'lease_id']).execute()),
    )

  before(async function () {
    this.timeout(30_000)
    port = await freePort()
    world = await startWorld({ env: { USHER_SMTP_URL: `smtp://127.0.0.1:${port}` } })
    await world.core.accounts.create({ email: OWNER, password: 'correct horse battery', emailVerified: true })
  })
  after(async () => {
    await world?.stop()
    await mailServer?.close()
  })

  it('answers as ever, and delivers once when it is back, to the owner alone', async function () {
    this.timeout(60_000)
    const known = await askForReset(OWNER)
    const unknown = await askForReset('nobody@example.org')
    expect([known.status, unknown.status, known.text]).to.deep.equal([202, 202, unknown.text])
    // It was tried, and is to be tried again; for whom there is no account there is nothing to send.
    await untilOutbox((rows) => rows.length === 1 && rows.every((row) => row.attempts > 0 && row.lease_id === null))

    mailServer = await startMailServer({ port })
    const mail = await mailServer.received()
    expect(mail.to).to.deep.equal([OWNER])
    expect(mail.subject).to.match(/^\d{6} /)
    // Nothing is left that could be delivered a second time.
    await untilOutbox((rows) => rows.length === 0)
    expect(mailServer.mails).to.have.length(1)
  })

  it('A077: writes no address into a mail that the request made up', async function () {
    this.timeout(30_000)
    mailServer ??= await startMailServer({ port })
    const before = mailServer.mails.length
    const poisoned = await askForReset(OWNER, {
      'X-Forwarded-Host': 'evil.test',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-For': '203.0.113.9',
      'X-Original-URL': 'http://evil.test/',
      Forwarded: 'host=evil.test',
      Origin: 'http://evil.test',
      Referer: 'http://evil.test/',
    })
    expect(poisoned.status).to.equal(202)
    const foreignHost = await askForReset(OWNER, { Host: 'evil.test' })
    expect(foreignHost.status).to.equal(421)

    const { raw } = await mailServer.received(before + 1)
    expect(raw).to.not.include('evil.test')
    for (const [link] of raw.matchAll(/https?:\/\/[^\s"<>]+/g)) expect(new URL(link).origin).to.equal(world.issuer)
  })
})
