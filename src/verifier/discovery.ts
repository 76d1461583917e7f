/** Where the server has its keys and its token endpoint (OpenID Connect Discovery 1.0 section 4). */
import { type Fetch, fetchJson, UnexpectedAnswer } from './server-call.ts'

export interface Endpoints {
  jwks: string
  token: string
}

export type Discover = () => Promise<Endpoints>

/** Asked for once; a failure is not remembered. Throws UnexpectedAnswer, or what fetch throws. */
export function createDiscovery({ issuer, fetch }: { issuer: string; fetch: Fetch }): Discover {
  let found: Endpoints | undefined
  return async () => {
    found ??= await discover(issuer, fetch)
    return found
  }
}

async function discover(issuer: string, fetch: Fetch): Promise<Endpoints> {
  const base = issuer.replace(/\/$/, '')
  const url = `${base}/.well-known/openid-configuration`
  try {
    const document = await fetchJson(fetch, url)
    // Section 4.3: "The issuer value returned MUST be identical to the Issuer URL".
    if (document.issuer !== issuer) throw new UnexpectedAnswer(url, 200, `is the document of ${document.issuer}`)
    return {
      jwks: ofSameOrigin(url, document.jwks_uri),
      token: ofSameOrigin(url, document.token_endpoint),
    }
  } catch (error) {
    if (!(error instanceof UnexpectedAnswer) || error.status !== 404) throw error
    return { jwks: `${base}/.well-known/jwks.json`, token: `${base}/oauth2/token` }
  }
}

/** Keys are believed and credentials sent there, so it may not lead anywhere else. */
function ofSameOrigin(document: string, endpoint: unknown): string {
  const url = typeof endpoint === 'string' && URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url?.origin !== new URL(document).origin) {
    throw new UnexpectedAnswer(document, 200, 'names an endpoint of another origin')
  }
  return url.href
}
