/** Modules about a browser that is signed in already. */
import { expect } from 'chai'
import type { Flow } from './code-flow.ts'
import { expectErrorResponse } from './outcomes.ts'
import type { Plan } from './plan.ts'

export function sessionModules({ certification, flows, twoSecondsAgo }: Plan): void {
  /** A second request of the same browser. */
  const again = (first: Flow, params: Record<string, string>) => flows().codeFlow({ agent: first.agent, params })

  it('oidcc-prompt-login', async () => {
    const first = await flows().codeFlow({ params: { max_age: '15000' } })
    const second = await again(first, { prompt: 'login', max_age: '15000' })
    expect(second.pages).to.include('sign-in')
    expect(second.idToken.sub).to.equal(first.idToken.sub)
    expect(second.idToken.auth_time).to.be.at.least(Number(first.idToken.auth_time))
  })

  it('oidcc-prompt-none-not-logged-in', async () => {
    const arrival = await flows().authorize({ params: { prompt: 'none' } })
    expect(arrival.pages).to.deep.equal([])
    expectErrorResponse(arrival, certification().issuer, [
      'login_required',
      'interaction_required',
      'consent_required',
      'account_selection_required',
    ])
  })

  it('oidcc-prompt-none-logged-in', async () => {
    const first = await flows().codeFlow()
    const second = await again(first, { prompt: 'none' })
    expectSilent(second, first)
    expect(second.idToken.auth_time).to.equal(first.idToken.auth_time)
  })

  it('oidcc-max-age-1', async () => {
    const first = await twoSecondsAgo()
    const second = await again(first, { max_age: '1' })
    expect(second.pages).to.include('sign-in')
    expect(second.idToken.sub).to.equal(first.idToken.sub)
    expect(second.idToken.auth_time, 'later').to.be.greaterThan(Number(first.idToken.auth_time))
    expect(second.idToken.auth_time, 'recent').to.be.at.least(Date.now() / 1000 - 60)
  })

  it('oidcc-max-age-10000', async () => {
    const first = await flows().codeFlow({ params: { max_age: '15000' } })
    const second = await again(first, { max_age: '10000' })
    expectSilent(second, first)
    expect(first.idToken.auth_time).to.be.a('number')
    expect(second.idToken.auth_time).to.equal(first.idToken.auth_time)
  })

  it('oidcc-id-token-hint', async () => {
    const first = await flows().codeFlow()
    const second = await again(first, { prompt: 'none', id_token_hint: first.tokens.id_token })
    expectSilent(second, first)
  })

  function expectSilent(second: Flow, first: Flow): void {
    expect(second.pages, 'pages of the second request').to.deep.equal([])
    expect(second.idToken.sub).to.equal(first.idToken.sub)
  }
}
