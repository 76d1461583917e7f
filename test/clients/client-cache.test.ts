import { expect } from 'chai'
import type { Client } from '../../src/clients/client.ts'
import { createClientCache } from '../../src/clients/client-cache.ts'
import { describeClient } from '../../src/clients/client-registration.ts'

const named = (id: string, name = id): Client => describeClient({ id, name, type: 'machine' }, { production: true })

describe('the cache of clients', () => {
  let now: number
  let table: Map<string, Client>
  let reads: string[]
  let gate: Promise<void>
  const build = (maxEntries = 10) =>
    createClientCache({
      clock: { now: () => now },
      maxEntries,
      async load(id) {
        reads.push(id)
        const found = structuredClone(table.get(id))
        await gate
        return found
      },
    })
  beforeEach(() => {
    now = 1_000_000
    table = new Map([['app', named('app')]])
    reads = []
    gate = Promise.resolve()
  })

  it('reads a client once in 5 s', async () => {
    const cache = build()
    await cache.find('app')
    now += 4_999
    await cache.find('app')
    expect(reads).to.have.lengthOf(1)
    now += 1
    await cache.find('app')
    expect(reads).to.have.lengthOf(2)
  })

  it('hands out one frozen object as long as the client is unchanged', async () => {
    const cache = build()
    const client = await cache.find('app')
    now += 10_000
    expect(await cache.find('app')).to.equal(client)
    expect(Object.isFrozen(client) && Object.isFrozen(client?.grantTypes)).to.equal(true)
    table.set('app', named('app', 'another name'))
    now += 10_000
    expect(await cache.find('app')).not.to.equal(client)
    expect((await cache.find('app'))?.name).to.equal('another name')
  })

  it('asks once for any number of simultaneous requests', async () => {
    const cache = build()
    const clients = await Promise.all(Array.from({ length: 50 }, () => cache.find('app')))
    expect(reads).to.have.lengthOf(1)
    expect(new Set(clients).size).to.equal(1)
  })

  it('believes for one second that there is no such client', async () => {
    const cache = build()
    expect(await cache.find('new')).to.equal(undefined)
    table.set('new', named('new'))
    now += 999
    expect(await cache.find('new')).to.equal(undefined)
    now += 1
    expect((await cache.find('new'))?.id).to.equal('new')
  })

  it('reads again after a write, and keeps nothing that was read before it', async () => {
    const cache = build()
    let open = () => {}
    gate = new Promise((resolve) => {
      open = resolve
    })
    const stale = cache.find('app')
    table.set('app', named('app', 'another name'))
    cache.forget('app')
    open()
    await stale
    expect((await cache.find('app'))?.name).to.equal('another name')
    table.delete('app')
    cache.forget('app')
    expect(await cache.find('app')).to.equal(undefined)
  })

  it('drops the client read longest ago when it is full, and none for invented ids', async () => {
    for (const id of ['a', 'b', 'c']) table.set(id, named(id))
    const cache = build(3)
    for (const id of ['a', 'b', 'c']) await cache.find(id)
    for (let place = 0; place < 20; place += 1) await cache.find(`invented-${place}`)
    reads = []
    for (const id of ['a', 'b', 'c']) await cache.find(id)
    expect(reads).to.deep.equal([])
    await cache.find('app')
    await cache.find('b')
    await cache.find('a')
    expect(reads).to.deep.equal(['app', 'a'])
  })

  it('does not remember a failure', async () => {
    let isDown = true
    const load = async (id: string) => {
      if (isDown) throw new Error('down')
      return table.get(id)
    }
    const cache = createClientCache({ clock: { now: () => now }, load })
    expect(await cache.find('app').catch((error: Error) => error.message)).to.equal('down')
    isDown = false
    expect((await cache.find('app'))?.id).to.equal('app')
  })
})
