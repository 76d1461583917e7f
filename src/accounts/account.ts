/** The stored person. What is done with accounts is in accounts.ts, how they prove themselves in authentication.ts. */

export interface Account {
  /** UUIDv7; the subject (`sub`) of its tokens. */
  id: string
  email: string
  emailVerified: boolean
  username: string | undefined
  passwordHash: string | undefined
  firstName: string | undefined
  lastName: string | undefined
  locale: string | undefined
  status: 'active' | 'disabled'
  /** Other standard claims of OpenID Connect Core section 5.1, by their claim names. */
  profile: Record<string, unknown>
  attributes: Record<string, unknown>
  /** Its owner has deleted it; until then signing in brings it back. */
  deletionDueAt: Date | undefined
  createdAt: Date
  updatedAt: Date
}
