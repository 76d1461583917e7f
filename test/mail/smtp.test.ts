import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Unavailable } from '../../src/errors.ts'
import { createOutbox } from '../../src/mail/outbox.ts'
import { createOutboxStore } from '../../src/mail/outbox-store.ts'
import { createSmtp } from '../../src/mail/smtp.ts'
import { Undeliverable } from '../../src/mail/undeliverable.ts'
import { createLogger } from '../../src/observability/logger.ts'
import type { OpenDatabase } from '../../src/storage/database.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'
import { type MailServer, startMailServer } from '../support/mail-server.ts'
import { codeFor, mailerOver } from './mail.ts'

const VERA = 'vera@example.test'

describe('mail by SMTP', () => {
  let server: MailServer
  const closing: (() => Promise<void>)[] = []
  beforeEach(async () => {
    server = await startMailServer()
  })
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()))
    await server.close()
  })

  function mailerTo(url: string, options?: { deadlineMs: number }, from?: string) {
    const mailer = mailerOver(createSmtp(url, options), from)
    closing.push(mailer.close)
    return mailer
  }

  const failureOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'no failure',
      (error) => error,
    )

  it('arrives as one message of text and HTML, in the language of the account', async () => {
    await mailerTo(server.url).send(codeFor("Vera.O'Neil+tag@Example.TEST", 'ru-RU'))
    const mail = await server.received()
    expect(mail.to.map((address) => address.toLowerCase())).to.deep.equal(["vera.o'neil+tag@example.test"])
    expect(mail.from).to.equal('no-reply@id.example.test')
    expect(mail.subject).to.equal('042917 — код для нового пароля')
    expect(mail.text).to.include('042917').and.include('Введите этот код')
    expect(mail.html).to.include('>042917</p>').and.include('<html lang="ru"')
    const headers = Object.fromEntries(mail.headers.map(({ key, value }) => [key, value]))
    expect(headers).to.include({ 'auto-submitted': 'auto-generated', 'content-language': 'ru' })
    expect(headers.from).to.include('Usher').and.include('<no-reply@id.example.test>')
    expect(headers).not.to.have.any.keys('bcc', 'cc', 'x-mailer')
  })

  it('speaks English where it does not speak the language of the account', async () => {
    await mailerTo(server.url, undefined, 'plain@id.example.test').send(codeFor(VERA, 'tlh'))
    const mail = await server.received()
    expect(mail.subject).to.equal('042917 is your code to set a new password')
    expect(mail.from).to.equal('plain@id.example.test')
  })

  const NOT_ONE_ADDRESS = [
    'a@victim.test\r\nBcc: x@evil.test',
    'a@victim.test\nx@evil.test',
    'a@victim.test, x@evil.test',
    'a@victim.test,x@evil.test',
    'a@victim.test; x@evil.test',
    'a@victim.test x@evil.test',
    'Group: a@victim.test, x@evil.test;',
    '"x@evil.test" <a@victim.test>',
    'x@evil.test <a@victim.test>',
    '<x@evil.test>',
    '"x@evil.test"@victim.test',
    '"a b"@victim.test',
    '(x@evil.test)a@victim.test',
    '@evil.test:a@victim.test',
    'a@victim.test@evil.test',
    'a@[x@evil.test]',
    'a@[127.0.0.1]',
    'a\u0000@victim.test',
    'а@victim.test', // Cyrillic
    'a@victim。test',
    'a',
    '',
  ]
  for (const address of NOT_ONE_ADDRESS) {
    it(`reaches nobody when the address is ${JSON.stringify(address)}`, async () => {
      const mailer = mailerTo(server.url)
      expect(await failureOf(mailer.send(codeFor(address)))).to.be.instanceOf(Undeliverable)
      await mailer.send(codeFor(VERA))
      await server.received()
      expect(server.recipients).to.deep.equal([VERA])
    })
  }

  it('never lets what a stranger wrote change recipient, subject or headers', async () => {
    const odd = 'x\r\nBcc: x@evil.test\r\nSubject: owned\r\n\r\n<script>'
    await mailerTo(server.url).send({
      to: { address: VERA },
      template: 'email-change-notice',
      locale: odd,
      data: { at: new Date(), newAddress: odd },
    })
    const mail = await server.received()
    expect(server.recipients).to.deep.equal([VERA])
    expect(mail.subject).to.equal('The address of your account is about to change')
    expect(mail.headers.map(({ key }) => key)).not.to.include('bcc')
    expect(mail.headers.filter(({ key }) => key === 'subject')).to.have.lengthOf(1)
  })

  for (const answer of ['450 4.2.1 try later', '421 4.3.2 shutting down', '550 5.7.1 no relay', '552 5.2.2 full']) {
    it(`may arrive later when the server answers ${answer}`, async () => {
      const mailer = mailerTo(server.url)
      server.refuse.recipient = answer
      const failure = await failureOf(mailer.send(codeFor(VERA)))
      expect(failure).to.be.instanceOf(Unavailable)
      expect(String((failure as Unavailable).detail)).to.include(answer.split(' ', 2).join(' '))
      server.refuse.recipient = undefined
      await mailer.send(codeFor(VERA))
      expect(server.mails).to.have.lengthOf(1)
    })
  }

  it('may arrive later when the message is refused after DATA', async () => {
    const mailer = mailerTo(server.url)
    server.refuse.data = '554 5.7.1 looks like spam'
    expect(await failureOf(mailer.send(codeFor(VERA)))).to.be.instanceOf(Unavailable)
  })

  it('never arrives where the server knows no such address', async () => {
    server.refuse.recipient = '550 5.1.1 no such user'
    expect(await failureOf(mailerTo(server.url).send(codeFor(VERA)))).to.be.instanceOf(Undeliverable)
  })

  it('names no address in a failure: it ends in the log', async () => {
    for (const answer of [`450 4.2.1 <${VERA}> is busy`, `550 5.1.1 <${VERA}> unknown`]) {
      server.refuse.recipient = answer
      const failure = await failureOf(mailerTo(server.url).send(codeFor(VERA)))
      const { message, stack, detail, cause } = failure as Unavailable
      expect(JSON.stringify({ message, stack, detail, cause })).not.to.include(VERA)
    }
  })

  it('is given up for now when the server stalls, and does not wait for it', async () => {
    const stall = Promise.withResolvers<void>()
    server.stall = stall.promise
    const failure = await failureOf(mailerTo(server.url, { deadlineMs: 100 }).send(codeFor(VERA)))
    expect(failure).to.be.instanceOf(Unavailable)
    stall.resolve()
  })

  it('is given up for now when a server accepts the connection and says nothing', async () => {
    const mute = createServer().listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const address = mute.address()
    const port = typeof address === 'object' ? address?.port : 0
    const failure = await failureOf(mailerTo(`smtp://127.0.0.1:${port}`, { deadlineMs: 100 }).send(codeFor(VERA)))
    expect(failure).to.be.instanceOf(Unavailable)
    mute.close()
  })

  it('tells no password to a server that offers no encryption', async () => {
    const url = server.url.replace('smtp://', 'smtp://user:pass%40word@')
    const failure = await failureOf(mailerTo(url).send(codeFor(VERA)))
    expect(failure).to.be.instanceOf(Unavailable)
    expect(String((failure as Unavailable).detail))
      .to.include('ETLS')
      .and.not.include('pass')
    expect(server.recipients).to.deep.equal([])
  })

  for (const tls of ['smtps', 'starttls'] as const) {
    it(`trusts no server whose certificate nobody vouches for (${tls})`, async () => {
      const impostor = await startMailServer({ tls })
      const failure = await failureOf(mailerTo(impostor.url).send(codeFor(VERA)))
      expect(failure).to.be.instanceOf(Unavailable)
      expect(String((failure as Unavailable).detail)).to.match(/CERT|ETLS|SELF_SIGNED/)
      expect(impostor.recipients).to.deep.equal([])
      await impostor.close()
    })
  }

  it('takes no options of the library from the query of the URL', async () => {
    await mailerTo(`${server.url}/?tls.rejectUnauthorized=false&maxRequeues=9&proxy=http://x`).send(codeFor(VERA))
    expect(server.mails).to.have.lengthOf(1)
  })
})

