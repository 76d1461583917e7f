/** One entry of the history of sign-ins. */

export type SignInOutcome = 'succeeded' | 'wrong_password' | 'disabled'

export interface NewSignIn {
  accountId: string
  outcome: SignInOutcome
  clientId: string
  /** The address behind the configured proxies. */
  address: string
  userAgent: string
}

export interface SignIn extends NewSignIn {
  /** UUIDv7: sorts by time. */
  id: string
  at: Date
}
