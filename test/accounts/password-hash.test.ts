import { expect } from 'chai'
import {
  CURRENT_COST,
  hashPassword,
  isAcceptableHash,
  needsRehash,
  unmatchableHash,
  verifyPassword,
} from '../../src/accounts/password-hash.ts'

const CHEAP = { memory: 64, passes: 1, parallelism: 1 }
// The example in the README of the reference implementation of Argon2.
const FOREIGN = '$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG'
const phc = (cost: string, salt = 'c29tZXNhbHQ') => `$argon2id$v=19$${cost}$${salt}$RdescudvJCsgt3ub+b+dWRWJTmaaJObG`

describe('password hashes', () => {
  it('are argon2id of the documented cost, and never the same twice', () => {
    const hash = hashPassword('correct horse battery')
    expect(hash).to.match(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(hashPassword('correct horse battery')).not.to.equal(hash)
    expect(verifyPassword(hash, 'correct horse battery')).to.deep.equal({ matches: true, needsRehash: false })
    expect(verifyPassword(hash, 'correct horse batterY').matches).to.equal(false)
  })

  it('do not ignore anything: not a blank, not the case, not the 73rd byte', () => {
    const password = `${'a'.repeat(80)}b`
    const hash = hashPassword(password, CHEAP)
    for (const other of [
      `${password} `,
      ` ${password}`,
      password.toUpperCase(),
      'a'.repeat(80),
      `${'a'.repeat(80)}c`,
    ]) {
      expect(verifyPassword(hash, other).matches).to.equal(false)
    }
  })

  it('are one for composed and decomposed letters', () => {
    const hash = hashPassword('re\u0301ne\u0301e', CHEAP)
    expect(verifyPassword(hash, 'r\u00e9n\u00e9e').matches).to.equal(true)
  })

  it('made elsewhere are verified over the bytes as typed, and due for a new one', () => {
    expect(verifyPassword(FOREIGN, 'password')).to.deep.equal({ matches: true, needsRehash: true })
    expect(verifyPassword(FOREIGN, 'Password').matches).to.equal(false)
  })

  it('are due for a new one when their cost is not the current one', () => {
    expect(needsRehash(hashPassword('x', CHEAP))).to.equal(true)
    expect(needsRehash(hashPassword('x', { ...CURRENT_COST, passes: 3 }))).to.equal(true)
    expect(needsRehash(unmatchableHash())).to.equal(false)
  })

  it('of nobody match nothing at the cost of a current one', () => {
    const hash = unmatchableHash()
    expect(hash).to.match(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(isAcceptableHash(hash)).to.equal(true)
    for (const password of ['', 'password', hash]) expect(verifyPassword(hash, password).matches).to.equal(false)
  })

  const UNBEARABLE = {
    'gigabytes of memory': phc('m=1048576,t=1,p=1'),
    'minutes of passes': phc('m=19456,t=100000,p=1'),
    'much memory many times': phc('m=131072,t=8,p=1'),
    'a hundred lanes': phc('m=19456,t=2,p=100'),
    'less memory than its lanes need': phc('m=8,t=1,p=2'),
    'no pass': phc('m=19456,t=0,p=1'),
    'no salt to speak of': phc('m=19456,t=2,p=1', 'c2FsdA'),
    'another scheme': '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJu',
    'an older version of argon2': FOREIGN.replace('v=19', 'v=16'),
    'extra parameters': phc('m=19456,t=2,p=1,keyid=AAAA'),
    nothing: '',
  }
  for (const [what, hash] of Object.entries(UNBEARABLE)) {
    it(`with ${what} are neither accepted nor computed`, () => {
      expect(isAcceptableHash(hash)).to.equal(false)
      expect(verifyPassword(hash, 'password')).to.deep.equal({ matches: false, needsRehash: false })
    })
  }
})
