import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { CompactSign, calculateJwkThumbprint, compactVerify, createLocalJWKSet, importJWK } from 'jose'
import { ConfigError } from '../../src/config.ts'
import { rotateKeys } from '../../src/oidc/key-rotation.ts'
import { listKeys, openKeyring, watchKeyring } from '../../src/oidc/keystore.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const LIMITS = { longestTokenSeconds: 14 * 24 * 3600, jwksCacheSeconds: 300 }

describe('key ring', function () {
  this.timeout(30_000) // each ring makes RSA keys of 3072 bits
  let dir: string
  const time = { at: Date.parse('2026-01-01T00:00:00Z') }
  const clock = { now: () => time.at }
  const open = (more: Partial<Parameters<typeof openKeyring>[0]> = {}) =>
    openKeyring({ dir, production: false, clock, ...more })
  const rotate = (more = {}) => rotateKeys(dir, { ...LIMITS, clock, ...more })
  const states = async (use: string) => (await listKeys(dir)).filter((key) => key.use === use).map(({ state }) => state)

  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), 'usher-keys-')), 'keys')
  })
  afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }))

  it('makes ES256 and RS256 keys and distinct secrets of 256 bits once', async () => {
    const first = await open()
    const second = await open()
    expect(first.isNew).to.equal(true)
    expect(second.isNew).to.equal(false)
    expect(second.engineJwks()).to.deep.equal(first.engineJwks())
    expect(second.refreshTokenKeys).to.deep.equal(first.refreshTokenKeys)
    expect(first.engineJwks().keys.map(({ alg }) => alg)).to.deep.equal(['ES256', 'RS256'])
    expect(first.refreshTokenKeys[0]?.secret).to.have.lengthOf(32)
    expect(Buffer.from(first.cookieKeys[0] ?? '', 'base64url')).to.have.lengthOf(32)
    expect(
      new Set([first.pepper, first.cookieKeys[0], first.refreshTokenKeys[0]?.secret.toString('base64url')]).size,
    ).to.equal(3)
  })

  it('writes files that only the owner can read, and leaves no others', async () => {
    await open()
    await rotate()
    expect(readdirSync(dir).toSorted()).to.deep.equal(['secrets.json', 'signing-keys.json'])
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777, name).to.equal(0o600)
    expect(statSync(dir).mode & 0o777).to.equal(0o700)
  })

  it('gives several processes that start at once the same keys', async () => {
    const rings = await Promise.all([open(), open(), open()])
    const kids = rings.map((ring) => JSON.stringify([ring.engineJwks(), ring.pepper, ring.cookieKeys]))
    expect(new Set(kids).size).to.equal(1)
    expect(readdirSync(dir)).to.have.lengthOf(2)
  })

  it('publishes no private member', async () => {
    const { keys } = (await open()).publicJwks()
    for (const key of keys) {
      expect(key).to.not.have.any.keys('d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k')
      expect(key.kid).to.equal(await calculateJwkThumbprint(key))
      expect(key.use).to.equal('sig')
    }
    const rsa = keys.find(({ kty }) => kty === 'RSA')
    expect(Buffer.from(rsa?.n ?? '', 'base64url')).to.have.lengthOf(3072 / 8)
  })

  it('publishes keys that verify what the private ones sign', async () => {
    const ring = await open()
    const verify = createLocalJWKSet(ring.publicJwks())
    for (const jwk of ring.engineJwks().keys) {
      const header = { alg: jwk.alg ?? '', kid: jwk.kid ?? '' }
      const jws = await new CompactSign(Buffer.from('content')).setProtectedHeader(header).sign(await importJWK(jwk))
      expect(Buffer.from((await compactVerify(jws, verify)).payload).toString()).to.equal('content')
    }
  })

  it('never makes keys in production, and names the command that does', async () => {
    const refusal = await open({ production: true }).catch((error: unknown) => error)
    expect(refusal).to.be.instanceOf(ConfigError)
    expect(String(refusal)).to.match(/signing-keys\.json is missing.*usher keys rotate/)
    expect(await rotate()).to.include({ outcome: 'created' })
    expect((await open({ production: true })).isNew).to.equal(false)
  })

  it('needs no file of secrets when all are given as settings', async () => {
    await open()
    rmSync(join(dir, 'secrets.json'))
    const given = { cookieSecret: 'c'.repeat(32), refreshTokenSecret: 'r'.repeat(32), pepper: 'p'.repeat(32) }
    const ring = await open({ production: true, secrets: given })
    expect(ring.cookieKeys).to.deep.equal([given.cookieSecret])
    expect(ring.refreshTokenKeys[0]?.secret.toString()).to.equal(given.refreshTokenSecret)
    expect(ring.pepper).to.equal(given.pepper)
    const refusal = await open({ production: true, secrets: { pepper: given.pepper } }).catch((error: unknown) => error)
    expect(String(refusal)).to.match(/secrets\.json is missing/)
  })

  it('refuses files that others can read in production, and warns elsewhere', async () => {
    await open()
    const path = join(dir, 'signing-keys.json')
    chmodSync(path, 0o644)
    const refusal = await open({ production: true }).catch((error: unknown) => error)
    expect(refusal).to.be.instanceOf(ConfigError)
    expect(String(refusal)).to.contain(`chmod 600 ${path}`)
    expect((await open()).warnings).to.have.lengthOf(1)
  })

  it('refuses a damaged file without quoting it', async () => {
    await open()
    for (const content of ['{"pepper": "hush', '[]', '{"refresh_token": [], "cookie": [], "pepper": "hush"}']) {
      writeFileSync(join(dir, 'secrets.json'), content)
      const refusal = await open().catch((error: unknown) => error)
      expect(refusal).to.be.instanceOf(ConfigError)
      expect(String(refusal))
        .to.match(/secrets\.json is damaged/)
        .and.not.contain('hush')
    }
  })

  it('publishes before use, retires after the longest token, and always has one current key of each kind', async () => {
    await open()
    const [old] = (await open()).engineJwks().keys

    expect(await rotate()).to.include({ outcome: 'published', waitSeconds: 300 })
    expect(await states('tokens')).to.deep.equal(['current', 'current', 'next', 'next'])
    expect((await open()).engineJwks().keys[0]?.kid).to.equal(old?.kid)
    expect((await open()).publicJwks().keys).to.have.lengthOf(4)

    time.at += 2 * MINUTE
    expect(await rotate()).to.include({ outcome: 'waiting', waitSeconds: 180 })
    time.at += 3 * MINUTE
    expect(await rotate()).to.include({ outcome: 'activated' })
    const ring = await open()
    expect(await states('tokens')).to.deep.equal(['current', 'current', 'retired', 'retired'])
    expect(ring.engineJwks().keys[0]?.kid).to.not.equal(old?.kid)
    expect(
      ring
        .engineJwks()
        .keys.slice(0, 2)
        .map(({ alg }) => alg),
    ).to.have.members(['ES256', 'RS256'])
    expect(ring.publicJwks().keys.map(({ kid }) => kid)).to.contain(old?.kid)

    time.at += 14 * DAY
    expect(
      ring.publicJwks().keys.map(({ kid }) => kid),
      'an open ring forgets as well',
    ).to.not.contain(old?.kid)
    expect((await rotate()).dropped)
      .to.contain(old?.kid)
      .and.have.lengthOf(2)
    expect(await states('tokens')).to.deep.equal(['current', 'current', 'next', 'next'])
  })

  it('rotates the secrets alike, keeps the old ones for verification, and never changes the pepper', async () => {
    const before = await open()
    await rotate()
    expect((await open()).refreshTokenKeys[0]).to.deep.equal(before.refreshTokenKeys[0])
    await rotate({ force: true })
    const after = await open()
    expect(await states('refresh tokens')).to.deep.equal(['current', 'retired'])
    expect(await states('cookies')).to.deep.equal(['current', 'retired'])
    expect(after.refreshTokenKeys[1]).to.deep.equal(before.refreshTokenKeys[0])
    expect(after.cookieKeys[1]).to.equal(before.cookieKeys[0])
    expect(after.pepper).to.equal(before.pepper)
  })

  it('refuses a second rotation at the same time', async () => {
    await open()
    const results = await Promise.allSettled([rotate(), rotate()])
    const failures = results.filter(({ status }) => status === 'rejected')
    // The second may also come after the first, and then finds the keys just published.
    if (failures.length === 0) expect(await rotate()).to.include({ outcome: 'waiting' })
    expect(await states('tokens')).to.have.lengthOf(4)
  })

  it('lists keys without their secret parts', async () => {
    await open()
    const listed = JSON.stringify(await listKeys(dir))
    const files = ['signing-keys.json', 'secrets.json'].map((name) => readFileSync(join(dir, name), 'utf8')).join()
    const secrets = [...files.matchAll(/"(?:d|p|q|secret|pepper)": "([^"]+)"/g)].map(([, secret]) => secret ?? '')
    expect(secrets).to.have.lengthOf.above(5)
    for (const secret of secrets) expect(listed).to.not.contain(secret)
  })

  it('tells a watcher of a rotation', async () => {
    await open()
    let stop = (): void => undefined
    const changed = new Promise<void>((resolve) => {
      stop = watchKeyring(dir, resolve, { intervalMs: 20 })
    })
    await new Promise((resolve) => setTimeout(resolve, 60)) // the first poll is the comparison's base
    await rotate()
    await changed
    stop()
  })
})
