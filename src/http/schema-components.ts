/** Schemas that many routes share, said once: a schema with a title becomes a component, others stay where they are. */
import { isDeepStrictEqual } from 'node:util'
import type { Schema } from './schema.ts'

type Node = Readonly<Record<string, unknown>>

const ONE = new Set(['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames'])
const MANY = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const NAMED = new Set(['properties', 'patternProperties', 'dependentSchemas'])

export function createComponents() {
  const sources = new Map<string, Node>()
  const written = new Map<string, unknown>()

  /** Keywords that hold schemas are followed; what else may look like one (an example, a default) is data. */
  function converted(schema: Node): Node {
    const { $defs = {}, ...rest } = schema
    for (const [name, definition] of Object.entries($defs as Node)) register(name, definition as Node)
    return Object.fromEntries(
      Object.entries(rest).map(([keyword, value]) => {
        if (keyword === '$ref') return [keyword, String(value).replace(/^#\/\$defs\//, '#/components/schemas/')]
        if (ONE.has(keyword)) return [keyword, reference(value as Schema)]
        if (MANY.has(keyword)) return [keyword, (value as Schema[]).map(reference)]
        if (NAMED.has(keyword)) return [keyword, mapped(value as Record<string, Schema>)]
        return [keyword, value]
      }),
    )
  }

  const mapped = (schemas: Record<string, Schema>) =>
    Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, reference(schema)]))

  /** Two schemas of one name would lie about one of them: the second stays inline. */
  function register(name: string, schema: Node): boolean {
    const known = sources.get(name)
    if (known) return isDeepStrictEqual(known, schema)
    sources.set(name, schema)
    written.set(name, converted(schema))
    return true
  }

  function reference(schema: Schema): unknown {
    if (typeof schema === 'boolean') return schema
    const { title } = schema
    const isComponent = typeof title === 'string' && /^\w+$/.test(title) && register(title, schema)
    return isComponent ? { $ref: `#/components/schemas/${title}` } : converted(schema)
  }

  return {
    /** A schema as it is to be written: a reference, or the schema with references in it. */
    reference,

    /** The components met so far, by name. */
    schemas: (): Record<string, unknown> => Object.fromEntries([...written].sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}
