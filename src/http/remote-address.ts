import type { Context } from 'koa'

/** The address behind the trusted proxies, IPv4-mapped IPv6 written as IPv4, so that one peer has one key. */
export const remoteAddress = (ctx: Context): string => ctx.ip.replace(/^::ffff:(?=\d+\.)/i, '')

/** An address for the log: the network, not the person (IPv4 by /24, IPv6 by /48). */
export function shortAddress(address: string): string {
  if (address.includes(':')) return `${address.split(':').slice(0, 3).join(':')}::`
  return address.replace(/\.\d+$/, '.0')
}
