/** JSON Schema 2020-12, as routes declare it. */
export type Schema = Readonly<Record<string, unknown>> | boolean

/** An object schema; it must refuse additional properties, so that a misspelt or forged member never passes silently. */
export interface BodySchema {
  readonly type: 'object'
  readonly additionalProperties: false
  readonly properties: Readonly<Record<string, object>>
  readonly required?: readonly string[]
}
