/**
 * Makes the package @usher/verifier: Node refuses to strip types below node_modules, so what services install is plain
 * JavaScript with declarations beside it. Runs on the Node that runs the server (`npm run pack:verifier`).
 *
 * Usage: node bin/runtime.js bin/pack-verifier.js [FOLDER]
 */
import { spawnSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SRC = join(ROOT, 'src')
const ENTRY = 'verifier/verifier.ts'
/** All that may go into the package. */
const OURS = /^(verifier\/[\w/-]+|access\/policy-expression)\.ts$/
const ALLOWED_LIBRARIES = /^(jose$|node:)/
const IMPORT = /(\bfrom\s+|\bimport\s*\(\s*|\bimport\s+)(['"])([^'"]+)\2/g

const folder = resolve(process.argv[2] ?? join(ROOT, 'dist/verifier'))

await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })
const sources = await filesFrom(ENTRY)
for (const [file, text] of sources) await write(`lib/${asJavaScript(file)}`, javascriptOf(text))
await writeDeclarations()
await writeManifest()
await cp(join(SRC, 'verifier/README.md'), join(folder, 'README.md'))
await cp(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
run('npm', ['pack', '--silent', '--pack-destination', folder, folder], { cwd: folder })
const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
console.log(join(folder, tarball ?? ''))

/** The entry and everything it imports, by their paths below src/. */
async function filesFrom(entry) {
  const found = new Map()
  const waiting = [entry]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue
    if (!OURS.test(file)) throw new Error(`${file} does not belong into the package.`)
    const text = await readFile(join(SRC, file), 'utf8')
    found.set(file, text)
    for (const [, , , specifier] of text.matchAll(IMPORT)) {
      if (specifier.startsWith('.')) waiting.push(relative(SRC, join(SRC, dirname(file), specifier)))
      else if (!ALLOWED_LIBRARIES.test(specifier)) throw new Error(`${file} imports ${specifier}.`)
    }
  }
  return found
}

function asJavaScript(path) {
  return path.replace(/\.ts$/, '.js')
}

function withJavaScriptImports(text) {
  return text.replace(IMPORT, (whole, keyword, quote, specifier) =>
    specifier.startsWith('.') ? `${keyword}${quote}${asJavaScript(specifier)}${quote}` : whole,
  )
}

function javascriptOf(text) {
  return withJavaScriptImports(stripTypeScriptTypes(text, { mode: 'strip' }))
}

async function writeDeclarations() {
  const config = join(folder, 'tsconfig.json')
  const compilerOptions = {
    ...{ noEmit: false, declaration: true, emitDeclarationOnly: true, rootDir: SRC, outDir: join(folder, 'lib') },
    // What Node 20 has: whatever is newer does not compile.
    ...{ target: 'es2023', lib: ['es2023'], types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
  }
  const project = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files: [join(SRC, ENTRY)] }
  await writeFile(config, JSON.stringify(project))
  run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '--project', config])
  await rm(config)
  for (const file of sources.keys()) {
    const path = `lib/${file.replace(/\.ts$/, '.d.ts')}`
    await write(path, withJavaScriptImports(await readFile(join(folder, path), 'utf8')))
  }
}

async function writeManifest() {
  const { version, license, dependencies, repository } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  const entry = `./lib/${ENTRY.replace(/\.ts$/, '')}`
  const manifest = {
    name: '@usher/verifier',
    version,
    description: 'Verifies access tokens of Usher inside a service, and knows at once what has been revoked',
    license,
    ...(repository ? { repository } : {}),
    type: 'module',
    engines: { node: '>=20' },
    exports: { '.': { types: `${entry}.d.ts`, default: `${entry}.js` }, './package.json': './package.json' },
    types: `${entry}.d.ts`,
    files: ['lib'],
    sideEffects: false,
    dependencies: { jose: `^${dependencies.jose}` },
  }
  await write('package.json', `${JSON.stringify(manifest, null, 2)}\n`)
}

async function write(path, text) {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), text)
}

function run(command, options, { cwd = ROOT } = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, options, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${options.join(' ')} failed:\n${error ?? ''}${stdout}${stderr}`)
}
