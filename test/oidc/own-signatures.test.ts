/** Our reading and writing of signatures against jose's, for the very same tokens. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import { createAccessTokenReader, createEs256, createHs256, type ReadOwn } from '../../src/oidc/own-signatures.ts'

/** Many, so that numbers with leading zeros and with a high first bit are among them. */
const TOKENS = 1_500

async function keyOf(alg: string, kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), alg, kid }
}

const publicOf = ({ kty, crv, x, y, n, e, alg, kid }: JWK): JWK =>
  JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, alg, kid }))

describe('signatures of our own tokens', () => {
  let es256: JWK
  let rs256: JWK
  let read: ReadOwn
  const secret = randomBytes(32)

  before(async () => {
    es256 = await keyOf('ES256', 'one')
    rs256 = await keyOf('RS256', 'two')
    read = createAccessTokenReader([es256, rs256].map(publicOf))
  })

  const signed = async (jwk: JWK, claims: Record<string, unknown>, header: object = {}) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: jwk.alg ?? '', typ: 'at+jwt', kid: jwk.kid ?? '', ...header })
      .sign(await importJWK(jwk))

  it('are read when jose has written them', async () => {
    for (let count = 0; count < TOKENS; count += 1) {
      expect(read(await signed(es256, { count, name: 'Žofie 🦊' }))).to.deep.equal({ count, name: 'Žofie 🦊' })
    }
    expect(read(await signed(rs256, { sub: 'x' }))).to.deep.equal({ sub: 'x' })
  })

  it('are read by jose when we have written them', async () => {
    const sign = createEs256([rs256, es256], 'at+jwt')
    const key = await importJWK(publicOf(es256))
    for (let count = 0; count < TOKENS; count += 1) {
      const { payload, protectedHeader } = await jwtVerify(sign({ count }), key)
      expect([payload.count, protectedHeader]).to.deep.equal([count, { alg: 'ES256', typ: 'at+jwt', kid: 'one' }])
    }
  })

  it('with a shared key are the same as of jose, and every key of the list is read', async () => {
    const keys = [
      { kid: 'new', secret },
      { kid: 'old', secret: randomBytes(32) },
    ]
    const { sign, read: readShared } = createHs256(keys, 'rt+jwt')
    const byJose = await new SignJWT({ sub: 'x' })
      .setProtectedHeader({ alg: 'HS256', typ: 'rt+jwt', kid: 'new' })
      .sign(secret)
    expect(sign({ sub: 'x' })).to.equal(byJose)
    expect(readShared(createHs256([...keys].reverse(), 'rt+jwt').sign({ sub: 'y' }))).to.deep.equal({ sub: 'y' })
    expect(readShared(createHs256([{ kid: 'new', secret: randomBytes(32) }], 'rt+jwt').sign({}))).to.equal(undefined)
  })

  it('are refused when one character of any part is another', async () => {
    for (const jwk of [es256, rs256]) {
      const token = await signed(jwk, { sub: 'x', exp: 4_000_000_000 })
      for (let place = 0; place < token.length; place += 1) {
        const other = token[place] === 'A' ? 'B' : 'A'
        if (token[place] === '.') continue
        expect(read(`${token.slice(0, place)}${other}${token.slice(place + 1)}`), `${place}`).to.equal(undefined)
      }
    }
  })

  it('are refused under any header but ours, also when the signature is right', async () => {
    for (const header of [
      { typ: 'JWT' },
      { kid: 'three' },
      { cty: 'x' },
      { jku: 'https://x.example' },
      { typ: undefined },
    ]) {
      expect(read(await signed(es256, {}, header)), JSON.stringify(header)).to.equal(undefined)
    }
  })

  it('are refused of another length, with a part too many or too few, and in another form', async () => {
    const token = await signed(es256, { sub: 'x' })
    const [header, payload, signature = ''] = token.split('.')
    const der = Buffer.from([0x30, 6, 2, 1, 1, 2, 1, 1]).toString('base64url')
    for (const other of ['', der, signature.slice(0, -4), `${signature}AAAA`, `${signature}=`, signature.repeat(2)]) {
      expect(read(`${header}.${payload}.${other}`), other).to.equal(undefined)
    }
    for (const other of [`${token}.x`, `${header}.${payload}`, `.${token}`, '', '..', token.replaceAll('.', ' ')]) {
      expect(read(other), other).to.equal(undefined)
    }
  })

  it('are zero never', () => {
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: 'one' })).toString('base64url')
    expect(read(`${header}.e30.${Buffer.alloc(64).toString('base64url')}`)).to.equal(undefined)
  })
})
