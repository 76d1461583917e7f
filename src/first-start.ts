/**
 * The first start outside production leaves somebody who can sign in and something to sign in to: one superuser with a
 * random password and one public client. Both are said once. Production creates nobody and no client.
 */
import { randomBytes } from 'node:crypto'
import { SYSTEM } from './audit-event.ts'
import type { Core } from './compose/core.ts'
import type { Config } from './config.ts'
import { DEMO_CLIENT_ID, demoCallback, demoHome } from './demo/demo-client.ts'
import type { OpenDatabase } from './storage/database.ts'
import { claimOnce } from './storage/installation-store.ts'

const SUPERUSER_EMAIL = 'admin@example.org'

export interface FirstStart {
  email: string
  password: string
  clientId: string
}

export interface FirstStartDeps {
  core: Pick<Core, 'audit' | 'accounts' | 'access' | 'clients' | 'visibility'>
  config: Pick<Config, 'production' | 'issuer'>
  database: OpenDatabase
}

/** What was created by this very start; undefined at every later one and in production. */
export async function ensureFirstStart({ core, config, database }: FirstStartDeps): Promise<FirstStart | undefined> {
  if (config.production) return undefined
  await core.access.initialize()
  await core.visibility.initialize()
  if (!(await claimOnce(database.db, 'first_start'))) {
    await followIssuer(core, config.issuer)
    return undefined
  }
  await core.clients.ensure(demoClient(config.issuer))
  // Made from the command line before the first start: that account and its password are known to whoever made it.
  if (await core.accounts.findByLogin(SUPERUSER_EMAIL)) return undefined
  const password = randomBytes(15).toString('base64url')
  const person = { email: SUPERUSER_EMAIL, password, emailVerified: true }
  const account = await core.accounts.create(person, (executor, { id, email }) =>
    core.audit.record(executor, SYSTEM, {
      action: 'account.created',
      target: { kind: 'account', id },
      after: { id, email },
    }),
  )
  await core.access.assignRole(account.id, 'superuser')
  return { email: account.email, password, clientId: DEMO_CLIENT_ID }
}

const demoClient = (issuer: string) => ({
  id: DEMO_CLIENT_ID,
  name: 'Usher demo',
  type: 'spa' as const,
  firstParty: true,
  grantTypes: ['authorization_code', 'refresh_token', 'password'],
  redirectUris: [demoCallback(issuer)],
  postLogoutRedirectUris: [demoHome(issuer)],
  scopes: ['openid', 'profile', 'email', 'offline_access'],
})

/** Started on another port, the demonstration would come back to an address that is not registered. */
async function followIssuer({ clients }: Pick<Core, 'clients'>, issuer: string): Promise<void> {
  const client = await clients.find(DEMO_CLIENT_ID)
  if (client && !client.redirectUris.includes(demoCallback(issuer))) await clients.ensure(demoClient(issuer))
}
