import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, extname, join, parse } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type Router from '@koa/router'

export interface Assets {
  /** The address of a file by its plain name; it changes with the content. Throws for a file that is not there. */
  urlOf(name: string): string
  find(fileName: string): Asset | undefined
}

interface Asset {
  body: Buffer
  /** Compressed when it is first asked for, where that is worth it. */
  gzipped?: Promise<Buffer>
  type: string
  etag: string
}

const WORTH_COMPRESSING_BYTES = 64 * 1024
const compressed = promisify(gzip)

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
}

/** Reads the style sheets, scripts and images of the pages once, vendored ones included; they never change while running. */
export function loadAssets(dir: string): Assets {
  const urls = new Map<string, string>()
  const files = new Map<string, Asset>()
  for (const path of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const name = basename(path)
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const body = readFileSync(join(dir, path))
    const hash = createHash('sha256').update(body).digest('base64url').slice(0, 12)
    const { name: stem, ext } = parse(name)
    const fileName = `${stem}.${hash}${ext}`
    urls.set(name, `/assets/${fileName}`)
    files.set(fileName, { body, type, etag: `"${hash}"` })
  }
  return {
    urlOf(name) {
      const url = urls.get(name)
      if (url === undefined) throw new Error(`There is no asset named ${name} in ${dir}`)
      return url
    },
    find: (fileName) => files.get(fileName),
  }
}

/** Serves the assets for ever: their address carries a digest of the content. */
export function mountAssets(router: Router, assets: Assets): void {
  router.get('/assets/:file', async function serveAsset(ctx, next) {
    const asset = assets.find(ctx.params.file ?? '')
    if (!asset) return next()
    ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
    const isLarge = asset.body.length >= WORTH_COMPRESSING_BYTES
    if (isLarge) ctx.vary('Accept-Encoding')
    const isGzip = isLarge && ctx.acceptsEncodings('gzip') === 'gzip'
    ctx.set('ETag', isGzip ? asset.etag.replace(/"$/, '-gzip"') : asset.etag)
    ctx.status = 200
    if (ctx.fresh) {
      ctx.status = 304
      return
    }
    ctx.type = asset.type
    if (!isGzip) ctx.body = asset.body
    else {
      asset.gzipped ??= compressed(asset.body)
      ctx.set('Content-Encoding', 'gzip')
      ctx.body = await asset.gzipped
    }
  })
}
