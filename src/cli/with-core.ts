import type { Core } from '../compose/core.ts'
import type { Stores } from '../compose/stores.ts'

/**
 * Opens what the settings name, makes sure the schema is there, lends the use cases to a command, and closes all again.
 * While a server holds the embedded database this throws with its process id.
 */
export async function withCore<T>(work: (core: Core, stores: Stores) => Promise<T>): Promise<T> {
  const { loadConfig } = await import('../config.ts')
  const config = loadConfig()
  const { composeCore } = await import('../compose/core.ts')
  const { keysOf } = await import('../compose/keys.ts')
  const { bringSchemaUp, openStores } = await import('../compose/stores.ts')
  const keyring = await keysOf(config).open()
  const stores = await openStores(config)
  try {
    await bringSchemaUp(config, stores)
    const core = composeCore({ config, stores, keyring })
    try {
      return await work(core, stores)
    } finally {
      await core.hashes.close()
    }
  } finally {
    await stores.close()
  }
}
