/** Accounts and their history as the API shows them to their owner: every member by name, nothing else leaves. */
import type { Account } from './account.ts'
import type { SignIn } from './sign-in.ts'

export const presentAccount = (account: Account) => ({
  id: account.id,
  email: account.email,
  email_verified: account.emailVerified,
  username: account.username ?? null,
  first_name: account.firstName ?? null,
  last_name: account.lastName ?? null,
  locale: account.locale ?? null,
  profile: account.profile,
  attributes: account.attributes,
  created_at: account.createdAt.toISOString(),
  updated_at: account.updatedAt.toISOString(),
})

export const presentSignIn = (entry: SignIn) => ({
  id: entry.id,
  outcome: entry.outcome,
  client_id: entry.clientId,
  ip: entry.address,
  user_agent: entry.userAgent,
  created_at: entry.at.toISOString(),
})
