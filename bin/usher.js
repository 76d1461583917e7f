#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { run } from './runtime.js'

await run(fileURLToPath(new URL('../src/cli/main.ts', import.meta.url)), process.argv.slice(2))
