/** The browser that the conformance tests judge by is judged here. */
import { expect } from 'chai'
import { createCookieJar } from './cookie-jar.ts'
import { controlOf, formsOf, hasId, textOf } from './html-form.ts'
import type { Reply } from './http.ts'
import { createUserAgent } from './user-agent.ts'

describe('cookie jar of the tests', () => {
  const at = (path: string, scheme = 'https') => new URL(`${scheme}://op.localhost:1${path}`)
  const sent = (setCookie: string, path: string, scheme = 'https') => {
    const jar = createCookieJar()
    jar.take(at('/sign-in/1/form', scheme), [setCookie])
    return jar.headerFor(at(path, scheme))
  }

  it('sends a cookie below its path only', () => {
    expect(sent('a=1; Path=/sign-in/1', '/sign-in/1')).to.equal('a=1')
    expect(sent('a=1; Path=/sign-in/1', '/sign-in/1/consent')).to.equal('a=1')
    expect(sent('a=1; Path=/sign-in/1', '/sign-in/12')).to.equal(undefined)
    expect(sent('a=1', '/sign-in/1/other'), 'default path').to.equal('a=1')
    expect(sent('a=1', '/elsewhere'), 'default path').to.equal(undefined)
  })

  it('forgets at once what is over, and keeps Secure cookies from http', () => {
    expect(sent('a=1; Max-Age=0; Path=/', '/')).to.equal(undefined)
    expect(sent('a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/', '/')).to.equal(undefined)
    expect(sent('a=1; Secure; Path=/', '/', 'http')).to.equal(undefined)
    expect(sent('a=1; Max-Age=60; Path=/; Secure', '/')).to.equal('a=1')
  })

  it('drops what breaks the promise of its prefix or is for another host', () => {
    expect(sent('__Host-a=1; Secure; Path=/', '/')).to.equal('__Host-a=1')
    expect(sent('__Host-a=1; Path=/', '/')).to.equal(undefined)
    expect(sent('__Host-a=1; Secure; Path=/sign-in', '/sign-in')).to.equal(undefined)
    expect(sent('__Secure-a=1; Path=/', '/')).to.equal(undefined)
    expect(sent('a=1; Path=/; Domain=example.org', '/')).to.equal(undefined)
  })

  it('replaces a cookie of the same name and path, and sends the longest path first', () => {
    const jar = createCookieJar()
    jar.take(at('/'), ['a=1; Path=/', 'a=2; Path=/', 'a=3; Path=/x'])
    expect(jar.headerFor(at('/x'))).to.equal('a=3; a=2')
  })
})

describe('form reader of the tests', () => {
  const PAGE = `<form method="post" action="/go?a=1&amp;b=2"><input type=hidden name="csrf" value="&quot;x&#x27;">
    <input id="login" name='login' value="a&gt;b"><button id="go">Go</button></form>
    <script>"<form action='/evil'><button id='evil'>"</script><form id="other"></form>
    <button id="far" form="other" name="n" value="v">Far</button><p id="say">1 &lt; 2</p>`

  it('reads forms with their controls, also those that name their form', () => {
    expect(formsOf(PAGE).map(({ method, action }) => [method, action])).to.deep.equal([
      ['POST', '/go?a=1&b=2'],
      ['GET', ''],
    ])
    expect(controlOf(PAGE, 'login').control.value).to.equal('a>b')
    expect(controlOf(PAGE, 'far').form.id).to.equal('other')
    expect([hasId(PAGE, 'say'), hasId(PAGE, 'evil'), hasId(PAGE, 'sa')]).to.deep.equal([true, false, false])
    expect(textOf(PAGE, 'say')).to.equal('1 < 2')
  })

  it('posts the fields of the pressed button’s form, to where the form says', async () => {
    const seen: unknown[] = []
    const agent = createUserAgent(async (url, request): Promise<Reply> => {
      seen.push([String(url), request?.method, request?.body])
      return { status: 200, headers: {}, text: PAGE, json: () => JSON.parse('') }
    })
    const page = await agent.open('https://op.localhost:1/form')
    await agent.submit(page, { fill: { login: 'ada' }, press: 'go' })
    expect(seen[1]).to.deep.equal(['https://op.localhost:1/go?a=1&b=2', 'POST', 'csrf=%22x%27&login=ada'])
  })
})
