import { expect } from 'chai'
import { ConfigError, loadConfig } from '../../src/config.ts'
import { createFileMailbox } from '../../src/mail/file-mailbox.ts'
import { temporaryDirectory } from '../support/database.ts'
import { codeFor, mailerOver } from './mail.ts'

describe('the sender of mail', () => {
  const senderFor = (env: Record<string, string>) => loadConfig(env, '/tmp').mailFrom

  it('is at the host of the issuer when nothing is said', () => {
    expect(senderFor({ USHER_ISSUER: 'https://id.example.test:8443' })).to.equal('Usher <no-reply@id.example.test>')
    expect(senderFor({})).to.equal('Usher <no-reply@localhost>')
    expect(senderFor({ USHER_ISSUER: 'http://127.0.0.1:3000' })).to.equal('Usher <no-reply@localhost>')
    expect(senderFor({ USHER_ISSUER: 'http://[::1]:3000' })).to.equal('Usher <no-reply@localhost>')
  })

  it('is an address, with a name in any language or without', async () => {
    for (const from of ['no-reply@example.test', 'Вход, Usher & Co <id@example.test>']) {
      const mailbox = createFileMailbox(await temporaryDirectory('mail'))
      await mailerOver(mailbox, senderFor({ USHER_MAIL_FROM: from })).send(codeFor('vera@example.test'))
      expect(await mailbox.list()).to.have.lengthOf(1)
    }
  })

  it('is refused at start when it is not one plain address', () => {
    const odd = [
      'no-reply',
      'Usher <no-reply@example.test',
      'Usher <a@example.test>, b@example.test',
      'a@example.test, b@example.test',
      'Usher\r\nBcc: x@evil.test <a@example.test>',
      '"Usher" <a@example.test>',
      '<a@example.test>',
      'a@b@example.test',
    ]
    for (const from of odd) expect(() => senderFor({ USHER_MAIL_FROM: from }), from).to.throw(ConfigError)
  })
})
