import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, parse } from 'node:path'
import type Router from '@koa/router'

export interface Assets {
  /** The address of a file by its plain name; it changes with the content. Throws for a file that is not there. */
  urlOf(name: string): string
  find(fileName: string): Asset | undefined
}

interface Asset {
  body: Buffer
  type: string
  etag: string
}

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
}

/** Reads the style sheet, script and images of the pages once; they are small and never change while running. */
export function loadAssets(dir: string): Assets {
  const urls = new Map<string, string>()
  const files = new Map<string, Asset>()
  for (const name of readdirSync(dir)) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const body = readFileSync(join(dir, name))
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
    ctx.set('ETag', asset.etag)
    ctx.status = 200
    if (ctx.fresh) {
      ctx.status = 304
      return
    }
    ctx.type = asset.type
    ctx.body = asset.body
  })
}
