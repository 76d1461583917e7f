import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

/** A file may import rooms of earlier rows and its own room; rooms of one row are strangers. */
const ROWS = [
  ['errors', 'config', 'clock', 'ids', 'keyed-digest', 'i18n', 'audit-event'],
  ['observability'],
  ['storage'],
  ['mail', 'limits'],
  ['codes'],
  ['http'],
  ['accounts'],
  ['access', 'sessions', 'password-reset', 'federation', 'passkeys', 'mfa'],
  ['clients', 'teams', 'audit'],
  ['visibility'],
  ['oidc'],
  ['admin', 'verifier', 'demo'],
  ['compose'],
  ['app'],
  ['first-start'],
  ['banner'],
  ['server'],
  ['cli'],
]

/** From another room only root files may import these. */
const PRIVATE = /(^|[-/])(routes|pages|schemas|store)\.ts$/

const HOMES: [library: RegExp, home: RegExp][] = [
  [/^oidc-provider/, /^oidc\//],
  [/^(koa|@koa\/.*|koa-.*)$/, /(^|[-/])(routes|pages)\.ts$|^(http|oidc|demo)\/|^(app|server)\.ts$/],
  [/^kysely/, /-store\.ts$|^storage\//],
  [/^(ioredis|pg|@electric-sql\/.*)$/, /^storage\//],
  [/^(nodemailer|postal-mime)/, /^mail\//],
]

/** TypeScript 7 exports no compiler API; an expression finds every form of import the house style allows. */
const IMPORT = /(?:^|\n)\s*(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g

type Sources = ReadonlyMap<string, string>

const roomOf = (file: string): string => file.split('/')[0]?.replace(/\.ts$/, '') ?? ''
const rowOf = (file: string): number => ROWS.findIndex((row) => row.includes(roomOf(file)))
const isRootFile = (file: string): boolean => !file.includes('/')

const importsOf = (source: string): string[] =>
  [...source.matchAll(IMPORT)].map(([, statement, call]) => statement ?? call ?? '')

const resolved = (file: string, specifier: string): string => posix.join(posix.dirname(file), specifier)

const withoutComments = (source: string): string => source.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*/g, '')

/** Everything in the sources that breaks the plan, one line each. Paths are relative to src/. */
function faultsOf(sources: Sources): string[] {
  const faults = [...sources].flatMap(([file, source]) => [
    ...(rowOf(file) < 0 ? [`${file} belongs to no room`] : []),
    ...importsOf(source).flatMap((specifier) =>
      specifier.startsWith('.')
        ? relativeFaults(sources, file, resolved(file, specifier))
        : libraryFaults(file, specifier),
    ),
    ...(file !== 'config.ts' && /\bprocess\.env\b/.test(withoutComments(source)) ? [`${file} reads process.env`] : []),
  ])
  return [...faults, ...cyclesIn(sources)]
}

function relativeFaults(sources: Sources, file: string, target: string): string[] {
  // Data of the project, such as the schema of the settings, lies beside src/.
  if (target.startsWith('../')) return target.endsWith('.json') ? [] : [`${file} imports ${target} outside src`]
  if (!sources.has(target)) return [`${file} imports ${target}, which does not exist`]
  const isForeign = roomOf(file) !== roomOf(target)
  return [
    ...(isForeign && rowOf(target) >= rowOf(file) ? [`${file} may not import ${target}: wrong direction`] : []),
    ...(isForeign && PRIVATE.test(target) && !joinsRooms(file) ? [`${file} imports the private ${target}`] : []),
    ...(isForeign && roomOf(target) === 'oidc' && !mayUseEngineRoom(file) ? [`${file} imports the engine's room`] : []),
    ...(isForeign && roomOf(file) === 'verifier' && target !== 'access/policy-expression.ts'
      ? [`${file} imports ${target}: the verifier stands alone`]
      : []),
  ]
}

const joinsRooms = (file: string): boolean => isRootFile(file) || roomOf(file) === 'compose'
const mayUseEngineRoom = (file: string): boolean => roomOf(file) === 'compose'

function libraryFaults(file: string, library: string): string[] {
  return HOMES.filter(([pattern, home]) => pattern.test(library) && !home.test(file)).map(
    () => `${file} imports ${library} outside its home`,
  )
}

/** Cycles between files, those of type imports included. */
function cyclesIn(sources: Sources): string[] {
  const done = new Set<string>()
  const faults: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      faults.push(`cycle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
      return
    }
    if (done.has(file)) return
    for (const specifier of importsOf(sources.get(file) ?? '')) {
      if (specifier.startsWith('.')) visit(resolved(file, specifier), [...path, file])
    }
    done.add(file)
  }
  for (const file of sources.keys()) visit(file, [])
  return faults
}

function readSources(): Sources {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  return new Map(files.map((file) => [file.replaceAll('\\', '/'), readFileSync(join(SRC, file), 'utf8')]))
}

describe('the architecture', () => {
  const sources = readSources()

  it('keeps rooms, directions, private files and libraries apart, without a cycle', () => {
    expect(faultsOf(sources)).to.deep.equal([])
  })

  it('imports only data that exists from beside src', () => {
    for (const [file, source] of sources) {
      for (const specifier of importsOf(source).filter((name) => resolved(file, name).startsWith('../'))) {
        if (specifier.startsWith('.')) expect(existsSync(join(SRC, dirname(file), specifier)), specifier).to.equal(true)
      }
    }
  })

  /** Each would be a fault; a check that finds none of them checks nothing. */
  const seeds: [name: string, file: string, source: string, fault: RegExp][] = [
    [
      'an import of a lower row',
      'storage/seed.ts',
      "import { x } from '../accounts/seed-target.ts'",
      /wrong direction/,
    ],
    ['an import between strangers', 'mail/seed.ts', "import { x } from '../limits/seed-target.ts'", /wrong direction/],
    ['a type import of a lower row', 'clock.ts', "import type { X } from './storage/tables.ts'", /wrong direction/],
    ['a re-export', 'errors.ts', "export { x } from './accounts/seed-target.ts'", /wrong direction/],
    ['an import()', 'ids.ts', "const x = await import('./accounts/seed-target.ts')", /wrong direction/],
    ['a side-effect import', 'ids.ts', "import './accounts/seed-target.ts'", /wrong direction/],
    ['a private file of another room', 'oidc/seed.ts', "import { x } from '../access/role-store.ts'", /private/],
    ['the engine room from elsewhere', 'cli/seed.ts', "import { x } from '../oidc/seed-target.ts'", /engine's room/],
    ['the engine outside its home', 'accounts/seed.ts', "import Provider from 'oidc-provider'", /outside its home/],
    ['Koa in a use case', 'accounts/seed.ts', "import type { Context } from 'koa'", /outside its home/],
    ['SQL in a use case', 'accounts/seed.ts', "import { sql } from 'kysely'", /outside its home/],
    ['a mail library outside mail', 'accounts/seed.ts', "import { createTransport } from 'nodemailer'", /its home/],
    ['a driver outside storage', 'limits/seed.ts', "import { Redis } from 'ioredis'", /outside its home/],
    ['the environment outside config', 'mail/seed.ts', 'const port = process.env.PORT', /process\.env/],
    ['an unknown room', 'utils/seed.ts', '', /belongs to no room/],
    ['a missing file', 'accounts/seed.ts', "import { x } from './nowhere.ts'", /does not exist/],
    ['a use case in the verifier', 'verifier/seed.ts', "import { x } from '../access/seed-target.ts'", /stands alone/],
    ['a cycle of types', 'accounts/seed.ts', "import type { X } from './seed-target.ts'", /cycle/],
  ]
  for (const [name, file, source, fault] of seeds) {
    it(`finds ${name}`, () => {
      const seeded = new Map([
        ...sources,
        ['accounts/seed-target.ts', "import type { Y } from './seed.ts'"],
        ['accounts/seed.ts', ''],
        ['access/role-store.ts', ''],
        ['access/seed-target.ts', ''],
        ['limits/seed-target.ts', ''],
        ['oidc/seed-target.ts', ''],
        ['storage/tables.ts', ''],
        [file, source],
      ] satisfies [string, string][])
      expect(faultsOf(seeded).join('\n')).to.match(fault)
      expect(faultsOf(seeded).length).to.be.greaterThan(faultsOf(sources).length)
    })
  }
})
