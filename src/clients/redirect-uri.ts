/** Where a browser may be sent back to (RFC 9700 section 2.1, RFC 8252 section 7). Comparison later is exact, as strings. */
import type { ClientType } from './client.ts'

const MAX_LENGTH = 2000
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/
// Looked for in the text itself: URL parsing would take 127.1 and 0x7f000001 for 127.0.0.1.
const LOOPBACK = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?([/?]|$)/
const HTTPS = /^https:\/\/[^/?#\\@]+([/?]|$)/
// RFC 8252 section 7.1: "apps MUST use a URI scheme based on a domain name under their control, expressed in reverse
// order". The dot also keeps out javascript:, data:, file: and their kin.
const REVERSE_DNS = /^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+:\/?[^\s]*$/

export interface RedirectRules {
  type: ClientType
  /** In production only native apps may use plain http, and only to their own machine. */
  production: boolean
}

/** What is wrong with a redirect URI of such a client; undefined when nothing is. */
export function redirectUriFault(uri: string, { type, production }: RedirectRules): string | undefined {
  if (uri.length > MAX_LENGTH || !PRINTABLE_ASCII.test(uri) || !URL.canParse(uri)) return 'is not an absolute URI'
  // RFC 6749 section 3.1.2: "The endpoint URI MUST NOT include a fragment component."
  if (uri.includes('#')) return 'must not have a fragment'
  if (uri.includes('\\') || uri.includes('*')) return 'must be one exact URI, without wildcard and without backslash'
  if (HTTPS.test(uri)) return undefined
  if (LOOPBACK.test(uri)) return type === 'native' || !production ? undefined : 'must use https'
  if (/^https?:/i.test(uri)) return 'must use https (or http on localhost, 127.0.0.1 or [::1] for native clients)'
  if (type !== 'native') return 'must use https'
  return REVERSE_DNS.test(uri) ? undefined : 'needs https, http on the loopback, or a scheme such as org.example.app'
}

/** What is wrong with a URL that is only shown or fetched, such as logo_uri and jwks_uri. */
export const webUrlFault = (uri: string, { production }: { production: boolean }): string | undefined =>
  redirectUriFault(uri, { type: 'web', production })
