/** Keys and descriptions in bodies and answers, as checkKeyAndDescription takes them, as JSON Schema. */

export const KEY = {
  type: 'string',
  minLength: 1,
  maxLength: 100,
  description: 'Of A-Z a-z 0-9 _ . : -; never changes.',
}

export const DESCRIPTION = { type: 'string', maxLength: 500 }
