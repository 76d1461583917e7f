/** What happens inside a verifier, for logs and metrics. Nothing in it is secret. */

export type VerifierEvent =
  | { kind: 'keys_fetched'; kids: readonly string[] }
  | { kind: 'keys_unavailable'; error: unknown }
  /** The whole picture is known; from now on changes arrive. */
  | { kind: 'stream_current'; entries: number }
  /** One connection has ended; another is tried. Not yet a reason to refuse anything. */
  | { kind: 'stream_disconnected'; error: unknown }
  /** Silent for longer than streamDownSeconds. */
  | { kind: 'stream_down' }
  /** The server promises heartbeats too far apart for streamDownSeconds. */
  | { kind: 'heartbeat_too_slow'; heartbeatSeconds: number }
  /** More revocations than there is room for; what is known is not trusted until it fits again. */
  | { kind: 'deny_set_full' }
  /** A newer server says something that this version does not know. */
  | { kind: 'event_not_understood'; event: string }
  | { kind: 'permissions_unavailable'; error: unknown }
  /** A handler given to `http` has thrown. */
  | { kind: 'handler_failed'; error: unknown }

export type Report = (event: VerifierEvent) => void

/** A listener that throws disturbs nobody. */
export function quietly(listener: Report | undefined): Report {
  return (event) => {
    try {
      listener?.(event)
    } catch {
      // It is the listener's own fault, and there is nowhere left to report it.
    }
  }
}
