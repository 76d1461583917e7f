/** Where the digests of live codes lie. */
import type { Ephemeral } from '../storage/ephemeral.ts'
import type { CodeForm } from './code-form.ts'

export interface CodeStoreOptions {
  ttlSeconds?: number
  maxTries?: number
}

export type CodeStore = ReturnType<typeof createCodeStore>

/** Codes live 10 minutes and bear 5 tries. */
export function createCodeStore(ephemeral: Ephemeral, { ttlSeconds = 600, maxTries = 5 }: CodeStoreOptions = {}) {
  // The forms lie apart: whoever burns a short code by guessing cannot burn a long one.
  const keyOf = (holder: string, form: CodeForm) => `otc:{${holder}}:${form}`
  const keysOf = (holder: string) => [keyOf(holder, 'short'), keyOf(holder, 'long')]

  return {
    ttlSeconds,

    /** Replaces whatever code the holder had. */
    async save(holder: string, form: CodeForm, digest: string): Promise<void> {
      await ephemeral.remove(keysOf(holder))
      await ephemeral.saveCode(keyOf(holder, form), digest, { ttlSeconds })
    },

    /** True once. */
    redeem: (holder: string, form: CodeForm, digest: string): Promise<boolean> =>
      ephemeral.redeemCode(keyOf(holder, form), digest, { maxTries }),

    async drop(holder: string): Promise<void> {
      await ephemeral.remove(keysOf(holder))
    },
  }
}
