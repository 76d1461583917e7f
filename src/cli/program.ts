/** All commands. Each file adds its own and loads what it needs only when it runs, so that help answers at once. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { addAccount } from './account.ts'
import { addApply } from './apply.ts'
import { addCan } from './can.ts'
import { addClient } from './client.ts'
import { addConfig } from './config.ts'
import { addDocs } from './docs.ts'
import { examples } from './examples.ts'
import { addExport } from './export.ts'
import { addInit } from './init.ts'
import { addKeys } from './keys.ts'
import { addMigrate } from './migrate.ts'
import { addPermission } from './permission.ts'
import { addRole } from './role.ts'
import { addServe } from './serve.ts'
import { addSuperuser } from './superuser.ts'
import { addTeam } from './team.ts'

const versionOf = (): string => JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version

export function createProgram(): Command {
  const program = new Command('usher')
    .description('OAuth 2.0 and OpenID Connect authorization server')
    .version(versionOf(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'usher: ')) })
    .exitOverride()
  for (const add of [
    addServe,
    addMigrate,
    addInit,
    addSuperuser,
    addAccount,
    addClient,
    addRole,
    addPermission,
    addTeam,
    addCan,
    addKeys,
    addApply,
    addExport,
    addConfig,
    addDocs,
  ])
    add(program)
  return program.addHelpText(
    'after',
    `${examples('usher serve', 'usher client create --help')}
Settings are USHER_ variables, also from a file .env in the working folder: see "usher config print" and docs/configuration.md.
Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong settings.`,
  )
}
