/** Tokens that must not be believed, each beside a twin that must. */
import { createHmac } from 'node:crypto'
import { expect } from 'chai'
import { base64url, exportJWK, generateKeyPair } from 'jose'
import { createVerifier, type Verifier, type VerifierOptions } from '../../src/verifier/verifier.ts'
import { AUDIENCE, claimsOf, codeOf, type FakeIssuer, inSeconds, makeKey, startFakeIssuer } from './fake-issuer.ts'

describe('a verifier', () => {
  let server: FakeIssuer
  let verifier: Verifier
  let makeCase: Tricks

  const make = (options: Partial<VerifierOptions> = {}): Verifier =>
    createVerifier({ issuer: server.issuer, audience: AUDIENCE, stream: false, ...options })
  const judge = (token: unknown, by = verifier): Promise<string> => codeOf(by.verify(token as string))

  before(async () => {
    server = await startFakeIssuer()
    server.state.keys = [
      server.key.jwk,
      (await makeKey('rsa', 'RS256')).jwk,
      (await makeKey('for-encryption', 'ES256', { use: 'enc' })).jwk,
      (await makeKey('for-signing', 'ES256', { key_ops: ['sign'] })).jwk,
    ]
    verifier = make()
    makeCase = await createTricks(server)
  })
  after(async () => {
    verifier.close()
    await server.stop()
  })

  it('believes a genuine token and says what is in it', async () => {
    const claims = claimsOf(server.issuer)
    const token = await verifier.verify(await server.sign(claims))
    expect(token).to.deep.include({ subject: 'account-1', clientId: 'app', claims })
    expect([...token.scopes]).to.deep.equal(['openid', 'orders:read'])
    expect(Object.isFrozen(token.claims)).to.equal(true)
    expect(Object.isFrozen(token.claims.roles)).to.equal(true)
  })

  it('refuses every trick, and believes its honest twin', async () => {
    const tricks = await makeCase()
    const wrong: string[] = []
    for (const { name, token, code, twin } of tricks) {
      const [got, honest] = [await judge(token), await judge(twin)]
      if (got !== code) wrong.push(`${name}: ${got} instead of ${code}`)
      if (honest !== 'accepted') wrong.push(`${name}: its twin is ${honest}`)
    }
    expect(wrong).to.deep.equal([])
    expect(tricks.length).to.be.greaterThan(300)
  })

  it('believes the type in its long form, an audience among others, and white space in no scope at all', async () => {
    for (const [claims, header] of [
      [{}, { typ: 'application/at+jwt' }],
      [{}, { typ: 'AT+JWT' }],
      [{ aud: ['https://a.example', AUDIENCE] }, {}],
      [{ scope: undefined }, {}],
      [{ ims: undefined, gid: undefined, suid: undefined }, {}],
    ]) {
      expect(await judge(await server.sign(claims, header)), JSON.stringify([claims, header])).to.equal('accepted')
    }
  })

  it('lets clocks differ by the tolerance and no more', async () => {
    const [at, token] = [inSeconds(0), await server.sign({ exp: inSeconds(100), nbf: inSeconds(0) })]
    const verdict = async (offset: number, clockToleranceSeconds = 15) =>
      judge(token, make({ clockToleranceSeconds, now: () => (at + offset) * 1000 }))
    expect(await verdict(114)).to.equal('accepted')
    expect(await verdict(115)).to.equal('expired')
    expect(await verdict(-15)).to.equal('accepted')
    expect(await verdict(-16)).to.equal('not_yet_valid')
    expect(await verdict(99, 0)).to.equal('accepted')
    expect(await verdict(100, 0)).to.equal('expired')
  })

  it('lets a token expire that it has verified before', async () => {
    let offset = 0
    const mine = make({ now: () => Date.now() + offset })
    const token = await server.sign({ exp: inSeconds(60) })
    expect(await judge(token, mine)).to.equal('accepted')
    offset = 80_000
    expect(await judge(token, mine)).to.equal('expired')
  })

  it('refuses an algorithm that was left out', async () => {
    const rsa = await makeKey('rsa-2', 'RS256')
    server.state.keys.push(rsa.jwk)
    const token = await server.sign({}, {}, rsa)
    expect(await judge(token, make())).to.equal('accepted')
    expect(await judge(token, make({ algorithms: ['ES256'] }))).to.equal('algorithm_not_allowed')
  })

  it('refuses to be made half protected', () => {
    for (const [options, fault] of [
      [{ algorithms: ['HS256'] }, /algorithms/],
      [{ algorithms: ['none'] }, /algorithms/],
      [{ algorithms: ['toString'] }, /algorithms/],
      [{ algorithms: [] }, /algorithms/],
      [{ audience: '' }, /audience/],
      [{ issuer: 'http://id.example.org' }, /https/],
      [{ issuer: 'id.example.org' }, /URL/],
      [{ clockToleranceSeconds: 61 }, /clockToleranceSeconds/],
      [{ clockToleranceSeconds: Number.NaN }, /clockToleranceSeconds/],
      [{ stream: true }, /credentials/],
      [{ stream: undefined }, /stream/],
      [{ whenStreamIsDown: 'open' }, /whenStreamIsDown/],
      [{ stream: { url: 'https://elsewhere.example/' }, credentials: { clientId: 'a', clientSecret: 'b' } }, /url/],
      [{ credentials: { clientId: 'a', clientSecret: '' } }, /clientSecret/],
    ] as [Partial<VerifierOptions>, RegExp][]) {
      expect(() => make(options), JSON.stringify(options)).to.throw(TypeError, fault)
    }
    expect(() => make({ issuer: 'http://usher:3000', allowInsecureIssuer: true })).not.to.throw()
  })
})

