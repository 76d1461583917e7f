import { expect } from 'chai'
import { addressKey } from '../../src/limits/address.ts'

const SAME: [one: string, other: string][] = [
  ['203.0.113.7', '::ffff:203.0.113.7'],
  ['203.0.113.7', '::FFFF:cb00:7107'],
  ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
  ['2001:db8:0001:0002:0:0:0:9', '2001:DB8:1:2::9'],
  ['fe80::1', 'fe80::2%eth0'],
]
const APART: [one: string, other: string][] = [
  ['203.0.113.7', '203.0.113.8'],
  ['2001:db8:1:2::1', '2001:db8:1:3::1'],
  ['::1', '::ffff:0.0.0.1'],
]

describe('the address as a budget counts it', () => {
  for (const [one, other] of SAME) {
    it(`counts ${one} and ${other} together`, () => expect(addressKey(one)).to.equal(addressKey(other)))
  }
  for (const [one, other] of APART) {
    it(`counts ${one} and ${other} apart`, () => expect(addressKey(one)).not.to.equal(addressKey(other)))
  }
  it('counts whatever is no address together, so that inventing one buys nothing', () => {
    expect(addressKey('elsewhere')).to.equal(addressKey(''))
  })
})
