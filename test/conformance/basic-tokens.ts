/** Modules about codes and refresh tokens at the token endpoint. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { checkIdToken, checkTokenResponse, expectOAuthError, measuredEntropy } from './common-checks.ts'
import type { Plan } from './plan.ts'

export function tokenModules({ certification, flows }: Plan): void {
  it('oidcc-codereuse', async () => {
    const { code } = await flows().codeFlow()
    expectOAuthError(await certification().rp.basic.redeem(code), 'invalid_grant')
  })

  it('oidcc-refresh-token', async () => {
    const { metadata, rp } = certification()
    expect(metadata.grant_types_supported).to.include('refresh_token')
    const params = { scope: 'openid offline_access', prompt: 'consent' }
    const first = await flows().codeFlow({ params })
    const nextSecond = delay(1_100) // a refreshed token shows in iat, which counts seconds
    const other = await flows().codeFlow({ rp: rp.basic2, params })
    await nextSecond

    const refreshToken = checkRefreshToken(first.tokens.refresh_token)
    const tokens = checkTokenResponse(await rp.basic.refresh(refreshToken))
    checkRefreshToken(tokens.refresh_token)
    expect(tokens.access_token).to.not.equal(first.tokens.access_token)
    const refreshed = await rp.basic.verifyIdToken(tokens.id_token)
    const { iss, sub, aud, auth_time: authTime } = first.idToken
    checkIdToken(refreshed, { nonce: first.sent.nonce, accessToken: tokens.access_token, requested: [] })
    expect(refreshed.payload).to.include({ iss, sub, aud })
    expect(refreshed.payload.auth_time).to.equal(authTime)
    expect(refreshed.payload.iat).to.be.greaterThan(Number(first.idToken.iat))

    expectOAuthError(await rp.basic.refresh(checkRefreshToken(other.tokens.refresh_token)), 'invalid_grant')
  })
}

export function agedCodeModules({ certification, thirtySecondsAgo }: Plan): void {
  it('oidcc-codereuse-30seconds', async function () {
    this.timeout(45_000)
    const { rp } = certification()
    const { code, tokens } = await thirtySecondsAgo()
    expectOAuthError(await rp.basic.redeem(code), 'invalid_grant')
    // RFC 6749 section 4.1.2: the server "SHOULD revoke (when possible) all tokens previously issued based on that code".
    const refused = await rp.basic.userinfo(tokens.access_token)
    expect(refused.status).to.equal(401)
    expect(refused.headers['www-authenticate']).to.match(/^Bearer .*error="invalid_token"/)
  })
}

/** RFC 6749 appendix A.17: refresh-token = 1*VSCHAR. */
function checkRefreshToken(token: string | undefined): string {
  expect(token, 'refresh token').to.match(/^[\x20-\x7e]+$/)
  expect(measuredEntropy(String(token)), 'its measured entropy').to.be.at.least(96)
  return String(token)
}
