import { expect } from 'chai'
import fc from 'fast-check'
import { ALL_ALL } from '../../src/access/permission.ts'
import {
  evaluate,
  MAX_DEPTH,
  MAX_NODES,
  type PolicyExpression,
  parseExpression,
  parseQuery,
  satisfies,
} from '../../src/access/policy-expression.ts'

const KEYS = ['movies:read', 'movies:edit', 'a', 'b.c', '0', 'Z_9-'] as const
const key = fc.constantFrom<string>(...KEYS)

/** Well-formed questions, no deeper than the limit. */
const { expression } = fc.letrec<{ expression: unknown; list: unknown[] }>((tie) => ({
  list: fc.array(tie('expression'), { minLength: 1, maxLength: 4 }),
  expression: fc.oneof(
    { depthSize: 'small', maxDepth: MAX_DEPTH },
    key,
    fc.record({ any: tie('list') }, { noNullPrototype: true }),
    fc.record({ all: tie('list') }, { noNullPrototype: true }),
  ),
}))
const holding = fc.uniqueArray(key).map((keys) => new Set(keys))

/** As the rules say it, written as plainly as possible. */
function naive(value: unknown, held: ReadonlySet<string>): boolean {
  if (typeof value === 'string') return held.has(value)
  const { any, all } = value as { any?: unknown[]; all?: unknown[] }
  let count = 0
  for (const part of any ?? all ?? []) if (naive(part, held)) count += 1
  return any ? count > 0 : count === all?.length
}

/** By de Morgan: any becomes all and all any. */
function dualOf(value: PolicyExpression): PolicyExpression {
  if (typeof value === 'string') return value
  return 'any' in value ? { all: value.any.map(dualOf) } : { any: value.all.map(dualOf) }
}

function parsed(value: unknown): PolicyExpression {
  const answer = parseExpression(value)
  if (!answer.ok) throw new Error(JSON.stringify(answer.faults))
  return answer.expression
}

const faultsOf = (value: unknown) => {
  const answer = parseExpression(value)
  return answer.ok ? [] : answer.faults
}

const pointerOf = (value: unknown) => faultsOf(value)[0]?.pointer

function nested(depth: number, innermost: unknown): unknown {
  let value = innermost
  for (let level = 0; level < depth; level += 1) value = level % 2 ? { any: [value] } : { all: [value] }
  return value
}

