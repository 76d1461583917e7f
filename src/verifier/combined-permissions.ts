/** What an account holds, asked of the server with the service's own token, and remembered until the stream says otherwise. */
import { createBoundedMap } from './bounded-map.ts'
import { TokenError } from './errors.ts'
import type { Report } from './events.ts'
import type { PermissionChange } from './revocation-picture.ts'
import { type Fetch, fetchJson, monotonicMs, UnexpectedAnswer } from './server-call.ts'
import type { ServiceToken } from './service-token.ts'

const MOST_ACCOUNTS = 10_000
const LONGEST_MS = 60_000
/** Each process of the server hears of a change by itself; until then it may answer what was true before. */
const SETTLING_MS = 1_000
/** Changes while the answer was under way make it worth another question, but not for ever. */
const ATTEMPTS = 3

export interface Holding {
  permissions: ReadonlySet<string>
  roles: ReadonlySet<string>
}

export interface CombinedPermissions {
  /** Throws TokenError permissions_unavailable: what cannot be known is not assumed. */
  of(account: string): Promise<Holding>
  forget(change: PermissionChange): void
}

export interface CombinedPermissionsDeps {
  api: string
  /** Absent when the service has no credentials. */
  token: ServiceToken | undefined
  fetch: Fetch
  report: Report
}

const NOTHING: Holding = { permissions: new Set(), roles: new Set() }

export function createCombinedPermissions({ api, token, fetch, report }: CombinedPermissionsDeps): CombinedPermissions {
  const kept = createBoundedMap<{ holding: Holding; untilMs: number }>(MOST_ACCOUNTS)
  const asking = new Map<string, Promise<Holding>>()
  let changes = 0
  /** When every process knows the latest change; answers of before are not kept beyond. */
  let allSettledAtMs = Number.NEGATIVE_INFINITY
  const settledAtMs = createBoundedMap<number>(MOST_ACCOUNTS, (evicted) => {
    allSettledAtMs = Math.max(allSettledAtMs, evicted)
  })

  const keptUntilMs = (account: string): number => {
    const nowMs = monotonicMs()
    const settled = Math.max(allSettledAtMs, settledAtMs.get(account) ?? allSettledAtMs)
    return nowMs < settled ? settled : nowMs + LONGEST_MS
  }

  const askOnce = async (account: string): Promise<Holding> => {
    if (!token) throw new Error('The verifier has no credentials to ask with.')
    const url = `${api}/accounts/${encodeURIComponent(account)}/combined_permissions?roles=true`
    try {
      return holdingIn(url, await fetchJson(fetch, url, { headers: { Authorization: `Bearer ${await token.get()}` } }))
    } catch (error) {
      if (!(error instanceof UnexpectedAnswer)) throw error
      if (error.status === 404) return NOTHING
      if (error.status === 401) token.forget()
      throw error
    }
  }

  const ask = async (account: string): Promise<Holding> => {
    for (let attempt = 1; ; attempt += 1) {
      const [before, untilMs] = [changes, keptUntilMs(account)]
      const holding = await askOnce(account)
      if (before === changes) kept.set(account, { holding, untilMs })
      if (before === changes || attempt === ATTEMPTS) return holding
    }
  }

  const shared = (account: string): Promise<Holding> => {
    const work =
      asking.get(account) ??
      ask(account)
        .catch((cause: unknown) => {
          report({ kind: 'permissions_unavailable', error: cause })
          throw new TokenError('permissions_unavailable', 'The server cannot be asked for permissions.', { cause })
        })
        .finally(() => asking.delete(account))
    asking.set(account, work)
    return work
  }

  return {
    async of(account) {
      const found = kept.get(account)
      return found && found.untilMs > monotonicMs() ? found.holding : shared(account)
    },
    forget({ account }) {
      changes += 1
      // Who asks from now on does not get an answer to a question of before.
      const settled = monotonicMs() + SETTLING_MS
      if (account === undefined) {
        allSettledAtMs = settled
        kept.clear()
        asking.clear()
      } else {
        settledAtMs.set(account, settled)
        kept.delete(account)
        asking.delete(account)
      }
    },
  }
}

function holdingIn(url: string, document: Record<string, unknown>): Holding {
  const { permissions, roles } = document
  if (!isKeys(permissions) || !isKeys(roles)) throw new UnexpectedAnswer(url, 200, 'answered no permissions')
  return { permissions: new Set(permissions), roles: new Set(roles) }
}

const isKeys = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')
