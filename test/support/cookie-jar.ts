/** What a browser keeps of Set-Cookie and sends back (RFC 6265bis), for one site on one host. */

export interface Cookie {
  name: string
  value: string
  path: string
  secure: boolean
  httpOnly: boolean
  sameSite: string | undefined
  /** Milliseconds since the epoch; Infinity for a session cookie. */
  expiresAt: number
}

export interface CookieJar {
  /** Takes up what an answer from `url` sets; a cookie that breaks its prefix's promise or is Secure over http is dropped. */
  take(url: URL, setCookie: readonly string[] | undefined): void
  /** The value of the Cookie header for `url`; undefined for none. */
  headerFor(url: URL): string | undefined
  all(): Cookie[]
}

export function createCookieJar(): CookieJar {
  let cookies: Cookie[] = []
  const live = () => cookies.filter(({ expiresAt }) => expiresAt > Date.now())
  return {
    take(url, setCookie = []) {
      for (const line of setCookie) {
        const cookie = parse(line, url)
        if (!mayBeStored(cookie, url)) continue
        cookies = cookies.filter(({ name, path }) => name !== cookie.name || path !== cookie.path)
        cookies.push(cookie)
      }
    },
    headerFor(url) {
      const sent = live().filter(({ path, secure }) => isBelow(path, url.pathname) && (!secure || isSecure(url)))
      // RFC 6265 section 5.4: "Cookies with longer paths are listed before cookies with shorter paths".
      sent.sort((a, b) => b.path.length - a.path.length)
      return sent.length === 0 ? undefined : sent.map(({ name, value }) => `${name}=${value}`).join('; ')
    },
    all: live,
  }
}

function parse(line: string, url: URL): Cookie & { domain: string | undefined } {
  const [pair = '', ...rest] = line.split(';')
  const [name, value] = split(pair)
  const attributes = new Map(rest.map((text) => split(text)).map(([key, text]) => [key.toLowerCase(), text]))
  const path = attributes.get('path') ?? ''
  return {
    name,
    value,
    path: path.startsWith('/') ? path : defaultPath(url),
    domain: attributes.get('domain'),
    secure: attributes.has('secure'),
    httpOnly: attributes.has('httponly'),
    sameSite: attributes.get('samesite')?.toLowerCase(),
    expiresAt: expiryOf(attributes),
  }
}

function mayBeStored({ name, secure, path, domain }: ReturnType<typeof parse>, url: URL): boolean {
  if (domain !== undefined && domain !== url.hostname) return false
  if (secure && !isSecure(url)) return false
  if (name.startsWith('__Host-')) return secure && path === '/' && domain === undefined
  return !name.startsWith('__Secure-') || secure
}

/** RFC 6265 section 5.3: Max-Age has precedence over Expires. */
function expiryOf(attributes: ReadonlyMap<string, string>): number {
  const maxAge = attributes.get('max-age')
  if (maxAge !== undefined) return Date.now() + Number(maxAge) * 1000
  const expires = attributes.get('expires')
  return expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires)
}

function split(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

const isSecure = (url: URL): boolean => url.protocol === 'https:'
const defaultPath = ({ pathname }: URL): string => pathname.slice(0, Math.max(1, pathname.lastIndexOf('/')))

/** RFC 6265 section 5.1.4: a path matches itself and what lies below it, not what merely begins alike. */
const isBelow = (path: string, pathname: string): boolean =>
  pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