interface Trick {
  name: string
  token: unknown
  code: string
  /** The same token without the trick. */
  twin: string
}

type Tricks = () => Promise<Trick[]>

const encode = (value: unknown): string => base64url.encode(typeof value === 'string' ? value : JSON.stringify(value))

/** Members of a claim that are of a wrong kind. */
const WRONG = [undefined, null, '', [], {}, true, Number.NaN] as const

async function createTricks(server: FakeIssuer): Promise<Tricks> {
  const { key, sign } = server
  const stranger = await makeKey(key.kid)
  const strangerRsa = await makeKey('rsa', 'RS256')
  const small = await generateKeyPair('ES256', { extractable: true })
  const smallJwk = await exportJWK(small.publicKey)

  return async () => {
    const tricks: Trick[] = []
    const add = async (name: string, code: string, token: unknown, twin?: string): Promise<void> => {
      tricks.push({ name, code, token, twin: twin ?? (await sign()) })
    }
    const altered = async (name: string, code: string, alter: (parts: [string, string, string]) => string) => {
      const twin = await sign()
      await add(name, code, alter(twin.split('.') as [string, string, string]), twin) // a compact JWS has three
    }
    const headerOf = (more: object) => encode({ alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...more })

    // No signature at all, or one that needs no secret.
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null, 0, [], ['ES256'], {}, undefined]) {
      for (const keep of [true, false]) {
        const code = keep ? 'algorithm_not_allowed' : 'malformed'
        await altered(`alg ${JSON.stringify(alg)}, signature ${keep ? 'kept' : 'dropped'}`, code, ([, payload, mac]) =>
          [headerOf({ alg }), payload, keep ? mac : ''].join('.'),
        )
      }
    }
    for (const secret of [JSON.stringify(key.jwk), JSON.stringify({ keys: [key.jwk] }), key.jwk.x ?? '', '', key.kid]) {
      for (const [alg, hash] of [
        ['HS256', 'sha256'],
        ['HS384', 'sha384'],
        ['HS512', 'sha512'],
      ] as const) {
        await altered(`${alg} with what is public: ${secret.slice(0, 12)}`, 'algorithm_not_allowed', ([, payload]) => {
          const input = `${headerOf({ alg })}.${payload}`
          return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`
        })
      }
    }
    for (const alg of [
      'ES384',
      'ES512',
      'ES256K',
      'PS256',
      'PS512',
      'RS384',
      'EdDSA',
      'RSA1_5',
      'dir',
      'es256',
      'ES256 ',
    ]) {
      await altered(`alg ${alg}`, 'algorithm_not_allowed', ([, payload, mac]) =>
        [headerOf({ alg }), payload, mac].join('.'),
      )
    }
    await altered('RS256 by a curve', 'unknown_key', ([, payload, mac]) =>
      [headerOf({ alg: 'RS256' }), payload, mac].join('.'),
    )

    // Keys: of somebody else, brought along, for another use, unknown.
    await add('signed by a stranger', 'bad_signature', await sign({}, {}, stranger))
    await add('signed by a stranger with RSA', 'bad_signature', await sign({}, {}, strangerRsa))
    for (const [name, more] of Object.entries({
      jwk: { jwk: stranger.jwk },
      'another jwk': { jwk: smallJwk },
      jku: { jku: 'https://evil.example/jwks' },
      x5u: { x5u: 'https://evil.example/cert' },
      x5c: { x5c: ['AAAA'] },
      x5t: { x5t: 'AAAA' },
    })) {
      await add(`a ${name} of its own`, 'bad_signature', await sign({}, more, stranger))
    }
    for (const kid of [
      'nobody',
      '',
      '../key-1',
      "' or 1=1",
      '__proto__',
      'constructor',
      'key-1\0',
      'KEY-1',
      'for-encryption',
      'for-signing',
    ]) {
      await add(`kid ${kid}`, 'unknown_key', await sign({}, { kid }, stranger))
    }
    for (const kid of [undefined, null, 1, ['key-1'], { a: 1 }]) {
      await altered(`kid ${JSON.stringify(kid)}`, 'unknown_key', ([, payload, mac]) =>
        [headerOf({ kid }), payload, mac].join('.'),
      )
    }
    await add('for RSA with a key of a curve', 'unknown_key', await sign({}, { kid: key.kid }, strangerRsa))

    // Other kinds of tokens.
    for (const typ of [
      undefined,
      'JWT',
      'rt+jwt',
      'dpop+jwt',
      'logout+jwt',
      'at+jwt ',
      'at+jwt\0',
      'application/jwt',
      '',
      1,
      ['at+jwt'],
      null,
    ]) {
      await add(`typ ${JSON.stringify(typ)}`, 'wrong_type', await sign({}, { typ: typ as string }))
    }
    for (const more of [
      { crit: ['exp'], exp: 1 },
      { crit: [] },
      { crit: ['b64'], b64: true },
      { b64: false, crit: ['b64'] },
      { b64: true },
      { crit: 'x' },
    ]) {
      await altered(`header ${JSON.stringify(more)}`, 'malformed', ([, payload, mac]) =>
        [headerOf(more), payload, mac].join('.'),
      )
    }

    // Claims by the true key that are not for us, not now or not whole.
    for (const iss of [
      `${server.issuer}/`,
      server.issuer.toUpperCase(),
      `${server.issuer}#`,
      'https://evil.example',
      ` ${server.issuer}`,
      server.issuer.slice(0, -1),
    ]) {
      await add(`iss ${iss}`, 'wrong_issuer', await sign({ iss }))
    }
    for (const aud of [
      'https://elsewhere.example',
      `${AUDIENCE}/`,
      AUDIENCE.toUpperCase(),
      `${AUDIENCE} `,
      [`${AUDIENCE}.evil.example`],
      ['a', 'b'],
      [],
      AUDIENCE.slice(0, -1),
    ]) {
      await add(`aud ${JSON.stringify(aud)}`, 'wrong_audience', await sign({ aud }))
    }
    for (const seconds of [-16, -60, -3_600, -1e9]) {
      await add(`expired by ${-seconds}`, 'expired', await sign({ exp: inSeconds(seconds) }))
    }
    for (const seconds of [30, 3_600, 1e9]) {
      await add(`valid in ${seconds}`, 'not_yet_valid', await sign({ nbf: inSeconds(seconds) }))
    }
    for (const name of ['iss', 'sub', 'aud', 'client_id', 'jti', 'iat', 'exp']) {
      for (const value of WRONG) {
        if (name === 'aud' && Array.isArray(value)) continue // named above
        await add(`${name} ${String(value)}`, 'missing_claim', await signRaw({ [name]: value }))
      }
    }
    for (const [name, values] of Object.entries({
      exp: ['9999999999', [9999999999]],
      nbf: ['1', null, true],
      scope: [['orders:read'], null, 5],
      roles: ['user', [1], null],
      permissions: ['all_all', [['all_all']], { all_all: true }],
      ims: ['1', null],
      gid: [1, '', null],
      suid: [1, '', []],
    })) {
      for (const value of values) {
        await add(`${name} ${JSON.stringify(value)}`, 'missing_claim', await signRaw({ [name]: value }))
      }
    }
    for (const cnf of [{ jkt: 'abc' }, { 'x5t#S256': 'abc' }, {}, null, 'x']) {
      await add(`cnf ${JSON.stringify(cnf)}`, 'sender_constrained', await signRaw({ cnf }))
    }
    for (const payload of ['[]', 'null', '"text"', '5', '{', '', '{"a":1}{}', '\uFEFF{}']) {
      await add(`payload ${payload}`, 'malformed', await signText(payload))
    }

    // The text: every place of it turned, padded, spaced, cut, doubled.
    for (const [place, position] of [0, 1, 2].flatMap((part) => [0, 1, 5, -2].map((at) => [part, at] as const))) {
      await altered(`another character at ${position} of part ${place}`, '', (parts) => {
        const part = parts[place] ?? ''
        const at = position < 0 ? part.length + position : position
        parts[place] = part.slice(0, at) + (part[at] === 'A' ? 'B' : 'A') + part.slice(at + 1)
        return parts.join('.')
      })
    }
    for (const place of [0, 1, 2]) {
      for (const [name, alter] of Object.entries(TEXT_TRICKS)) {
        await altered(`${name} in part ${place}`, 'malformed', (parts) => {
          parts[place] = alter(parts[place] ?? '')
          return parts.join('.')
        })
      }
    }
    await altered('bits beyond the data', 'malformed', ([header, payload, mac]) => {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const last = alphabet.indexOf(mac.at(-1) ?? '')
      return [header, payload, mac.slice(0, -1) + alphabet[last ^ 1]].join('.') // 64 bytes leave four bits over
    })
    await altered(
      'the signature of nothing',
      'bad_signature',
      ([header, payload]) => `${header}.${payload}.${'A'.repeat(86)}`,
    )
    await altered('the signature in DER', 'bad_signature', ([header, payload, mac]) => {
      const raw = Buffer.from(mac, 'base64url')
      const der = Buffer.concat([
        Buffer.from([0x30, 68, 2, 32]),
        raw.subarray(0, 32),
        Buffer.from([2, 32]),
        raw.subarray(32),
      ])
      return [header, payload, der.toString('base64url')].join('.')
    })
    await altered('a shorter signature', 'bad_signature', ([header, payload, mac]) =>
      [header, payload, Buffer.from(mac, 'base64url').subarray(0, 63).toString('base64url')].join('.'),
    )
    await altered('a longer signature', 'bad_signature', ([header, payload, mac]) =>
      [header, payload, Buffer.concat([Buffer.from(mac, 'base64url'), Buffer.alloc(1)]).toString('base64url')].join(
        '.',
      ),
    )
    await altered('the parts of two tokens', 'bad_signature', ([header, , mac]) =>
      [header, encode(claimsOf(server.issuer)), mac].join('.'),
    )
    for (const [name, alter] of Object.entries(WHOLE_TRICKS)) {
      await altered(name, 'malformed', (parts) => alter(...parts))
    }
    for (const token of [
      undefined,
      null,
      5,
      {},
      [],
      '',
      '.',
      '..',
      '...',
      'a.b.c',
      'Bearer',
      true,
      Buffer.from('a.b.c'),
    ]) {
      await add(`instead of a token ${JSON.stringify(token)}`, 'malformed', token)
    }
    return tricks.map((trick) => ({ ...trick, code: trick.code || codeOfTurned(trick.token) }))
  }

  /** Signs members as they are, where a library would refuse them. */
  async function signRaw(claims: Record<string, unknown>): Promise<string> {
    return signText(JSON.stringify({ ...claimsOf(server.issuer), ...claims }))
  }
  async function signText(payload: string): Promise<string> {
    const input = `${encode({ alg: 'ES256', typ: 'at+jwt', kid: key.kid })}.${encode(payload)}`
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
    const signature = await crypto.subtle.sign(algorithm, key.privateKey, new TextEncoder().encode(input))
    return `${input}.${Buffer.from(signature).toString('base64url')}`
  }
}

