/**
 * The question put to a policy decision: a permission key, `{"any": […]}` or `{"all": […]}`, nested. Pure, and without
 * any import, because resource services answer the same question from the claims of a token.
 */

/** A parsed question; parseExpression and parseQuery make it. */
export type PolicyExpression = string | AnyOf | AllOf

/** Met when one of these is. */
export interface AnyOf {
  readonly any: readonly PolicyExpression[]
}

/** Met when each of these is. */
export interface AllOf {
  readonly all: readonly PolicyExpression[]
}

export interface ExpressionFault {
  /** RFC 6901; empty for the whole question. */
  pointer: string
  message: string
}

export type ParsedExpression = { ok: true; expression: PolicyExpression } | { ok: false; faults: ExpressionFault[] }

/** How many `any` and `all` may stand within one another. */
export const MAX_DEPTH = 16

/** How many keys, `any` and `all` there may be in one question. */
export const MAX_NODES = 1_000

/** Whoever holds this permission holds every other. */
const EVERYTHING = 'all_all'

const MAX_FAULTS = 10
const LONGEST_NAME = 100
// As the keys of permissions are when they are made.
const KEY = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/

/** What a walk through a question has found so far. */
interface Walk {
  nodes: number
  faults: ExpressionFault[]
}

/**
 * Reads a question out of any value. What it answers is a copy of own members only: nothing inherited is believed, and
 * nothing changes afterwards. It looks at no more than MAX_NODES values, however large the input is.
 */
export function parseExpression(value: unknown): ParsedExpression {
  const walk: Walk = { nodes: 1, faults: [] }
  const expression = read(value, '', 0, walk)
  return expression === undefined || walk.faults.length > 0
    ? { ok: false, faults: walk.faults }
    : { ok: true, expression }
}

/** Reads a question as it comes in an address: a key as it is, or JSON. */
export function parseQuery(text: string): ParsedExpression {
  if (KEY.test(text)) return { ok: true, expression: text }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, faults: [{ pointer: '', message: 'must be the key of a permission, or JSON' }] }
  }
  return parseExpression(value)
}

/** Whether a question is met by what is held. */
export function evaluate(expression: PolicyExpression, holds: (key: string) => boolean): boolean {
  if (typeof expression === 'string') return holds(expression)
  const parts = partsOf(expression)
  // The conjunction of nothing would be true, and nothing may be permitted by leaving something out.
  if (parts.length === 0) return false
  return isAny(expression) ? parts.some((part) => evaluate(part, holds)) : parts.every((part) => evaluate(part, holds))
}

/** Whether a question is met by a set of permissions; `all_all` meets every one. */
export const satisfies = (expression: PolicyExpression, held: ReadonlySet<string>): boolean =>
  held.has(EVERYTHING) || evaluate(expression, (key) => held.has(key))

/** The questions within `any` or `all`. */
export const partsOf = (expression: AnyOf | AllOf): readonly PolicyExpression[] =>
  isAny(expression) ? expression.any : expression.all

export const isAny = (expression: AnyOf | AllOf): expression is AnyOf => Object.hasOwn(expression, 'any')

// Goes no deeper than MAX_DEPTH, so the stack is never at stake.
function read(value: unknown, pointer: string, depth: number, walk: Walk): PolicyExpression | undefined {
  if (typeof value === 'string') {
    return KEY.test(value) ? value : fault(walk, pointer, 'must be a key: 1 to 100 of A-Z a-z 0-9 _ . : -')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fault(walk, pointer, 'must be the key of a permission, {"any": […]} or {"all": […]}')
  }
  if (depth === MAX_DEPTH) return fault(walk, pointer, `must not be nested more than ${MAX_DEPTH} deep`)
  const operator = operatorOf(value, pointer, walk)
  if (operator === undefined) return undefined
  const parts = readParts(ownValue(value, operator), `${pointer}/${operator}`, depth + 1, walk)
  if (parts === undefined) return undefined
  return operator === 'any' ? Object.freeze({ any: parts }) : Object.freeze({ all: parts })
}

function operatorOf(value: object, pointer: string, walk: Walk): 'any' | 'all' | undefined {
  const names = Reflect.ownKeys(value)
  const stray = names.find((name) => name !== 'any' && name !== 'all')
  if (stray !== undefined) return fault(walk, `${pointer}${segment(stray)}`, 'is not known here: there is any, and all')
  if (names.length !== 1) return fault(walk, pointer, 'must have exactly one member, any or all')
  return names[0] === 'any' ? 'any' : 'all'
}

function readParts(
  value: unknown,
  pointer: string,
  depth: number,
  walk: Walk,
): readonly PolicyExpression[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return fault(walk, pointer, 'must be a list with something in it')
  walk.nodes += value.length
  if (walk.nodes > MAX_NODES) return fault(walk, pointer, `must not have more than ${MAX_NODES} parts in all`)
  const parts: PolicyExpression[] = []
  for (let index = 0; index < value.length && walk.faults.length < MAX_FAULTS; index += 1) {
    const part = read(ownValue(value, `${index}`), `${pointer}/${index}`, depth, walk)
    if (part !== undefined) parts.push(part)
  }
  return Object.freeze(parts)
}

/** What stands there itself: an accessor could answer differently the second time. */
const ownValue = (value: object, name: string): unknown => Object.getOwnPropertyDescriptor(value, name)?.value

/** A name in a pointer: "~" is "~0" and "/" is "~1" (RFC 6901, section 3). */
function segment(name: string | symbol): string {
  if (typeof name === 'symbol' || name.length > LONGEST_NAME) return ''
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

function fault(walk: Walk, pointer: string, message: string): undefined {
  if (walk.faults.length < MAX_FAULTS) walk.faults.push({ pointer, message })
}
