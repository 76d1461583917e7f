import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { createSecretDigest, createSecretMatch, generateSecret, isSameDigest } from '../../src/clients/client-secret.ts'

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

  describe('that is presented again', () => {
    const digestOf = createSecretDigest(PEPPER)
    const clientWith = (id: string, secret: string) => Object.freeze({ id, secretDigest: digestOf(id, secret) })

    it('is known without the keyed digest, and a wrong one is wrong before and after', () => {
      let digests = 0
      const matches = createSecretMatch((id, secret) => {
        digests += 1
        return digestOf(id, secret)
      })
      const client = clientWith('app', 'right')
      expect(matches(client, 'wrong')).to.equal(false)
      for (let time = 0; time < 5; time += 1) expect(matches(client, 'right')).to.equal(true)
      expect(digests).to.equal(2)
      expect(matches(client, 'wrong')).to.equal(false)
      expect(matches(client, '')).to.equal(false)
    })

    it('is no secret of the same client once it has another, nor of another client', () => {
      const matches = createSecretMatch(digestOf)
      expect(matches(clientWith('app', 'former'), 'former')).to.equal(true)
      expect(matches(clientWith('app', 'present'), 'former')).to.equal(false)
      expect(matches(clientWith('other', 'present'), 'former')).to.equal(false)
    })

    it('is never right for a client without one', () => {
      expect(createSecretMatch(digestOf)({ id: 'app', secretDigest: undefined }, '')).to.equal(false)
    })
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
