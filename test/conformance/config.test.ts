import { expect } from 'chai'
import { type Certification, startCertification } from './certification.ts'

/**
 * Members that OpenID Connect Discovery, RFC 8414 and the registry behind it define. Newer suites warn about others.
 */
const REGISTERED = new Set(
  `issuer authorization_endpoint token_endpoint userinfo_endpoint jwks_uri registration_endpoint scopes_supported
  response_types_supported response_modes_supported grant_types_supported acr_values_supported subject_types_supported
  id_token_signing_alg_values_supported userinfo_signing_alg_values_supported
  request_object_signing_alg_values_supported token_endpoint_auth_methods_supported
  token_endpoint_auth_signing_alg_values_supported display_values_supported claim_types_supported claims_supported
  service_documentation claims_locales_supported ui_locales_supported claims_parameter_supported
  request_parameter_supported request_uri_parameter_supported require_request_uri_registration op_policy_uri op_tos_uri
  revocation_endpoint revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported
  introspection_endpoint introspection_endpoint_auth_methods_supported
  introspection_endpoint_auth_signing_alg_values_supported code_challenge_methods_supported
  pushed_authorization_request_endpoint require_pushed_authorization_requests
  authorization_response_iss_parameter_supported dpop_signing_alg_values_supported end_session_endpoint
  backchannel_logout_supported backchannel_logout_session_supported prompt_values_supported`.split(/\s+/),
)

const LANGUAGE_TAG = /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i

describe('config certification plan', () => {
  let certification: Certification

  before(async function () {
    this.timeout(30_000)
    certification = await startCertification()
  })
  after(() => certification?.stop())

  it('oidcc-discovery-endpoint-verification', async () => {
    const { issuer, exchange } = certification
    const reply = await exchange(`${issuer}/.well-known/openid-configuration`)
    expect([reply.status, reply.headers['content-type']?.split(';')[0]]).to.deep.equal([200, 'application/json'])
    const metadata = reply.json()
    expect(metadata.issuer).to.equal(issuer)
    expect(Object.keys(metadata).filter((name) => !REGISTERED.has(name))).to.deep.equal([])

    expectHttps(metadata, issuer)
    expect(metadata.response_types_supported).to.deep.equal(['code'])
    expect(metadata.subject_types_supported).to.deep.equal(['public'])
    expect(metadata.id_token_signing_alg_values_supported).to.include('RS256').and.not.include('none')
    expect(metadata.scopes_supported).to.include.members(['openid', 'profile', 'email', 'address', 'phone'])
    expect(metadata.claims_supported).to.include.members(['sub', ...claimNames()])
    expect(metadata.code_challenge_methods_supported).to.deep.equal(['S256'])
    expect(metadata.authorization_response_iss_parameter_supported).to.equal(true)
    // The exceptions of this folder rest on these two; absent, the second would mean true (Discovery section 3).
    expect(metadata.request_parameter_supported ?? false).to.equal(false)
    expect(metadata.request_uri_parameter_supported).to.equal(false)
    const signing = metadata.request_object_signing_alg_values_supported
    if (signing !== undefined) expect(signing).to.include('RS256')
    for (const locales of [metadata.ui_locales_supported, metadata.claims_locales_supported]) {
      for (const tag of [locales ?? []].flat()) expect(tag).to.match(LANGUAGE_TAG)
    }

    const { keys } = certification.jwks
    expect(keys.map(({ kty }) => kty)).to.include.members(['RSA', 'EC'])
  })

  function expectHttps(metadata: Record<string, unknown>, issuer: string): void {
    const addresses = Object.entries(metadata).filter(([name]) => /_endpoint$|_uri$/.test(name))
    expect(addresses.map(([name]) => name)).to.include.members(['authorization_endpoint', 'token_endpoint', 'jwks_uri'])
    for (const [name, url] of addresses) expect(String(url).startsWith(`${issuer}/`), name).to.equal(true)
  }

  const claimNames = () => Object.values(certification.person.claims).flatMap((claims) => Object.keys(claims))
})
