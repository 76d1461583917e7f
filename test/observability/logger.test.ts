import { expect } from 'chai'
import { createLogger, requestScope } from '../../src/observability/logger.ts'
import { makeLog } from '../http/serve.ts'

/** Recognisable wherever it turns up. */
const CANARY = 'canary-7f3a9c'

const SECRET_FIELDS = [
  'authorization',
  'Authorization',
  'cookie',
  'set-cookie',
  'password',
  'new_password',
  'passwordHash',
  'code',
  'user_code',
  'code_verifier',
  'access_token',
  'refreshToken',
  'id_token_hint',
  'client_secret',
  'client_assertion',
  'pepper',
  'csrf',
  'xsrf',
  'dpop',
]

describe('logger', () => {
  for (const name of SECRET_FIELDS) {
    it(`never writes the value of ${name}, at any depth`, () => {
      const { logger, lines } = makeLog()
      const value = { [name]: CANARY }
      logger.info(value, 'flat')
      logger.info({ params: value }, 'nested')
      logger.info({ a: [{ b: { c: value } }] }, 'deep')
      logger.error({ err: Object.assign(new Error('x', { cause: value }), value, { parameters: [CANARY] }) }, 'error')
      expect(lines).to.have.length(4)
      // `code` of an error is the driver's word for it, not a secret.
      const seen = name === 'code' ? lines.slice(0, 3) : lines
      expect(seen.join('')).not.to.include(CANARY)
    })
  }

  it('keeps the secrets of child loggers out too', () => {
    const { logger, lines } = makeLog()
    logger.child({ password: CANARY, token: CANARY, client: 'shop' }).info('x')
    expect(lines.join('')).not.to.include(CANARY)
    expect(lines.join('')).to.include('shop')
  })

  for (const [name, text] of [
    ['a store address', `connect failed: postgres://usher:${CANARY}@db.internal:5432/usher`],
    ['a query', `GET /cb?state=${CANARY}&code=${CANARY}&x=1`],
    ['a token', `bad token eyJhbGciOiJFUzI1NiJ9.${CANARY}.${CANARY}`],
    ['a header', `sent Authorization: Bearer ${CANARY}`],
  ] as const) {
    it(`censors the secrets inside ${name} quoted in a text or an error`, () => {
      const { logger, lines } = makeLog()
      logger.info(text)
      logger.info({ note: text }, 'field')
      logger.error(new Error(text))
      expect(lines.join('')).not.to.include(CANARY)
      expect(lines.join('')).to.include('[redacted]')
    })
  }

  it('finds a canary that is logged on purpose', () => {
    const { logger, lines } = makeLog()
    logger.info({ client: CANARY }, 'x')
    expect(lines.join('')).to.include(CANARY)
  })

  it('writes one line of JSON for any text, and the text can be read back', () => {
    const { logger, lines } = makeLog()
    const login = 'x\r\n{"level":"info","msg":"forged"}\u001b[31m\u2028\u2029\0\ud800"'
    logger.warn({ login }, `name ${login}`)
    expect(lines).to.have.length(1)
    const [line = ''] = lines
    expect(line.split(/[\r\n\u2028\u2029]/).filter(Boolean)).to.have.length(1)
    expect(line).not.to.include('\u001b')
    expect(JSON.parse(line).login).to.equal(login)
  })

  it('writes level, ISO time and the id of the request being answered', async () => {
    const { logger, parsed } = makeLog()
    await requestScope.run({ requestId: 'request-1' }, async () => {
      await Promise.resolve()
      logger.info('inside')
    })
    logger.info('outside')
    const [inside, outside] = parsed()
    expect(inside).to.include({ level: 'info', req_id: 'request-1', msg: 'inside' })
    expect(new Date(inside.time).toISOString()).to.equal(inside.time)
    expect(outside).not.to.have.property('req_id')
  })

  it('bears cycles and endless depth', () => {
    const { logger, lines } = makeLog()
    const loop: Record<string, unknown> = { name: 'loop' }
    loop.self = loop
    logger.info({ loop, big: 12n, bytes: Buffer.from(CANARY) }, 'x')
    expect(JSON.parse(lines[0] ?? '')).to.include({ big: '12', bytes: `[${CANARY.length} bytes]` })
  })

  it('bears long texts made to be slow, and cuts fields', () => {
    const { logger, lines } = makeLog()
    for (const piece of ['a.', '-eyJaaaaaa', 'x://:', '?token', ' Bearer']) {
      const text = piece.repeat(100_000)
      logger.info({ text }, text)
    }
    expect(lines).to.have.length(5)
    expect(JSON.parse(lines[0] ?? '').text).to.have.length(8193)
  })

  it('is silent below its level', () => {
    const lines: string[] = []
    createLogger({ level: 'warn', destination: { write: (line: string) => void lines.push(line) } }).info('x')
    expect(lines).to.deep.equal([])
  })
})
