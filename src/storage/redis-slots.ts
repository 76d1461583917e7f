/** What a cluster says about itself: which slot a key has, and which primary has a slot. */
import type { Cluster, Redis } from 'ioredis'

export const SLOTS = 16_384

/** CRC16 of the part between the first braces, or of the whole key: Redis Cluster specification, "Hash tags". */
export function slotOf(key: string): number {
  const [, tag] = /^[^{]*\{([^}]+)\}/.exec(key) ?? []
  let crc = 0
  for (const byte of Buffer.from(tag ?? key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1
  }
  return crc % SLOTS
}

const tags = new Map<number, string>()

/** A short word that lies in a slot. Some milliseconds for the first word of a slot. */
export function tagOf(slot: number): string {
  let tag = tags.get(slot)
  for (let number = 0; tag === undefined; number++) {
    if (slotOf(String(number)) === slot) tag = String(number)
  }
  tags.set(slot, tag)
  return tag
}

/** The first slot of every primary. */
export function firstSlots(cluster: Cluster): number[] {
  const first = new Map<string, number>()
  // ioredis keeps them up to date: of every slot `host:port` of its primary, then of its replicas.
  cluster.slots.forEach(([primary], slot) => {
    if (primary !== undefined && !first.has(primary)) first.set(primary, slot)
  })
  return [...first.values()]
}

/** The client's own connection to the primary that has a key; undefined while there is none. */
export function primaryOf(cluster: Cluster, key: string): Redis | undefined {
  const primary = cluster.slots[slotOf(key)]?.[0]
  return cluster.nodes('master').find(({ options }) => `${options.host}:${options.port}` === primary)
}
