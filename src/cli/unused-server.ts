/** The whole server, composed over empty stores of its own and asked by nobody: for what it says about itself. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeCore } from '../compose/core.ts'
import { keysOf } from '../compose/keys.ts'
import { openStores } from '../compose/stores.ts'
import { composeWeb } from '../compose/web.ts'
import { loadConfig } from '../config.ts'
import { createLogger } from '../observability/logger.ts'

export type UnusedServer = ReturnType<typeof composeWeb>

/** Lends it to a piece of work; afterwards nothing of it is left. Whatever the environment says, it is the same server. */
export async function withUnusedServer<T>(work: (server: UnusedServer) => T | Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'usher-unused-'))
  const config = loadConfig({
    USHER_ISSUER: 'https://id.example.com',
    USHER_DATA_DIR: join(dir, 'data'),
    USHER_KEYS_DIR: join(dir, 'keys'),
  })
  try {
    const stores = await openStores(config)
    try {
      const keyring = await keysOf(config).open()
      const logger = createLogger({ level: 'silent' })
      const core = composeCore({ config, stores, keyring })
      try {
        return await work(composeWeb({ config, stores, core, keyring, logger, isDraining: () => false }))
      } finally {
        await core.hashes.close()
      }
    } finally {
      await stores.close()
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
