/** What the operations of a tag are about. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  Session: 'Sign-in for applications of the house, as JSON; other applications use OAuth 2.0.',
  Registration: 'Accounts that people make themselves.',
  'Password reset': 'Back in without the password.',
  'My account': 'What people may do with their own account.',
  'My sessions': 'Where people are signed in, and ending it.',
  Accounts: 'Accounts of others, for administrators.',
  Permissions: 'What can be held.',
  Roles: 'Named sets of permissions; a role may include others.',
  Resources: 'Services whose permissions these are.',
  Decisions: 'What services ask: whether a token is good, and whether an account may.',
  Teams: 'Groups of accounts with roles of their own; a team stands below another.',
  'Visibility groups': 'Who sees whom.',
  Clients: 'The applications that may ask for tokens.',
  'Audit log': 'Who changed what, and when.',
}

/** In the order above; tags that are not known there follow. */
export const describeTags = (used: ReadonlySet<string>): { name: string; description?: string }[] => [
  ...Object.entries(DESCRIPTIONS)
    .filter(([name]) => used.has(name))
    .map(([name, description]) => ({ name, description })),
  ...[...used].filter((name) => !(name in DESCRIPTIONS)).map((name) => ({ name })),
]
