import { expect } from 'chai'
import type { ClientType } from '../../src/clients/client.ts'
import { redirectUriFault } from '../../src/clients/redirect-uri.ts'

const FOR_EVERYBODY = [
  'https://rp.example/cb',
  'https://rp.example',
  'https://rp.example:8443/cb?tenant=7',
  'https://[2001:db8::1]/cb',
]
const ON_THIS_MACHINE = [
  'http://localhost/cb',
  'http://localhost:3000/cb',
  'http://127.0.0.1:51004/',
  'http://[::1]:8080/cb',
]
const OF_APPS = ['com.example.app:/cb', 'com.example.app://cb', 'org.example.my-app:/oauth2/redirect']
const FOR_NOBODY = [
  '',
  '/cb',
  'rp.example/cb',
  'http://rp.example/cb',
  'https://rp.example/cb#token',
  'https://rp.example/cb#',
  'https://rp.example@evil.example/cb',
  'https://user:pass@rp.example/cb',
  'https://*.rp.example/cb',
  'https://rp.example\\@evil.example/cb',
  'https://rp.example/a b',
  'https://rp.example/cb\n',
  'https://rp.exämple/cb',
  'https:rp.example',
  'https:///cb',
  'http://localhost.evil.example/cb',
  'http://localhost:80@evil.example/cb',
  'http://127.0.0.1.evil.example/',
  'http://127.1/cb',
  'http://0x7f000001/cb',
  'http://0.0.0.0/cb',
  'javascript:alert(1)',
  'JavaScript:alert(1)',
  'java.script:alert(1)\u0000',
  'data:text/html,<script>',
  'DATA:text/html,x',
  'file:///etc/passwd',
  'blob:https://rp.example/1',
  'vbscript:x',
  'about:blank',
  'myapp:/cb',
  'myapp://cb',
  'Com.Example.App:/cb',
  'urn:ietf:wg:oauth:2.0:oob',
  `https://rp.example/${'x'.repeat(2000)}`,
]

describe('a redirect URI', () => {
  const isRight = (uri: string, type: ClientType, production: boolean) =>
    redirectUriFault(uri, { type, production }) === undefined

  /** Which of web, spa and native may register it, in production and outside. */
  const whoMay = (uri: string, production: boolean) =>
    (['web', 'spa', 'native'] as const).filter((type) => isRight(uri, type, production)).join(' ')

  for (const uri of FOR_EVERYBODY) {
    it(`${uri} is for every client`, () => expect(whoMay(uri, true)).to.equal('web spa native'))
  }
  for (const uri of ON_THIS_MACHINE) {
    it(`${uri} is for native clients, and outside production for every client`, () => {
      expect(whoMay(uri, true)).to.equal('native')
      expect(whoMay(uri, false)).to.equal('web spa native')
    })
  }
  for (const uri of OF_APPS) {
    it(`${uri} is for native clients only`, () => {
      expect(whoMay(uri, true)).to.equal('native')
      expect(whoMay(uri, false)).to.equal('native')
    })
  }
  for (const uri of FOR_NOBODY) {
    it(`${JSON.stringify(uri).slice(0, 50)} is for nobody`, () => {
      expect(whoMay(uri, true)).to.equal('')
      expect(whoMay(uri, false)).to.equal('')
    })
  }
})
