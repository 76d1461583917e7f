/** Accounts and their history as the API shows them to their owner: every member by name, nothing else leaves. */
import { INSTANT } from '../http/schema.ts'
import type { Account } from './account.ts'
import type { SignIn } from './sign-in.ts'

const TEXT_OR_NULL = { type: ['string', 'null'] }

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

/** What presentAccount lists, as JSON Schema. */
export const accountMembers = {
  id: { type: 'string', format: 'uuid' },
  email: { type: 'string', format: 'email' },
  email_verified: { type: 'boolean' },
  username: TEXT_OR_NULL,
  first_name: TEXT_OR_NULL,
  last_name: TEXT_OR_NULL,
  locale: { ...TEXT_OR_NULL, description: 'BCP 47.' },
  profile: { type: 'object', description: 'Standard claims of OpenID Connect.' },
  attributes: { type: 'object', description: 'Whatever else applications keep about the person.' },
  created_at: INSTANT,
  updated_at: INSTANT,
}

export const presentSignIn = (entry: SignIn) => ({
  id: entry.id,
  outcome: entry.outcome,
  client_id: entry.clientId,
  ip: entry.address,
  user_agent: entry.userAgent,
  created_at: entry.at.toISOString(),
})
