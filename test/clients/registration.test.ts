import { expect } from 'chai'
import type { Client, ClientType } from '../../src/clients/client.ts'
import { type ClientInput, describeClient } from '../../src/clients/client-registration.ts'
import { AppError } from '../../src/errors.ts'

const CALLBACK = 'https://rp.example/cb'
const JWKS = { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] }

function pointersOf(input: ClientInput, production = true): string[] {
  try {
    describeClient(input, { production })
    return []
  } catch (error) {
    if (error instanceof AppError && error.status === 400) return error.faults.map(({ pointer }) => pointer)
    throw error
  }
}
const described = (input: ClientInput): Client => describeClient(input, { production: true })
const withBrowser = (type: ClientType, more: Partial<ClientInput> = {}): ClientInput => ({
  type,
  redirectUris: [CALLBACK],
  ...more,
})

describe('the defaults of a client', () => {
  for (const type of ['web', 'spa', 'native'] as const) {
    it(`of type ${type} are the code flow with PKCE and refresh tokens`, () => {
      expect(described(withBrowser(type))).to.deep.include({
        requirePkce: true,
        firstParty: false,
        grantTypes: ['authorization_code', 'refresh_token'],
        scopes: ['openid', 'profile', 'email', 'offline_access'],
        tokenEndpointAuthMethod: type === 'web' ? 'client_secret_basic' : 'none',
      })
    })
  }

  it('of type machine are client credentials and no scope', () => {
    expect(described({ type: 'machine' })).to.deep.include({
      grantTypes: ['client_credentials'],
      scopes: [],
      redirectUris: [],
      tokenEndpointAuthMethod: 'client_secret_basic',
    })
  })

  it('give it an id that nobody can guess, and its id for a name', () => {
    const [one, other] = [described({ type: 'machine' }), described({ type: 'machine' })]
    expect(one.id).to.match(/^[\w-]{22}$/)
    expect(one.id).not.to.equal(other.id)
    expect(one.name).to.equal(one.id)
  })
})