describe('the outbox before a mail server', () => {
  let fresh: TestDatabase
  let database: OpenDatabase
  before(async () => {
    fresh = await freshDatabase()
    database = await openPostgres(fresh.url)
  })
  after(async () => {
    await database.close()
    await fresh.drop()
  })

  function outboxTo(url: string) {
    const mailer = mailerOver(createSmtp(url))
    const options = { pollMs: 20, backOff: { firstMs: 20, longestMs: 40 } }
    const outbox = createOutbox({ db: database.db, store: createOutboxStore(), ...options })
    outbox.handle('password-reset', ({ email = '' }) => mailer.send(codeFor(email)))
    const lines: string[] = []
    const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } })
    return {
      ...outbox,
      lines,
      start: () => outbox.start(logger),
      stop: async () => {
        await outbox.stop()
        await mailer.close()
      },
    }
  }

  const waiting = async () => (await database.db.selectFrom('outbox').selectAll().execute()).length
  const waitUntil = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) await sleep(10)
  }

  it('keeps mail while the server is away, and delivers it once when the server is back', async () => {
    const away = await startMailServer()
    await away.close()
    const outbox = outboxTo(away.url)
    outbox.start()
    await outbox.add(database.db, { kind: 'password-reset', email: VERA })
    await waitUntil(() => outbox.lines.length >= 3)
    expect(await waiting()).to.equal(1)
    expect(JSON.parse(outbox.lines[0] ?? '')).to.include({ event: 'outbox.retry', kind: 'password-reset' })
    expect(outbox.lines.join())
      .to.include('ECONNREFUSED')
      .and.not.match(/vera|042917/)

    const back = await startMailServer({ port: away.port })
    await waitUntil(async () => (await waiting()) === 0)
    await outbox.stop()
    expect(back.mails.map(({ to }) => to)).to.deep.equal([[VERA]])
    await back.close()
  })

  it('survives the death of the process that was sending: another one delivers', async () => {
    const server = await startMailServer()
    const outbox = outboxTo(server.url)
    await outbox.add(database.db, { kind: 'password-reset', email: VERA })
    const kinds = ['password-reset']
    await createOutboxStore().claim(database.db, { kinds, limit: 1, leaseSeconds: 0.1 }) // and then it dies
    outbox.start()
    await server.received()
    await waitUntil(async () => (await waiting()) === 0)
    await outbox.stop()
    expect(server.mails).to.have.lengthOf(1)
    await server.close()
  })

  it('sends each of many mails once, though two processes share the table', async () => {
    const server = await startMailServer()
    const outboxes = [outboxTo(server.url), outboxTo(server.url)]
    for (const outbox of outboxes) outbox.start()
    const addresses = Array.from({ length: 30 }, (_, index) => `person-${index}@example.test`)
    await Promise.all(
      addresses.map((email, index) => outboxes[index % 2]?.add(database.db, { kind: 'password-reset', email })),
    )
    await waitUntil(async () => (await waiting()) === 0)
    await Promise.all(outboxes.map((outbox) => outbox.stop()))
    expect(server.mails.flatMap(({ to }) => to).sort()).to.deep.equal(addresses.sort())
    await server.close()
  })
})
