/** JSON Schema 2020-12, as routes declare it. */
export type Schema = Readonly<Record<string, unknown>> | boolean

/** An object schema; it must refuse additional properties, so that a misspelt or forged member never passes silently. */
export interface BodySchema {
  readonly type: 'object'
  readonly additionalProperties: false
  readonly properties: Readonly<Record<string, object>>
  readonly required?: readonly string[]
}

/** A schema of an object that has all these members and no others; with a title it is a component of the description. */
export const objectOf = (properties: Readonly<Record<string, Schema>>, title?: string): Schema => ({
  ...(title === undefined ? {} : { title }),
  type: 'object',
  additionalProperties: false,
  required: Object.keys(properties),
  properties,
})

/** What a list answers: one page of these. */
export const pageSchemaOf = (item: Schema): Schema =>
  objectOf({
    items: { type: 'array', items: item },
    next_cursor: { type: ['string', 'null'], description: 'Where the next page begins; null on the last one.' },
  })

/** RFC 3339, in UTC. */
export const INSTANT: Schema = { type: 'string', format: 'date-time' }
