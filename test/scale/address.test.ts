/** The forms of USHER_REDIS_URL: what is read from each, and that a wrong one is refused before anything is opened. */
import { expect } from 'chai'
import { ConfigError, loadConfig } from '../../src/config.ts'
import { parseRedisUrl, placeOf } from '../../src/storage/redis-url.ts'
import { usherOnServers } from '../cli/usher.ts'

const login = { isTls: false, username: undefined, password: undefined }
const nobody = { username: undefined, password: undefined }

describe('the address of Redis', () => {
  it('names one server, some nodes of a cluster, or sentinels and their primary', () => {
    expect(parseRedisUrl('redis://:pw@one:1/2')).to.deep.equal({ kind: 'single', url: 'redis://:pw@one:1/2' })
    expect(parseRedisUrl('redis+cluster://one:1,two,[::1]:3')).to.deep.equal({
      kind: 'cluster',
      nodes: [
        { host: 'one', port: 1 },
        { host: 'two', port: 6379 },
        { host: '::1', port: 3 },
      ],
      ...login,
    })
    expect(parseRedisUrl('rediss+sentinel://me:p%40w%2C@one,two:2/main/3?sentinel_password=a%26b')).to.deep.equal({
      kind: 'sentinel',
      sentinels: [
        { host: 'one', port: 26379 },
        { host: 'two', port: 2 },
      ],
      sentinelLogin: { ...nobody, password: 'a&b' },
      master: 'main',
      db: 3,
      isTls: true,
      username: 'me',
      password: 'p@w,',
    })
  })

  it('is told without its password', () => {
    const place = placeOf(parseRedisUrl('redis+sentinel://:hunter2@one,two:2/main?sentinel_password=hunter3'))
    expect(place).to.equal('the Redis primary main of the sentinels at one:26379, two:2')
    expect(placeOf(parseRedisUrl('redis+cluster://:hunter2@one:1'))).to.equal('the Redis Cluster at one:1')
    expect(placeOf(parseRedisUrl('redis://:hunter2@one:1/0'))).to.equal('Redis at one:1')
  })

  const WRONG = [
    'redis+cluster://',
    'redis+cluster://one:1,',
    'redis+cluster://one:port',
    'redis+cluster://one:1/0',
    'redis+cluster://:hunter2@@one:1',
    'redis+sentinel://one:1',
    'redis+sentinel://one:1/',
    'redis+sentinel://one:1/main/zero',
    'redis+sentinel://one:1/main/0/0',
    'redis+sentinel://one:1/main?password=hunter2',
    'redis+proxy://one:1',
    'http://one:1',
  ]
  for (const url of WRONG) {
    it(`is refused as ${url}`, () => {
      const load = () => loadConfig({ USHER_REDIS_URL: url, USHER_DATABASE_URL: 'postgres://one/two' })
      expect(load)
        .to.throw(ConfigError, /USHER_REDIS_URL must be a URL such as redis:.*redis\+cluster:.*redis\+sentinel:/)
        .with.property('message')
        .not.match(/hunter/)
    })
  }

  it('is refused where a password is not percent-encoded', () => {
    expect(() => parseRedisUrl('redis+cluster://:100%@one:1')).to.throw(ConfigError, /percent-encoded/)
  })

  it('ends the start with 78 where it is wrong', async function () {
    this.timeout(20_000)
    const usher = await usherOnServers()
    try {
      const wrong = usher.with({ env: { USHER_REDIS_URL: 'redis+sentinel://one:1' } })
      const { code, err } = await wrong('serve')
      expect(code, err).to.equal(78)
      expect(err).to.include('USHER_REDIS_URL must be')
    } finally {
      await usher.remove()
    }
  })
})
