/** The connection on which the server tells what has been revoked; a lost one is taken up again where it ended. */
import type { AccessTokenClaims } from './claims.ts'
import { createCurrency } from './currency.ts'
import type { Report } from './events.ts'
import { createRevocationPicture, type PermissionChange } from './revocation-picture.ts'
import { DEADLINE_MS, type Fetch, UnexpectedAnswer } from './server-call.ts'
import type { ServiceToken } from './service-token.ts'
import { createSseParser } from './sse-parser.ts'

const SHORTEST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** The Date header counts whole seconds. */
const DATE_STEP_MS = 1_000

export interface RevocationStreamDeps {
  url: string
  token: ServiceToken
  fetch: Fetch
  /** Milliseconds since the epoch. */
  now(): number
  report: Report
  /** Silence that is as bad as no stream. */
  downMs: number
  /** How long the first picture may take before it counts as silence. */
  startMs: number
  maxEntries: number
  onPermissions(change: PermissionChange): void
}

export interface RevocationStream {
  /** Whether everything that was revoked until a moment ago is known. */
  isCurrent(): boolean
  /** Waits for the whole picture while it may still come in time. */
  settle(): Promise<void>
  /** Resolves when the whole picture is there; rejects when the stream is closed before. */
  ready(): Promise<void>
  /** By all that is known, current or not. */
  denies(claims: AccessTokenClaims): boolean
  close(): void
}

export function createRevocationStream(deps: RevocationStreamDeps): RevocationStream {
  const { url, token, fetch, now, report, downMs } = deps
  const currency = createCurrency(deps)
  const stopping = new AbortController()
  let silenceMs = downMs
  const picture = createRevocationPicture({
    ...deps,
    currency,
    onHeartbeatInterval(heartbeatSeconds) {
      if (heartbeatSeconds * 1000 >= downMs) report({ kind: 'heartbeat_too_slow', heartbeatSeconds })
      silenceMs = Math.max(downMs, 2_000 * heartbeatSeconds)
    },
  })

  const open = async (signal: AbortSignal): Promise<Response> => {
    const cursor = picture.cursor()
    const response = await fetch(url, {
      headers: {
        Authorization: `Bearer ${await token.get()}`,
        Accept: 'text/event-stream',
        ...(cursor === undefined ? {} : { 'Last-Event-ID': cursor }),
      },
      cache: 'no-store',
      redirect: 'error',
      signal,
    })
    if (response.status === 401) token.forget()
    if (response.status !== 200) throw new UnexpectedAnswer(url, response.status)
    if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
      throw new UnexpectedAnswer(url, 200, 'is no event stream')
    }
    return response
  }

  /** From the first byte asked for to the last one heard. */
  const follow = async (): Promise<void> => {
    const connection = new AbortController()
    const abort = (): void => connection.abort(new Error('The stream has fallen silent.'))
    let watchdog = setTimeout(abort, DEADLINE_MS).unref()
    stopping.signal.addEventListener('abort', abort)
    try {
      const response = await open(connection.signal)
      picture.begin(serverTime(response) ?? now())
      const parse = createSseParser(picture.take)
      for await (const bytes of response.body ?? []) {
        clearTimeout(watchdog)
        watchdog = setTimeout(abort, silenceMs).unref()
        try {
          parse(bytes)
        } catch (error) {
          picture.discard()
          throw error
        }
      }
      throw new Error('The server has ended the stream.')
    } finally {
      clearTimeout(watchdog)
      stopping.signal.removeEventListener('abort', abort)
      connection.abort() // whatever went wrong, nothing of it stays open
    }
  }

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        stopping.signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, ms).unref()
      stopping.signal.addEventListener('abort', wake)
    })

  const run = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; failures += 1) {
      await follow().catch((error: unknown) => {
        if (!stopping.signal.aborted) report({ kind: 'stream_disconnected', error })
      })
      if (picture.end()) failures = 0
      await pause(pauseAfter(failures))
    }
  }
  void run()

  return {
    isCurrent: currency.isCurrent,
    settle: currency.settle,
    ready: currency.ready,
    denies: picture.denies,
    close() {
      stopping.abort()
      currency.close()
    },
  }
}

/** Doubles, within bounds, by chance: services that lost the same server do not come back as one. */
const pauseAfter = (failures: number): number => {
  const longest = Math.min(LONGEST_PAUSE_MS, 2 * SHORTEST_PAUSE_MS * 2 ** Math.min(failures, 10))
  return SHORTEST_PAUSE_MS + Math.random() * (longest - SHORTEST_PAUSE_MS)
}

function serverTime(response: Response): number | undefined {
  const at = Date.parse(response.headers.get('Date') ?? '')
  return Number.isNaN(at) ? undefined : at + DATE_STEP_MS
}