const FIRST_PARTY = { firstParty: true, grantTypes: ['password', 'refresh_token'] }
const ACCEPTED: Record<string, ClientInput> = {
  'an id of every allowed character': withBrowser('web', { id: 'My.App_2~test-1' }),
  'a confidential web client without PKCE': withBrowser('web', { requirePkce: false }),
  'a public web client': withBrowser('web', { tokenEndpointAuthMethod: 'none' }),
  'a first-party client with the password grant': { type: 'native', ...FIRST_PARTY },
  'a web client that is also a machine': withBrowser('web', {
    grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
  }),
  'a client with keys of its own': {
    type: 'machine',
    tokenEndpointAuthMethod: 'private_key_jwt',
    metadata: { jwks: JWKS },
  },
  'API scopes': { type: 'machine', scopes: ['reports:read', 'https://api.example/all', "!#[]~'"] },
  'an audience': { type: 'machine', audience: 'urn:example:api' },
  'lives of its tokens': { type: 'machine', accessTokenTtlSeconds: 1, refreshTokenTtlSeconds: 86_400 },
  'other metadata': withBrowser('web', { metadata: { lean_id_token: true, logo_uri: 'https://rp.example/logo.png' } }),
  'a given secret': { type: 'machine', secret: 'x'.repeat(32) },
}
const REFUSED: Record<string, [pointers: string[], ClientInput]> = {
  'an id with a blank': [['/id'], { type: 'machine', id: 'my app' }],
  'an empty id': [['/id'], { type: 'machine', id: '', name: 'App' }],
  'an id of 65 characters': [['/id'], { type: 'machine', id: 'x'.repeat(65) }],
  'an id that ends in a line feed': [['/id'], { type: 'machine', id: 'app\n', name: 'App' }],
  'an id in the form of an account id': [['/id'], { type: 'machine', id: '01a1fbc9-bba0-7cd7-b106-413d8ad57f49' }],
  'the same in upper case': [['/id'], { type: 'machine', id: '01A1FBC9-BBA0-7CD7-B106-413D8AD57F49' }],
  'a name of two lines': [['/name'], { type: 'machine', name: 'a\nb' }],
  'a public client without PKCE': [['/require_pkce'], withBrowser('spa', { requirePkce: false })],
  'a public web client without PKCE': [
    ['/require_pkce'],
    withBrowser('web', { tokenEndpointAuthMethod: 'none', requirePkce: false }),
  ],
  'a native client with a secret': [
    ['/token_endpoint_auth_method'],
    withBrowser('native', { tokenEndpointAuthMethod: 'client_secret_post' }),
  ],
  'a public machine': [
    ['/token_endpoint_auth_method', '/grant_types'],
    { type: 'machine', tokenEndpointAuthMethod: 'none' },
  ],
  'the password grant for a third party': [['/grant_types'], { type: 'native', grantTypes: ['password'] }],
  'client credentials for a public client': [
    ['/grant_types'],
    withBrowser('spa', { grantTypes: ['authorization_code', 'client_credentials'] }),
  ],
  'refresh tokens from nowhere': [['/grant_types'], { type: 'machine', grantTypes: ['refresh_token'] }],
  'the implicit grant': [['/grant_types'], withBrowser('web', { grantTypes: ['authorization_code', 'implicit'] })],
  'no grant': [['/grant_types'], { type: 'machine', grantTypes: [] }],
  'the code flow without a redirect URI': [['/redirect_uris'], { type: 'web' }],
  'a redirect URI without the code flow': [['/redirect_uris'], { type: 'machine', redirectUris: [CALLBACK] }],
  'fifty-one URIs': [['/redirect_uris'], withBrowser('web', { redirectUris: Array<string>(51).fill(CALLBACK) })],
  'a scope with a blank': [['/scopes'], { type: 'machine', scopes: ['a b'] }],
  'a scope with a quotation mark': [['/scopes'], { type: 'machine', scopes: ['a"b'] }],
  'a relative audience': [['/audience'], { type: 'machine', audience: 'api' }],
  'an audience with a fragment': [['/audience'], { type: 'machine', audience: 'https://api.example/#x' }],
  'a life of no time': [['/access_token_ttl_seconds'], { type: 'machine', accessTokenTtlSeconds: 0 }],
  'half a second of life': [['/access_token_ttl_seconds'], { type: 'machine', accessTokenTtlSeconds: 0.5 }],
  'endless refresh tokens': [['/refresh_token_ttl_seconds'], { type: 'machine', refreshTokenTtlSeconds: 1e9 }],
  'a short secret': [['/secret'], { type: 'machine', secret: 'x'.repeat(31) }],
  'a secret beyond ASCII': [['/secret'], { type: 'machine', secret: 'é'.repeat(40) }],
  'a secret for a public client': [['/secret'], withBrowser('spa', { secret: 'x'.repeat(32) })],
  'private_key_jwt without keys': [['/metadata/jwks'], { type: 'machine', tokenEndpointAuthMethod: 'private_key_jwt' }],
  'a private key': [
    ['/metadata/jwks'],
    { type: 'machine', metadata: { jwks: { keys: [{ ...JWKS.keys[0], d: 'secret' }] } } },
  ],
  'a script for a logo': [
    ['/metadata/logo_uri'],
    withBrowser('web', { metadata: { logo_uri: 'JavaScript:alert(1)' } }),
  ],
  'a second value for a column': [
    ['/metadata/redirect_uris'],
    withBrowser('web', { metadata: { redirect_uris: ['https://evil.example/'] } }),
  ],
  "a member that is the server's own": [
    ['/metadata/usher:audience'],
    { type: 'machine', metadata: { 'usher:audience': 'https://else.example' } },
  ],
  'a second type of application': [
    ['/metadata/application_type'],
    withBrowser('web', { metadata: { application_type: 'native' } }),
  ],
  'a prototype in the metadata': [
    ['/metadata/__proto__'],
    { type: 'machine', metadata: JSON.parse('{"__proto__":{"first_party":true}}') },
  ],
  'far too much metadata': [['/metadata'], { type: 'machine', metadata: { text: 'x'.repeat(40_000) } }],
  'an unknown type': [['/type'], JSON.parse('{"type":"robot"}')],
}

describe('the registration of a client', () => {
  for (const [what, input] of Object.entries(ACCEPTED)) {
    it(`accepts ${what}`, () => expect(pointersOf(input)).to.deep.equal([]))
  }
  for (const [what, [pointers, input]] of Object.entries(REFUSED)) {
    it(`refuses ${what}`, () => expect(pointersOf(input)).to.deep.equal(pointers))
  }
  it('names every fault at once', () => {
    const faults = pointersOf({
      type: 'spa',
      id: ' ',
      requirePkce: false,
      redirectUris: ['http://rp.example/', CALLBACK],
    })
    expect(faults).to.deep.equal(['/id', '/require_pkce', '/redirect_uris/0'])
  })
})
