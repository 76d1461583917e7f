/**
 * Devices that have signed in before. Each keeps a signed token, and its wrong passwords are counted apart: a stranger
 * who guesses at an account slows every unknown device down, but not the one in its owner's hands. The token opens
 * nothing by itself, and nothing about it is stored here.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { type Clock, epochSeconds } from '../clock.ts'
import { createKeyedDigest } from '../keyed-digest.ts'

const ONE_YEAR_SECONDS = 365 * 24 * 3600

export interface KnownDevicesDeps {
  /** Signs the tokens; used for nothing else. */
  secret: string
  clock: Clock
  lifeSeconds?: number
}

export type KnownDevices = ReturnType<typeof createKnownDevices>

interface Device {
  id: string
  /** Stands for the account, whose id the token does not tell. */
  owner: string
}

export function createKnownDevices({ secret, clock, lifeSeconds = ONE_YEAR_SECONDS }: KnownDevicesDeps) {
  const digest = createKeyedDigest(secret)
  const mac = (...parts: string[]): string => digest(...parts).toString('base64url')
  const ownerOf = (accountId: string, deviceId: string): string => mac('owner', deviceId, accountId)

  /** Undefined for whatever this server has not signed, or not within a year. */
  function read(token: string | undefined): Device | undefined {
    const [, id, since, owner, signature] = TOKEN.exec(token ?? '') ?? []
    if (id === undefined || since === undefined || owner === undefined || signature === undefined) return undefined
    if (!isSame(signature, mac('device', id, since, owner))) return undefined
    return epochSeconds(clock) - Number(since) < lifeSeconds ? { id, owner } : undefined
  }

  /** The device's id, when the token is genuine and was given to this account. */
  function deviceOf(token: string | undefined, accountId: string): string | undefined {
    const device = read(token)
    return device && isSame(device.owner, ownerOf(accountId, device.id)) ? device.id : undefined
  }

  return {
    lifeSeconds,

    /** Whether the token is genuine, whoever it belongs to. */
    isGenuine: (token: string | undefined): boolean => read(token) !== undefined,

    deviceOf,

    /** A token for the device that an account has just signed in on; a known device stays the same one. */
    tokenFor(accountId: string, presented?: string | undefined): string {
      const id = deviceOf(presented, accountId) ?? randomBytes(16).toString('hex')
      const since = String(epochSeconds(clock))
      const owner = ownerOf(accountId, id)
      return [id, since, owner, mac('device', id, since, owner)].join('.')
    },
  }
}

const TOKEN = /^([0-9a-f]{32})\.(\d{1,12})\.([\w-]{43})\.([\w-]{43})$/

/** Both are base64url digests of one length. */
const isSame = (one: string, other: string): boolean => timingSafeEqual(Buffer.from(one), Buffer.from(other))
