/** The same part, and a note of every call of its verbs: `calls` gets "<name>.<verb>". */
export const noting = <T extends object>(calls: string[], name: string, part: T): T =>
  new Proxy(part, {
    get(target, verb) {
      const value: unknown = Reflect.get(target, verb)
      if (typeof value !== 'function') return value
      return (...given: unknown[]) => {
        calls.push(`${name}.${String(verb)}`)
        return Reflect.apply(value, target, given)
      }
    },
  })
