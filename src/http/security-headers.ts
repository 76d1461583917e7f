import type { Context, Middleware } from 'koa'

/** The Content Security Policy of everything we send; pages widen single directives by contentSecurityPolicy. */
const POLICY: Readonly<Record<string, string>> = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'frame-ancestors': "'none'",
  'form-action': "'self'",
}

export interface PolicyAdditions {
  /**
   * URIs to which a form of the page may lead in the end. Chromium applies form-action to the whole redirect chain, so
   * a page whose post ends at the client needs the client's redirect URI here.
   */
  formAction?: readonly string[] | undefined
  /** URIs of images from elsewhere, such as a client's logo. */
  imgSrc?: readonly string[] | undefined
  /** A word, made anew for each answer, by which a script of the page may add style sheets. */
  styleNonce?: string
  /** Of style sheets that scripts of the page add without that word. */
  styleHashes?: readonly string[]
  /** Whether scripts of the page may make workers out of their own text. */
  blobWorkers?: boolean
}

/** The headers every answer carries. */
export function securityHeadersOf(issuer: string): Record<string, string> {
  return {
    'Content-Security-Policy': contentSecurityPolicy(),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    ...(issuer.startsWith('https:') ? { 'Strict-Transport-Security': 'max-age=31536000; includeSubDomains' } : {}),
  }
}

/** Sets the headers every answer carries. Before the engine: it adds script hashes to a policy that already exists. */
export function createSecurityHeaders({ issuer }: { issuer: string }): Middleware {
  const headers = securityHeadersOf(issuer)
  return async function setSecurityHeaders(ctx, next) {
    ctx.set(headers)
    await next()
  }
}

/** The policy as a header value, with the origins of the given URIs added. */
export function contentSecurityPolicy(additions: PolicyAdditions = {}): string {
  const { formAction, imgSrc, styleNonce, styleHashes = [], blobWorkers } = additions
  const policy: Record<string, string> = { ...POLICY, ...(blobWorkers ? { 'worker-src': 'blob:' } : {}) }
  if (styleNonce !== undefined) policy['style-src'] += ` 'nonce-${styleNonce}'`
  for (const hash of styleHashes) policy['style-src'] += ` '${hash}'`
  policy['form-action'] += sources(formAction)
  policy['img-src'] += sources(imgSrc)
  return Object.entries(policy)
    .map(([directive, values]) => `${directive} ${values}`)
    .join('; ')
}

/**
 * Lets the forms of a page somebody else rendered (the engine's form_post and logout pages) reach the given URIs,
 * keeping what is already in its policy.
 */
export function allowFormAction(ctx: Context, uris: readonly string[]): void {
  const policy = ctx.response.get('Content-Security-Policy')
  if (policy)
    ctx.set(
      'Content-Security-Policy',
      policy.replace(/form-action[^;]*/, (directive) => directive + sources(uris)),
    )
}

/** A host or scheme source, and nothing that could end the directive: the value comes from client metadata. */
const SOURCE = /^(?:https?:\/\/(?:[\w.-]+|\[[\da-f:]+\])(?::\d{1,5})?|[a-z][a-z\d+.-]*:)$/i

function sources(uris: readonly string[] = []): string {
  const found = uris.map(sourceOf).filter((source) => source !== undefined)
  return [...new Set(found)].map((source) => ` ${source}`).join('')
}

function sourceOf(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined
  const { origin, protocol } = new URL(uri)
  // A native client's own scheme (RFC 8252 section 7.1) has no origin.
  const source = origin === 'null' ? protocol : origin
  return SOURCE.test(source) && !/^(?:javascript|data|blob):/i.test(source) ? source : undefined
}
