/** Questions are asked on a terminal only; every answer can also be given by an option. */
import { readFileSync } from 'node:fs'
import { UsageError } from './failure.ts'

const isInteractive = (): boolean => Boolean(process.stdin.isTTY && process.stdout.isTTY)

/** The value of an option, or the answer to a question. */
export async function required(value: string | undefined, option: string, question: string): Promise<string> {
  if (value !== undefined) return value
  return await answer(option, async ({ text }) => await text({ message: question, validate: refuseNothing }))
}

/** As `required`, without showing what is typed. */
export async function requiredSecret(value: string | undefined, option: string, question: string): Promise<string> {
  if (value !== undefined) return value
  return await answer(option, async ({ password }) => await password({ message: question, validate: refuseNothing }))
}

/** The value of an option, or one of a list. */
export async function chosen<T extends string>(
  value: T | undefined,
  choices: readonly T[],
  option: string,
  question: string,
): Promise<T> {
  if (value !== undefined) return value
  const options = choices.map((choice) => ({ value: choice as string, label: choice }))
  const reply = await answer(option, async ({ select }) => await select({ message: question, options }))
  const choice = choices.find((name) => name === reply)
  if (choice === undefined) throw new UsageError(`${option} must be one of ${choices.join(', ')}`)
  return choice
}

/** A yes is needed before something is lost; off a terminal the command itself is the yes. */
export async function confirmed(question: string): Promise<boolean> {
  if (!isInteractive()) return true
  const { confirm } = await import('@clack/prompts')
  return (await confirm({ message: question, initialValue: false })) === true
}

type Prompts = typeof import('@clack/prompts')

async function answer(option: string, ask: (prompts: Prompts) => Promise<string | symbol>): Promise<string> {
  if (!isInteractive()) throw new UsageError(`${option} is needed`)
  const reply = await ask(await import('@clack/prompts'))
  if (typeof reply === 'symbol') throw new UsageError('cancelled')
  return reply
}

const refuseNothing = (value: string | undefined): string | undefined => (value ? undefined : 'Please type something.')

/**
 * A secret from its option or from a file (`-`: standard input), whose last line end does not count.
 * @throws UsageError when both are given or the file cannot be read
 */
export function secretFrom(value: string | undefined, path: string | undefined, option: string): string | undefined {
  if (path === undefined) return value
  if (value !== undefined) throw new UsageError(`give ${option} or ${option}-file, not both`)
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').replace(/\r?\n$/, '')
  } catch {
    throw new UsageError(`${option}-file cannot be read: ${path}`)
  }
}
