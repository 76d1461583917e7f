/** The network address as a budget counts it. */
import { isIPv4, isIPv6 } from 'node:net'

/**
 * One IPv4 address, or the /64 of an IPv6 address: a subscriber owns the whole of it and could come from a new
 * address with every request. An IPv4 address in IPv6 clothes is the IPv4 address.
 */
export function addressKey(address: string): string {
  if (isIPv4(address)) return address
  if (!isIPv6(address)) return 'unknown'
  const groups = expand(address)
  return mappedIPv4(groups) ?? `${groups.slice(0, 4).join(':')}::/64`
}

/** The eight groups in lower-case hexadecimal without leading zeros. */
function expand(address: string): string[] {
  // URL parsing writes the embedded dotted form as two groups; a zone (%eth0) is no part of the address.
  const host = new URL(`http://[${address.split('%')[0]}]`).hostname.slice(1, -1)
  const [head = '', tail] = host.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
}

/** RFC 4291 section 2.5.5.2: "::ffff:" and 32 bits of IPv4. */
function mappedIPv4(groups: readonly string[]): string | undefined {
  const [high = '0', low = '0'] = groups.slice(6)
  if (groups.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return undefined
  const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
}
