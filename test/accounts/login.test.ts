import { expect } from 'chai'
import { isUsername, normaliseLogin } from '../../src/accounts/login.ts'

describe('a login', () => {
  it('is looked up without the blanks around it and in one Unicode form', () => {
    expect(normaliseLogin('  anna ')).to.equal('anna')
    expect(normaliseLogin('re\u0301ne\u0301e')).to.equal('r\u00e9n\u00e9e')
  })
  for (const login of ['', '   ', 'an\0na', 'anna\ud800', 'a'.repeat(255)]) {
    it(`${JSON.stringify(login).slice(0, 20)} belongs to nobody`, () =>
      expect(normaliseLogin(login)).to.equal(undefined))
  }
})

describe('a username', () => {
  for (const name of ['a', 'anna.petrova', 'Анна', '安娜', 'x'.repeat(64)]) {
    it(`may be ${name.slice(0, 20)}`, () => expect(isUsername(name)).to.equal(true))
  }
  for (const name of ['', 'an na', 'anna@home', 'anna\u200bx', 'anna\n', '\ud800', 'x'.repeat(65), 're\u0301ne', 7]) {
    it(`may not be ${JSON.stringify(name).slice(0, 20)}`, () => expect(isUsername(name)).to.equal(false))
  }
})
