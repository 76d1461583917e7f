/**
 * The three shapes of Redis by the address that names them: one server, a cluster, or a primary that sentinels know.
 * config/schema.json holds addresses to the same forms, so that a wrong one is refused before anything is opened.
 */
import { ConfigError } from '../config.ts'

export type RedisAddress =
  | { kind: 'single'; url: string }
  | ({ kind: 'cluster'; nodes: Endpoint[] } & Credentials)
  | ({ kind: 'sentinel'; sentinels: Endpoint[]; sentinelLogin: Login; master: string; db: number } & Credentials)

export interface Endpoint {
  host: string
  port: number
}

interface Login {
  username: string | undefined
  password: string | undefined
}

interface Credentials extends Login {
  isTls: boolean
}

const FORM = /^(rediss?)\+(cluster|sentinel):\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?@]+)(?:\/([^?]*))?(?:\?(.*))?$/

/**
 * Reads an address.
 * @throws ConfigError when it has none of the forms; the message holds no part of it.
 */
export function parseRedisUrl(url: string): RedisAddress {
  if (!/^rediss?\+/.test(url)) return { kind: 'single', url }
  const [, scheme, kind, username, password, hosts = '', path = '', query] = FORM.exec(url) ?? []
  const credentials = { isTls: scheme === 'rediss', username: decoded(username), password: decoded(password) }
  if (kind === 'cluster') {
    // A cluster has no numbered databases.
    if (path !== '' || query !== undefined) throw malformed('a cluster has neither a path nor parameters')
    return { kind, nodes: endpointsOf(hosts, 6379), ...credentials }
  }
  const [master = '', db = '0', ...rest] = path.split('/')
  if (kind !== 'sentinel') throw malformed('it is not a Redis URL')
  if (master === '' || !/^\d+$/.test(db) || rest.length > 0)
    throw malformed('/NAME of the primary or /NAME/db must follow the sentinels')
  const parameters = new URLSearchParams(query)
  const sentinelLogin = {
    username: parameters.get('sentinel_username') ?? undefined,
    password: parameters.get('sentinel_password') ?? undefined,
  }
  return { kind, sentinels: endpointsOf(hosts, 26379), sentinelLogin, master, db: Number(db), ...credentials }
}

function decoded(text: string | undefined): string | undefined {
  try {
    return text ? decodeURIComponent(text) : undefined
  } catch {
    throw malformed('user and password must be percent-encoded')
  }
}

const malformed = (reason: string): ConfigError => new ConfigError([`USHER_REDIS_URL cannot be used: ${reason}`])

const endpointsOf = (hosts: string, usualPort: number): Endpoint[] =>
  hosts.split(',').map((text) => {
    const [, inBrackets, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
    const host = inBrackets ?? plain
    if (host === undefined) throw malformed('a host has the form host:port')
    return { host, port: Number(port ?? usualPort) }
  })

/** Where to look, without passwords: for messages. */
export function placeOf(address: RedisAddress): string {
  const list = (endpoints: readonly Endpoint[]) => endpoints.map(({ host, port }) => `${host}:${port}`).join(', ')
  switch (address.kind) {
    case 'single': {
      const url = URL.parse(address.url)
      return `Redis at ${url?.host || url?.pathname}`
    }
    case 'cluster':
      return `the Redis Cluster at ${list(address.nodes)}`
    case 'sentinel':
      return `the Redis primary ${address.master} of the sentinels at ${list(address.sentinels)}`
  }
}