describe('policy expressions', () => {
  describe('of any well-formed question', () => {
    it('answer what the rules say', () => {
      fc.assert(
        fc.property(expression, holding, (value, held) => {
          expect(satisfies(parsed(value), held)).to.equal(naive(value, held))
        }),
        { numRuns: 500 },
      )
    })

    it('answer the opposite of the dual question on what is not held', () => {
      fc.assert(
        fc.property(expression, holding, (value, held) => {
          const question = parsed(value)
          const opposite = evaluate(dualOf(question), (name) => !held.has(name))
          expect(evaluate(question, (name) => held.has(name))).to.equal(!opposite)
        }),
        { numRuns: 500 },
      )
    })

    it('never turn false because more is held', () => {
      fc.assert(
        fc.property(expression, holding, holding, (value, held, more) => {
          if (satisfies(parsed(value), held)) expect(satisfies(parsed(value), held.union(more))).to.equal(true)
        }),
      )
    })

    it('are met by all_all alone, and by nothing when nothing is held', () => {
      fc.assert(
        fc.property(expression, (value) => {
          expect(satisfies(parsed(value), new Set([ALL_ALL]))).to.equal(true)
          expect(satisfies(parsed(value), new Set())).to.equal(false)
        }),
      )
    })

    it('read the same from a text', () => {
      fc.assert(
        fc.property(expression, (value) => {
          expect(parseQuery(JSON.stringify(value))).to.deep.equal(parseExpression(value))
        }),
      )
    })
  })

  describe('of anything else', () => {
    const malformed = fc.oneof(
      fc.anything({ withNullPrototype: true, withSparseArray: true, withMap: true, withBigInt: true }),
      fc.jsonValue(),
    )

    it('are never read as met, and say where the fault is', () => {
      fc.assert(
        fc.property(malformed, (value) => {
          const answer = parseExpression(value)
          if (answer.ok) expect(parsed(JSON.parse(JSON.stringify(answer.expression)))).to.deep.equal(answer.expression)
          else expect(answer.faults).to.not.be.empty
        }),
        { numRuns: 500 },
      )
    })

    it('are refused as soon as one part of them is malformed', () => {
      const poison = fc.constantFrom<unknown>({}, [], '', ' ', 'a b', 1, true, null, { any: [] }, { all: [] }, ['a'])
      const spoiled = fc.tuple(expression, poison, fc.boolean(), fc.boolean())
      fc.assert(
        fc.property(spoiled, ([value, bad, isAny, isFirst]) => {
          const parts = isFirst ? [bad, value] : [value, bad]
          expect(parseExpression(isAny ? { any: parts } : { all: parts }).ok).to.equal(false)
        }),
      )
    })

    const PLACES: [what: string, value: unknown, pointer: string][] = [
      ['nothing', undefined, ''],
      ['null', null, ''],
      ['a number', 1, ''],
      ['an empty text', '', ''],
      ['a key with a space', 'a b', ''],
      ['a key of 101 characters', 'a'.repeat(101), ''],
      ['a list', ['a'], ''],
      ['an empty object', {}, ''],
      ['both members', { any: ['a'], all: ['a'] }, ''],
      ['an empty any', { any: [] }, '/any'],
      ['an empty all', { all: [] }, '/all'],
      ['a text for a list', { all: 'a' }, '/all'],
      ['something like a list', { all: { length: 1, 0: 'a' } }, '/all'],
      ['an unknown member', { none: ['a'] }, '/none'],
      ['an unknown member beside a known one', { any: ['a'], 'a/b~c': 1 }, '/a~1b~0c'],
      ['a hole', { any: Object.assign(new Array(3), { 0: 'a', 2: 'b' }) }, '/any/1'],
      ['a fault deep within', { any: ['a', { all: ['b', { any: [1] }] }] }, '/any/1/all/1/any/0'],
      ['an inherited member', Object.create({ any: ['a'] }), ''],
      ['__proto__ in JSON', JSON.parse('{"__proto__":{"any":["a"]}}'), '/__proto__'],
      ['constructor in JSON', JSON.parse('{"constructor":{"any":["a"]}}'), '/constructor'],
      ['an accessor', Object.defineProperty({}, 'any', { get: () => ['a'], enumerable: true }), '/any'],
    ]
    for (const [what, value, pointer] of PLACES) {
      it(`refuse ${what} at "${pointer}"`, () => expect(pointerOf(value)).to.equal(pointer))
    }

    it('believe nothing that every object inherits', () => {
      // @ts-expect-error: what an attack on prototypes would leave behind
      Object.prototype.all = ['a']
      try {
        expect(pointerOf({})).to.equal('')
        expect(pointerOf({ any: [{}] })).to.equal('/any/0')
      } finally {
        // @ts-expect-error: as above
        delete Object.prototype.all
      }
    })

    it('refuse a text that is neither a key nor JSON', () => {
      for (const text of ['', '{', '{"any":["a"]', 'a b', "{'any':['a']}", '[]', '{}', '{"any":["a"]}x']) {
        expect(parseQuery(text), text).to.have.property('ok', false)
      }
    })
  })

  describe('have limits', () => {
    it('16 deep is read and right, 17 is not read', () => {
      const deepest = parsed(nested(MAX_DEPTH, 'a'))
      expect(satisfies(deepest, new Set(['a']))).to.equal(true)
      expect(satisfies(deepest, new Set(['b']))).to.equal(false)
      expect(pointerOf(nested(MAX_DEPTH + 1, 'a'))).to.match(/^(\/a(ny|ll)\/0){16}$/)
    })

    it('1,000 parts are read and right, 1,001 are not read', () => {
      const keys = Array.from({ length: MAX_NODES - 1 }, (_, index) => `k${index}`)
      expect(satisfies(parsed({ any: keys }), new Set(['k998']))).to.equal(true)
      expect(satisfies(parsed({ all: keys }), new Set(keys.slice(1)))).to.equal(false)
      expect(pointerOf({ any: [...keys, 'one more'] })).to.equal('/any')
      expect(pointerOf({ any: ['a', { all: [...keys.slice(2), 'b'] }] })).to.equal('/any/1/all')
    })

    it('10,000 deep and 100,000 wide are refused without reading them', () => {
      const looked = { times: 0 }
      const wide = new Proxy(new Array(100_000).fill('a'), {
        get(target, name) {
          looked.times += 1
          return Reflect.get(target, name)
        },
      })
      expect(pointerOf({ any: wide })).to.equal('/any')
      expect(looked.times).to.be.below(10)
      expect(faultsOf(nested(10_000, 'a'))).to.have.length(1)
      expect(parseQuery(`${'{"any":['.repeat(10_000)}"a"${']}'.repeat(10_000)}`).ok).to.equal(false)
      expect(faultsOf({ any: new Array(MAX_NODES - 1).fill({}) })).to.have.length(10)
    })
  })

  it('read a bare key, and a key as JSON', () => {
    expect(parseQuery('movies:edit')).to.deep.equal({ ok: true, expression: 'movies:edit' })
    expect(parseQuery('"movies:edit"')).to.deep.equal({ ok: true, expression: 'movies:edit' })
  })

  it('do not change with what they were read from', () => {
    const source = { any: ['a'] }
    const question = parsed(source)
    source.any[0] = 'b'
    expect(satisfies(question, new Set(['b']))).to.equal(false)
  })
})
