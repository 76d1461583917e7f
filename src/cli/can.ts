import type { Command } from 'commander'
import type { PolicyExpression } from '../access/policy-expression.ts'
import type { Core } from '../compose/core.ts'
import { examples } from './examples.ts'
import { UsageError } from './failure.ts'
import { printJson } from './output.ts'
import { withCore } from './with-core.ts'

/** Whoever has not signed in; src/access/role.ts has the name, and is not loaded for it. */
const NOBODY = 'non_registered'

interface Options {
  explain?: boolean
  json?: boolean
}

export function addCan(program: Command): void {
  program
    .command('can')
    .description('Say whether an account holds a permission: yes (exit code 0) or no (1), and why')
    .argument('<account>', `its e-mail address, username or id; ${NOBODY} for whoever has not signed in`)
    .argument('<query>', 'the key of a permission, or {"any": […]} or {"all": […]}, nested')
    .option('--explain', 'say which roles and teams gave it, or what is missing')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'usher can ada@example.org movies:edit --explain',
        `usher can ada '{"all": ["movies:view", {"any": ["movies:edit", "movies:admin"]}]}'`,
      ),
    )
    .action(can)
}

async function can(login: string, query: string, { explain = false, json }: Options): Promise<void> {
  const expression = await parsed(query)
  const { answer, roles, unknown } = await withCore(async (core) => {
    const id = await subjectCalled(core, login)
    const answer = await core.decisions.answer(id, expression, { isExplained: explain })
    if (!answer.explanation) return { answer, roles: [], unknown: [] }
    const unknown = await unknownAmong(core, answer.explanation.missing)
    return { answer, roles: await core.decisions.authorizedRoles(id), unknown }
  })
  // A script must tell "no" from "it could not be asked", which says why on the error output.
  process.exitCode = answer.valid ? 0 : 1
  if (json) return printJson({ valid: answer.valid, ...(answer.explanation && { ...answer.explanation, roles }) })
  console.log(answer.valid ? 'yes' : 'no')
  if (!answer.explanation) return
  const { treeOf } = await import('./explanation-tree.ts')
  for (const line of treeOf(answer.explanation, { roles, unknown })) console.log(line)
}

async function parsed(query: string): Promise<PolicyExpression> {
  const { parseQuery } = await import('../access/policy-expression.ts')
  const result = parseQuery(query)
  if (result.ok) return result.expression
  const faults = result.faults.map(({ pointer, message }) => `${pointer === '' ? '' : `${pointer} `}${message}`)
  throw new UsageError(faults.map((fault) => `the query ${fault}`).join('\n'))
}

/** A question may name what nobody has made: an account holds none of it, and the reason is a slip of the pen. */
async function unknownAmong({ access }: Core, keys: readonly string[]): Promise<string[]> {
  const unknown = []
  for (const key of keys) if (!(await access.permissions.findByKey(key))) unknown.push(key)
  return unknown
}

async function subjectCalled({ accounts }: Core, login: string): Promise<string> {
  if (login === NOBODY) return NOBODY
  const account = (await accounts.findById(login)) ?? (await accounts.findByLogin(login))
  if (!account) throw new UsageError(`there is no account ${login}`)
  return account.id
}
