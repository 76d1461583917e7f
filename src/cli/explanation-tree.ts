/** Why a decision came out as it did, drawn as a tree: a line for each part of the question, and by what it is met. */
import type { ExplainedPart, Explanation, Source } from '../access/explanation.ts'

export interface Background {
  /** All that the account has. */
  roles: readonly string[]
  /** Keys that are the key of no permission. */
  unknown: readonly string[]
}

/** The lines, top to bottom. */
export function treeOf({ decision, missing }: Explanation, { roles, unknown }: Background): string[] {
  return [
    ...linesOf(decision, { here: '', below: '' }),
    ...(missing.length === 0 ? [] : [`Missing: ${missing.join(', ')}`]),
    ...unknown.map((key) => `There is no permission ${key}.`),
    `Roles of the account, with those they include: ${roles.length === 0 ? 'none' : roles.join(', ')}`,
  ]
}

interface Indent {
  here: string
  below: string
}

function linesOf(part: ExplainedPart, { here, below }: Indent): string[] {
  const verdict = part.valid ? 'yes' : 'no'
  if ('permission' in part) {
    const [first = 'nothing gives it', ...more] = part.by.map(sourceInWords(part.permission))
    const line = `${here}${part.permission}: ${verdict}, `
    return [`${line}${first}`, ...more.map((source) => `${below}${' '.repeat(line.length - here.length)}${source}`)]
  }
  return [
    `${here}${part.match} of: ${verdict}`,
    ...part.parts.flatMap((inner, index) => {
      const isLast = index === part.parts.length - 1
      return linesOf(inner, { here: `${below}${isLast ? '└─ ' : '├─ '}`, below: `${below}${isLast ? '   ' : '│  '}` })
    }),
  ]
}

const sourceInWords =
  (asked: string) =>
  ({ kind, permission, team, roles = [] }: Source): string => {
    const by = {
      direct: 'given directly',
      role: `by the role ${chain(roles)}`,
      team: `by the team ${team} with the role ${chain(roles)}`,
    }[kind]
    return permission === asked ? by : `${by}, which holds ${permission}`
  }

const chain = (roles: readonly string[]): string => roles.join(', which includes ')
