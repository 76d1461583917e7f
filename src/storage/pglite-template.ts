/**
 * A new embedded database, made once when the packages are installed and unpacked by every first start after that:
 * making one takes seconds, unpacking it a fraction of one. Without the file a start makes its own.
 */
import { existsSync, openAsBlob } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import manifest from '../../package.json' with { type: 'json' }

/** Named after the version that made it: another one makes its own. */
export const TEMPLATE = fileURLToPath(
  new URL(
    `../../node_modules/.cache/usher/pglite-${manifest.dependencies['@electric-sql/pglite']}.tar.gz`,
    import.meta.url,
  ),
)

/** Writes the template unless it is there. */
export async function prepareTemplate(path = TEMPLATE): Promise<void> {
  if (existsSync(path)) return
  const pglite = await PGlite.create()
  const dump = await pglite.dumpDataDir('gzip')
  await pglite.close()
  await mkdir(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}`
  await writeFile(draft, await dump.bytes())
  await rename(draft, path)
}

/** What PGlite is to unpack into a directory that holds no database yet; nothing when it must make one itself. */
export async function templateFor(directory: string, path = TEMPLATE): Promise<{ loadDataDir?: Blob }> {
  if (existsSync(`${directory}/PG_VERSION`) || !existsSync(path)) return {}
  return { loadDataDir: await openAsBlob(path) }
}
