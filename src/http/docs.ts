/**
 * The API for people: its description as a document, and two readers of it, Swagger UI (to try calls) and ReDoc (to read).
 * Everything is served from here under a strict policy; the readers are vendored, see views/assets/vendor/README.md.
 */
import { createHash } from 'node:crypto'
import type Router from '@koa/router'
import type { Context } from 'koa'
import { opaqueId } from '../ids.ts'
import type { Assets } from './assets.ts'
import type { OpenApiDocument } from './openapi.ts'
import { contentSecurityPolicy } from './security-headers.ts'

const PATH = '/docs'

/** Where an authorization of the Authorize button returns to. */
export const docsCallback = (issuer: string): string => `${issuer}${PATH}/oauth2-redirect`

/** Serves the description, made once, to every origin: it holds nothing that is not public. */
export function mountDescription(router: Router, { describe }: { describe(): OpenApiDocument }): void {
  const body = Buffer.from(JSON.stringify(describe()))
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`

  router.get('/openapi.json', function showDescription(ctx) {
    ctx.set('Access-Control-Allow-Origin', '*')
    ctx.set('Cache-Control', 'public, max-age=300')
    ctx.set('ETag', etag)
    ctx.status = 200
    if (ctx.fresh) ctx.status = 304
    else {
      ctx.type = 'application/json'
      ctx.body = body
    }
  })
}

export interface DocsDeps {
  assets: Pick<Assets, 'urlOf'>
  issuer: string
  /** The client of the Authorize button. */
  clientId: string
}

/** Serves the two readers. */
export function mountDocs(router: Router, { assets: { urlOf }, issuer, clientId }: DocsDeps): void {
  const callback = docsCallback(issuer)
  const swagger = page({
    title: 'API – Usher',
    styles: [urlOf('swagger-ui.css')],
    scripts: [urlOf('swagger-ui-bundle.js'), urlOf('docs.js')],
    data: { client: clientId, redirect: callback },
  })
  const redirect = page({ title: 'Authorize – Usher', styles: [], scripts: [urlOf('docs-redirect.js')], data: {} })
  const redoc = (nonce: string) =>
    page({
      title: 'API reference – Usher',
      styles: [],
      scripts: [urlOf('redoc.standalone.js'), urlOf('docs-reference.js')],
      data: { nonce },
    })

  router.get(PATH, (ctx) => send(ctx, swagger))
  router.get(new URL(callback).pathname, (ctx) => send(ctx, redirect))
  router.get('/redoc', function showReference(ctx) {
    const nonce = opaqueId(128)
    ctx.set('Content-Security-Policy', contentSecurityPolicy({ styleNonce: nonce, ...REDOC_POLICY }))
    send(ctx, redoc(nonce))
  })
}

/**
 * ReDoc writes its style sheets itself, with the nonce it is given; one, that of its tabs, comes before it has read its
 * options, empty at first, so they are named by their hashes. Its search works in a worker that it makes of a blob.
 */
const REDOC_POLICY = {
  styleHashes: [
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
    'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc=',
  ],
  blobWorkers: true,
}

function send(ctx: Context, html: string): void {
  ctx.set('Cache-Control', 'no-store')
  ctx.type = 'text/html; charset=utf-8'
  ctx.body = html
}

interface Frame {
  title: string
  styles: readonly string[]
  scripts: readonly string[]
  /** For the scripts, as data attributes: no script stands in the page. */
  data: Readonly<Record<string, string>>
}

const page = ({ title, styles, scripts, data }: Frame): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${styles.map((href) => `<link rel="stylesheet" href="${href}">`).join('\n')}
</head>
<body>
<div id="docs"${Object.entries(data)
  .map(([name, value]) => ` data-${name}="${escaped(value)}"`)
  .join('')}></div>
${scripts.map((src) => `<script src="${src}" defer></script>`).join('\n')}
</body>
</html>
`

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
