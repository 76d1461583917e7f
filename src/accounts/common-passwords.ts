/** The list of common passwords that is shipped with the server; its source stands at its head. */
import { readFileSync } from 'node:fs'

const FILE = new URL('./common-passwords.txt', import.meta.url)
const SHORTEST = 8
const LONGEST = 24
/** What is longer is in no list, whatever it is made of. */
const LONGEST_LOOKED_INTO = 64

export interface CommonPasswords {
  /**
   * Whether a password is a common one, or a common one repeated or lengthened by a few characters.
   * @param password in NFKC and lower case
   * @param fewer a remainder of fewer characters than this does not make a common password a good one
   */
  isMadeOfOne(password: string, fewer: number): boolean
}

/** Reads the list with the first password that is checked: most processes check none. */
export function createCommonPasswords(): CommonPasswords {
  let list: ReadonlySet<string> | undefined
  const isCommon = (text: string): boolean => {
    list ??= readList()
    return list.has(text)
  }

  return {
    isMadeOfOne(password, fewer) {
      if (isCommon(password)) return true
      if (password.length > LONGEST_LOOKED_INTO) return false
      if (unitsOf(password).some(isCommon)) return true
      return partsOf(password).some((part) => isCommon(part) && password.replaceAll(part, '').length < fewer)
    },
  }
}

function readList(): ReadonlySet<string> {
  const text = readFileSync(FILE, 'utf8')
  return new Set(text.slice(text.indexOf('\n\n') + 2).split('\n'))
}

/** What the text is a repetition of: "abcabc" of "abc". */
function unitsOf(text: string): string[] {
  const halves = Array.from({ length: Math.floor(text.length / 2) }, (_, index) => text.slice(0, index + 1))
  return halves.filter((unit) => text.length % unit.length === 0 && unit.repeat(text.length / unit.length) === text)
}

/** Everything within the text that is long enough to be a password by itself. */
function partsOf(text: string): string[] {
  const parts: string[] = []
  for (let start = 0; start + SHORTEST <= text.length; start += 1) {
    const last = Math.min(text.length, start + LONGEST)
    for (let end = start + SHORTEST; end <= last; end += 1) parts.push(text.slice(start, end))
  }
  return parts
}
