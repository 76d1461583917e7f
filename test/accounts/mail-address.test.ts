import { expect } from 'chai'
import { isMailAddress, localPart } from '../../src/accounts/mail-address.ts'

const ACCEPTED = [
  'anna@example.org',
  "o'neil+list@mail.example.org",
  'a.b.c@xn--bcher-kva.example',
  'root@localhost',
  `${'a'.repeat(64)}@example.org`,
]
const REFUSED = [
  '',
  'anna',
  'anna@',
  '@example.org',
  'anna@@example.org',
  'anna@example.org,eve@evil.example',
  'anna@example.org;eve@evil.example',
  '"anna eve"@example.org',
  'anna(comment)@example.org',
  '<anna@example.org>',
  'Anna <anna@example.org>',
  'anna@[203.0.113.7]',
  'anna @example.org',
  ' anna@example.org',
  'anna@example.org\n',
  'anna@example.org\r\nBcc: eve@evil.example',
  'anna\0@example.org',
  '.anna@example.org',
  'anna.@example.org',
  'an..na@example.org',
  'anna@-example.org',
  'anna@example-.org',
  'anna@example..org',
  'änna@example.org',
  'anna@exämple.org',
  `${'a'.repeat(65)}@example.org`,
  `anna@${'a.'.repeat(130)}org`,
]

describe('a mail address', () => {
  for (const address of ACCEPTED) {
    it(`may be ${address.slice(0, 40)}`, () => expect(isMailAddress(address)).to.equal(true))
  }
  for (const address of REFUSED) {
    it(`may not be ${JSON.stringify(address).slice(0, 50)}`, () => expect(isMailAddress(address)).to.equal(false))
  }
  it('is decided in linear time', function () {
    this.timeout(1000)
    expect(isMailAddress(`${'a.'.repeat(126)}!`)).to.equal(false)
  })
  it('has its local part before the last @', () => expect(localPart('anna@example.org')).to.equal('anna'))
})
