/** Why a policy decision came out as it did: what each part of the question is, and by what each permission is held. */
import type { Database } from '../storage/tables.ts'
import type { ExplanationStore, Include } from './explanation-store.ts'
import { ALL_ALL } from './permission.ts'
import { evaluate, isAny, type PolicyExpression, partsOf } from './policy-expression.ts'

export interface ExplainDeps {
  db: Database
  store: ExplanationStore
}

/** By what a permission is held. */
export interface Source {
  kind: 'direct' | 'role' | 'team'
  /** The permission it is held through: itself, or `all_all`. */
  permission: string
  /** Of the team that gives the first role. */
  team?: string
  /** From the role the account has to the one that holds the permission, each including the next. */
  roles?: string[]
}

export type ExplainedPart =
  | { valid: boolean; permission: string; by: Source[] }
  | { valid: boolean; match: 'any' | 'all'; parts: ExplainedPart[] }

export interface Explanation {
  decision: ExplainedPart
  /** Of a question that is not met: permissions that would have to be held first. */
  missing: string[]
}

const MAX_SOURCES = 5
const MAX_MISSING = 10

export function createExplain({ db, store }: ExplainDeps) {
  /** `holds` is what the decision rested on; the sources are read now and may be a moment newer. */
  return async function explain(
    accountId: string,
    expression: PolicyExpression,
    holds: (key: string) => boolean,
  ): Promise<Explanation> {
    const sources = await sourcesOf(accountId.toLowerCase(), [...new Set(keysOf(expression)), ALL_ALL])
    const sourcesFor = (key: string): Source[] =>
      holds(key) ? [...(sources.get(key) ?? []), ...(sources.get(ALL_ALL) ?? [])].slice(0, MAX_SOURCES) : []
    return {
      decision: explained(expression, holds, sourcesFor),
      missing: [...new Set(missingOf(expression, holds))].slice(0, MAX_MISSING),
    }
  }

  async function sourcesOf(accountId: string, keys: readonly string[]): Promise<Map<string, Source[]>> {
    const [direct, roots] = await Promise.all([store.direct(db, accountId, keys), store.roots(db, accountId)])
    const roleKeys = await store.reached(db, [...new Set(roots.map(({ id }) => id))])
    const reached = [...roleKeys.keys()]
    const [includes, held] = await Promise.all([store.includes(db, reached), store.heldBy(db, reached, keys)])
    const sources = new Map<string, Source[]>(direct.map((key) => [key, [{ kind: 'direct', permission: key }]]))
    const heldByRole = Map.groupBy(held, ({ roleId }) => roleId)
    const includedBy = Map.groupBy(includes, ({ roleId }) => roleId)
    for (const { id, team } of roots) {
      for (const path of shortestPaths(id, includedBy)) {
        const roles = path.map((roleId) => roleKeys.get(roleId) ?? '')
        for (const { permission } of heldByRole.get(path.at(-1) ?? '') ?? []) {
          const origin = team === null ? { kind: 'role' as const } : { kind: 'team' as const, team }
          add(sources, { ...origin, permission, roles })
        }
      }
    }
    return sources
  }
}

function add(sources: Map<string, Source[]>, source: Source): void {
  const known = sources.get(source.permission) ?? []
  if (known.length < MAX_SOURCES) sources.set(source.permission, [...known, source])
}

/** To every role that a role reaches, one of the shortest ways; the nearest first. */
function shortestPaths(from: string, includedBy: ReadonlyMap<string, readonly Include[]>): string[][] {
  const paths = new Map([[from, [from]]])
  for (const [id, path] of paths) {
    for (const { includedId } of includedBy.get(id) ?? []) {
      if (!paths.has(includedId)) paths.set(includedId, [...path, includedId]) // and the loop comes to it
    }
  }
  return [...paths.values()]
}

const keysOf = (expression: PolicyExpression): string[] =>
  typeof expression === 'string' ? [expression] : partsOf(expression).flatMap(keysOf)

function explained(
  expression: PolicyExpression,
  holds: (key: string) => boolean,
  sourcesFor: (key: string) => Source[],
): ExplainedPart {
  const valid = evaluate(expression, holds)
  if (typeof expression === 'string') return { valid, permission: expression, by: sourcesFor(expression) }
  return {
    valid,
    match: isAny(expression) ? 'any' : 'all',
    parts: partsOf(expression).map((part) => explained(part, holds, sourcesFor)),
  }
}

/** Of `all` the first part that is not met, of `any` what each part lacks. */
function missingOf(expression: PolicyExpression, holds: (key: string) => boolean): string[] {
  if (evaluate(expression, holds)) return []
  if (typeof expression === 'string') return [expression]
  if (isAny(expression)) return partsOf(expression).flatMap((part) => missingOf(part, holds))
  const first = partsOf(expression).find((part) => !evaluate(part, holds))
  return first === undefined ? [] : missingOf(first, holds)
}
