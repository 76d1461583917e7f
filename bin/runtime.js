#!/usr/bin/env node
/**
 * Runs a TypeScript entry on a Node that can: the one at hand when it strips types and has native argon2 (24.7), else
 * the pinned one that `npm ci` has put beside the other packages. Plain JavaScript that Node 20 understands, because
 * it is what Node 20 runs.
 *
 * Usage: node bin/runtime.js ENTRY [ARGUMENT…]
 */
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const MINIMUM = [24, 7]
/** What `npm start` gives Node as well. */
const FLAGS = ['--max-semi-space-size=32']

function isCapable() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1] && Boolean(process.features.typescript))
}

/** The path of the pinned Node, or undefined when npm has not installed one for this platform. */
function pinnedNode() {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  try {
    const folder = dirname(nodeModule.createRequire(import.meta.url).resolve(`${name}/package.json`))
    const path = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    return existsSync(path) ? path : undefined
  } catch {
    return undefined
  }
}

/** Signals that a supervisor sends to this process alone are passed on; those of a terminal reach both anyway. */
function forwardSignals(child) {
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => process.stdin.isTTY || child.kill(signal))
}

function runOn(node, args) {
  const child = spawn(node, [...FLAGS, ...args], { stdio: 'inherit' })
  forwardSignals(child)
  child.on('error', (error) => refuse(`The pinned Node did not start (${error.message}).`))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal) // so that the caller sees the same end
  })
}

function refuse(reason) {
  console.error(`usher: ${reason} It needs Node ${MINIMUM.join('.')} or newer.
Either install Node 24 (https://nodejs.org) and run the same command with it,
or run "npm ci" without --omit=optional, which brings a pinned Node 24 for Linux, macOS (x64) and Windows.`)
  process.exit(1)
}

/** Node 24.7 to 24.11 say once per process that stripping types is experimental; users cannot act on it. */
function silenceTypeStrippingWarning() {
  const emitWarning = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    if (!String(warning).includes('Type Stripping')) emitWarning.call(process, warning, ...rest)
  }
}

/**
 * @param {string} entry path of a TypeScript file
 * @param {string[]} args what follows it on the command line
 */
export async function run(entry, args) {
  // Sign-in must not starve signing: the pool gets threads beyond those that hashing may hold. Read by libuv at its
  // first use, hence here, before anything else runs.
  process.env.UV_THREADPOOL_SIZE ??= String(availableParallelism() + 4)
  if (!isCapable()) {
    const node = pinnedNode()
    if (node === undefined) refuse(`This is Node ${process.versions.node}, and no pinned Node is installed.`)
    else runOn(node, [fileURLToPath(import.meta.url), entry, ...args])
    return
  }
  silenceTypeStrippingWarning()
  nodeModule.enableCompileCache?.(join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.cache/usher'))
  process.argv = [process.execPath, resolve(entry), ...args]
  await import(pathToFileURL(resolve(entry)).href)
}

// Called directly, also through a link to its folder, and not imported by usher.js.
const called = process.argv[1]
if (called !== undefined && existsSync(called) && realpathSync(called) === fileURLToPath(import.meta.url)) {
  const [entry, ...args] = process.argv.slice(2)
  if (entry === undefined) {
    console.error('usage: node bin/runtime.js ENTRY [ARGUMENT…]')
    process.exit(2)
  }
  await run(entry, args)
}
