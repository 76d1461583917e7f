/** Everything that is held about an account, for its owner to take away. */
import { AppError } from '../errors.ts'
import type { Accounts } from './accounts.ts'
import { presentAccount, presentSignIn } from './presentation.ts'
import type { SignIn } from './sign-in.ts'
import type { SignIns } from './sign-ins.ts'

const PAGE = 100
/** Limits on sign-ins keep a history far below this. */
const MAX_SIGN_INS = 10_000

export interface AccountExportDeps {
  accounts: Pick<Accounts, 'findById'>
  signIns: Pick<SignIns, 'list'>
  /** What other rooms hold, by the name it gets in the document. */
  parts: Readonly<Record<string, (accountId: string) => Promise<unknown>>>
}

export type AccountExport = ReturnType<typeof createAccountExport>

export function createAccountExport({ accounts, signIns, parts }: AccountExportDeps) {
  async function historyOf(accountId: string): Promise<SignIn[]> {
    const history: SignIn[] = []
    let page: SignIn[]
    do {
      page = await signIns.list(accountId, { before: history.at(-1)?.id, limit: PAGE })
      history.push(...page)
    } while (page.length === PAGE && history.length < MAX_SIGN_INS)
    return history
  }

  /** The document, ready to be written as JSON. Throws not_found (404), Unavailable (503). */
  return async function exportAccount(accountId: string): Promise<Record<string, unknown>> {
    const account = await accounts.findById(accountId)
    if (!account) throw new AppError('not_found', 404, 'There is no such account.')
    const entries = await Promise.all(Object.entries(parts).map(async ([name, read]) => [name, await read(accountId)]))
    return {
      account: { ...presentAccount(account), has_password: account.passwordHash !== undefined },
      ...Object.fromEntries(entries),
      sign_ins: (await historyOf(accountId)).map(presentSignIn),
    }
  }
}
