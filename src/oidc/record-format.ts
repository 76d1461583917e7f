/** Stored values begin with a version byte, so that two releases can run side by side over one store. */
const VERSION = '1'

export const encodeRecord = (value: object): string => VERSION + JSON.stringify(value)

/** The stored object; undefined when there is none or its version is not known here. */
export function decodeRecord<T extends object>(stored: string | undefined): T | undefined {
  if (stored === undefined || !stored.startsWith(VERSION)) return undefined
  return JSON.parse(stored.slice(VERSION.length)) as T // written by encodeRecord of the same version
}
