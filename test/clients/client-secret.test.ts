import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { createSecretDigest, generateSecret, isSameDigest } from '../../src/clients/client-secret.ts'

const PEPPER = 'a pepper for tests'

describe('a client secret', () => {
  it('has 256 bits when it is generated, and is never the same twice', () => {
    const secrets = Array.from({ length: 100 }, generateSecret)
    for (const secret of secrets) expect(Buffer.from(secret, 'base64url')).to.have.lengthOf(32)
    expect(new Set(secrets).size).to.equal(100)
  })

  it('is stored as a digest that depends on client, secret and pepper', () => {
    const digest = createSecretDigest(PEPPER)('app', 'secret')
    expect(digest).to.match(/^[\w-]{43}$/)
    expect(createSecretDigest(PEPPER)('app', 'secret')).to.equal(digest)
    for (const other of [
      createSecretDigest(PEPPER)('app2', 'secret'),
      createSecretDigest(PEPPER)('app', 'secret2'),
      createSecretDigest('another pepper')('app', 'secret'),
      createSecretDigest(PEPPER)('ap', 'psecret'),
    ]) {
      expect(other).not.to.equal(digest)
    }
  })

  it('is compared as a whole: digests are the same exactly when their texts are', () => {
    for (let round = 0; round < 500; round += 1) {
      const one = randomBytes(32).toString('base64url')
      const place = round % one.length
      const changed = one.slice(0, place) + (one[place] === 'A' ? 'B' : 'A') + one.slice(place + 1)
      expect(isSameDigest(one, `${one}`)).to.equal(true)
      for (const other of [changed, one.slice(0, -1), `${one}A`, '']) {
        expect(isSameDigest(one, other)).to.equal(false)
        expect(isSameDigest(other, one)).to.equal(false)
      }
    }
  })
})
