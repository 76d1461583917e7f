import { connect } from 'node:net'
import { expect } from 'chai'
import type { Context } from 'koa'
import { createPinnedHost, pinProtocol, trustProxies } from '../../src/http/pinned-host.ts'
import { remoteAddress, shortAddress } from '../../src/http/remote-address.ts'
import { serve } from './serve.ts'

const issuer = 'https://id.example.test'
const echo = (ctx: Context) => {
  ctx.body = { href: ctx.href, host: ctx.host, protocol: ctx.protocol, ip: remoteAddress(ctx) }
}

describe('pinned host', () => {
  let server: Awaited<ReturnType<typeof serve>>
  let proxied: Awaited<ReturnType<typeof serve>>

  before(async () => {
    const pin = createPinnedHost({ issuer })
    server = await serve([pin, echo], (app) => pinProtocol(app, issuer))
    proxied = await serve([pin, echo], (app) => {
      pinProtocol(app, issuer)
      trustProxies(app, 1)
    })
  })
  after(async () => {
    await server.close()
    await proxied.close()
  })

  it('answers under the host of the issuer, however it is written, always as the issuer', async () => {
    for (const Host of ['id.example.test', 'ID.example.test', 'id.example.test:443']) {
      const { status, body } = await server.ask({ headers: { Host } })
      expect(status, Host).to.equal(200)
      expect(JSON.parse(body).host).to.equal('id.example.test')
    }
  })

  for (const Host of ['evil.test', 'evil@attacker.test', 'id.example.test.evil.test', 'id.example.test:444', '']) {
    it(`refuses the Host "${Host}"`, async () => {
      const { status, body } = await server.ask({ headers: { Host } })
      expect(status).to.equal(421)
      expect(body).not.to.include('test')
    })
  }

  it('ignores X-Forwarded-Host, also behind a trusted proxy', async () => {
    for (const one of [server, proxied]) {
      const headers = { Host: 'id.example.test', 'X-Forwarded-Host': 'evil.test' }
      expect(JSON.parse((await one.ask({ headers })).body).host).to.equal('id.example.test')
    }
  })

  for (const path of ['http://evil.test/x', '//evil.test/x', 'https://id.example.test/']) {
    it(`refuses the request target ${path}`, async () => {
      expect((await server.ask({ path, headers: { Host: 'id.example.test' } })).status).to.equal(400)
    })
  }

  it('refuses a request without Host and one with two', async () => {
    expect(await rawStatus(server.port, 'GET / HTTP/1.0\r\n\r\n')).to.equal(400)
    expect(await rawStatus(server.port, 'GET / HTTP/1.1\r\nHost: id.example.test\r\nHost: evil.test\r\n\r\n')).to.equal(
      400,
    )
  })

  it('lets probes call by address', async () => {
    expect((await server.ask({ path: '/healthz', headers: { Host: '10.0.0.7:3000' } })).status).to.equal(200)
    expect((await server.ask({ path: '/healthz/x', headers: { Host: '10.0.0.7:3000' } })).status).to.equal(421)
  })

  it('speaks https for an https issuer whatever is forwarded, however many proxies are trusted', async () => {
    for (const one of [server, proxied]) {
      for (const headers of [{}, { 'X-Forwarded-Proto': 'http' }]) {
        const { body } = await one.ask({ headers: { Host: 'id.example.test', ...headers } })
        expect(JSON.parse(body)).to.include({ href: 'https://id.example.test/', protocol: 'https' })
      }
    }
  })

  it('takes the address the trusted proxy added, not one the caller wrote', async () => {
    const headers = { Host: 'id.example.test', 'X-Forwarded-For': '1.2.3.4, 203.0.113.9' }
    expect(JSON.parse((await proxied.ask({ headers })).body).ip).to.equal('203.0.113.9')
    expect(JSON.parse((await server.ask({ headers })).body).ip).to.equal('127.0.0.1')
  })

  it('keys an IPv4-mapped address as IPv4 and logs networks, not people', () => {
    const addressOf = (ip: string) => remoteAddress({ ip } as Context) // only `ip` is read
    expect(addressOf('::ffff:203.0.113.9')).to.equal('203.0.113.9')
    expect(addressOf('2001:db8::1')).to.equal('2001:db8::1')
    expect(shortAddress('203.0.113.9')).to.equal('203.0.113.0')
    expect(shortAddress('2001:db8:1:2::9')).to.equal('2001:db8:1::')
  })
})

function rawStatus(port: number, text: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.once('data', (data) => {
      socket.destroy()
      resolve(Number(data.toString().split(' ')[1]))
    })
    socket.once('error', reject)
  })
}
