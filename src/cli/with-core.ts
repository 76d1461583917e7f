import type { Core, Stores } from '../compose.ts'

/**
 * Opens what the settings name, makes sure the schema is there, lends the use cases to a command, and closes all again.
 * While a server holds the embedded database this throws with its process id.
 */
export async function withCore<T>(work: (core: Core, stores: Stores) => Promise<T>): Promise<T> {
  const { loadConfig } = await import('../config.ts')
  const config = loadConfig()
  const { composeCore, keysOf, openStores } = await import('../compose.ts')
  const { bringSchemaUp } = await import('../server.ts')
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
