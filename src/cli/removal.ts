/** What commands that delete have in common: the question before it, and what they say when something is in use. */
import type { Command } from 'commander'
import { UsageError } from './failure.ts'
import { confirmed } from './prompt.ts'

export interface RemovalOptions {
  force?: boolean
  yes?: boolean
}

export const withRemovalOptions = (command: Command, meaningOfForce: string): Command =>
  command.option('--force', meaningOfForce).option('--yes', 'do not ask')

/** Throws UsageError when somebody at a terminal says no. */
export async function agreed(question: string, yes: boolean | undefined): Promise<void> {
  if (!yes && !(await confirmed(question))) throw new UsageError('cancelled')
}

/** A refusal of what is in use says by whom, and in the words of the command line. */
export async function sayingWhoNeedsIt<T>(removal: Promise<T>): Promise<T> {
  try {
    return await removal
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'in_use')) throw error
    const faults = 'faults' in error && Array.isArray(error.faults) ? error.faults : []
    const lines = [
      error.message.replace(/\b(force=true|force)\b/, '--force'),
      ...faults.map(({ message }) => `it ${message}`),
    ]
    throw new Error(lines.join('\n'), { cause: error })
  }
}