/** What a turned character makes of a header or payload is one of several refusals; else it is a false signature. */
function codeOfTurned(token: unknown): string {
  const [header = '', payload = ''] = String(token).split('.')
  try {
    JSON.parse(Buffer.from(payload, 'base64url').toString())
    const { alg, typ, kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    if (typ !== 'at+jwt') return 'wrong_type'
    if (alg !== 'ES256') return 'algorithm_not_allowed'
    return kid === 'key-1' ? 'bad_signature' : 'unknown_key'
  } catch {
    return 'malformed'
  }
}

const TEXT_TRICKS: Record<string, (part: string) => string> = {
  'padding =': (part) => `${part}=`,
  'padding ==': (part) => `${part}==`,
  'a space after': (part) => `${part} `,
  'a space before': (part) => ` ${part}`,
  'a space within': (part) => `${part.slice(0, 4)} ${part.slice(4)}`,
  'a line feed after': (part) => `${part}\n`,
  'a line feed within': (part) => `${part.slice(0, 4)}\n${part.slice(4)}`,
  'a carriage return': (part) => `${part}\r`,
  'a tab': (part) => `\t${part}`,
  'a NUL': (part) => `${part}\0`,
  'a byte order mark': (part) => `\uFEFF${part}`,
  'a zero-width space': (part) => `${part}\u200B`,
  'the other alphabet': (part) => `${part.slice(0, 3)}+/${part.slice(5)}`,
  'a percent escape': (part) => `${part.slice(0, 3)}%41${part.slice(4)}`,
  'a form feed': (part) => `${part}\f`,
  'a backslash': (part) => `${part}\\`,
  'a question mark': (part) => `${part}?`,
  'a quotation mark': (part) => `"${part}"`,
  'a full-width letter': (part) => `${part.slice(0, 3)}\uFF21${part.slice(4)}`,
  nothing: () => '',
  'far too much': (part) => part + 'A'.repeat(40_000),
}

const WHOLE_TRICKS: Record<string, (header: string, payload: string, mac: string) => string> = {
  'four parts': (...parts) => [...parts, parts[2]].join('.'),
  'five parts, as if encrypted': (...parts) => [...parts, parts[1], parts[2]].join('.'),
  'two parts': (header, payload) => `${header}.${payload}`,
  'a doubled header': (header, payload, mac) => [header, header, payload, mac].join('.'),
  'a doubled payload': (header, payload, mac) => [header, payload, payload, mac].join('.'),
  'a dot before': (...parts) => `.${parts.join('.')}`,
  'a dot after': (...parts) => `${parts.join('.')}.`,
  'the scheme left on': (...parts) => `Bearer ${parts.join('.')}`,
  'a header that is a list': (_header, payload, mac) => [encode('[]'), payload, mac].join('.'),
  'a header that is null': (_header, payload, mac) => [encode('null'), payload, mac].join('.'),
  'a header that is no JSON': (_header, payload, mac) => [encode('{alg}'), payload, mac].join('.'),
  'a header that is not UTF-8': (_header, payload, mac) =>
    [base64url.encode(Buffer.from([0x7b, 0xff, 0x7d])), payload, mac].join('.'),
  'the JSON serialization': (header, payload, mac) => JSON.stringify({ protected: header, payload, signature: mac }),
  'the general JSON serialization': (header, payload, mac) =>
    JSON.stringify({ payload, signatures: [{ protected: header, signature: mac }] }),
}
