/** What each page needs to be shown. Texts of the pages themselves come from the dictionaries. */
import type { StoredMail } from '../mail/file-mailbox.ts'

/** A client as it presents itself to the person in front of the page (OpenID Registration section 2). */
export interface ClientOnPage {
  name: string
  uri?: string | undefined
  logoUri?: string | undefined
  policyUri?: string | undefined
  tosUri?: string | undefined
}

export interface SignInPage {
  /** Where the form posts to. */
  action: string
  csrf: string
  /** What stands in the first field: the login_hint, or what was typed before. */
  login: string
  error?: 'invalid_credentials' | 'rate_limited' | 'unavailable' | undefined
  retryAfterSeconds?: number | undefined
  client: ClientOnPage
  /** A post there ends the request with access_denied and returns to the client. */
  cancelAction: string
  /** Where somebody without an account gets one; left out where nobody can register. */
  registerHref?: string | undefined
  /** Where somebody without the password gets a new one. */
  recoverHref?: string | undefined
  /** How long the page stays valid; shown as a warning (WCAG 2.2.1). */
  expiresInSeconds?: number | undefined
}

export interface ConsentPage {
  /** Where the form posts `decision=allow` or `decision=deny` to. */
  action: string
  csrf: string
  client: ClientOnPage
  account: { name?: string | undefined; email: string }
  scopes: readonly string[]
  /** The host the person is sent to, whatever is decided. */
  redirectHost: string
}

export interface LogoutPage {
  /** The engine's form as trusted HTML; our buttons refer to it by its id `op.logoutForm`. */
  form: string
  /** The client that asked, if it said who it is. */
  client?: ClientOnPage | undefined
}

export interface SignedOutPage {
  client?: ClientOnPage | undefined
  /** Asked whether to sign out, the person chose to stay. */
  isSignedIn?: boolean
}

export interface ErrorPage {
  status: number
  /** The error code, such as `invalid_request`. */
  error: string
  description?: string | undefined
  /** The id of this request when left out. */
  requestId?: string | undefined
  /** Where to go instead. */
  home?: string | undefined
  /** A link that begins the failed thing anew. */
  retryAction?: string | undefined
}

/** Why a form was not taken; the words are under `form.problem` and `form.fault` in the dictionaries. */
export interface FormProblem {
  kind: 'input' | 'invalid_code' | 'wrong_password' | 'conflict' | 'unconfirmed' | 'rate_limited' | 'unavailable'
  /** What is wrong with single fields, by their ids. */
  faults?: Readonly<Record<string, string>> | undefined
  retryAfterSeconds?: number | undefined
}

/** What every form has. */
export interface FormPage {
  /** Where it posts to. */
  action: string
  csrf: string
  /** What stands in the fields, by their ids; never a password. */
  values: Readonly<Record<string, string>>
  problem?: FormProblem | undefined
}

export interface RegisterPage extends FormPage {
  /** The fewest characters of a password. */
  minLength: number
  signInHref: string
}

export interface VerifyPage extends FormPage {
  /** Where the code went; left out in a browser that did not ask for one, which is asked for the address then. */
  email?: string | undefined
  /** A post there asks for another code. */
  resendAction: string
  isResent: boolean
  restartHref: string
}

export interface RecoverPage extends FormPage {
  signInHref: string
}

export interface RecoverCodePage extends FormPage {
  email?: string | undefined
  minLength: number
  restartHref: string
}

/** A short notice: heading, text and an optional link, all under `message.<key>` in the dictionaries. */
export interface MessagePage {
  key: string
  values?: Readonly<Record<string, string | number>> | undefined
  href?: string | undefined
}

export interface HomePage {
  issuer: string
  /** Where the demonstration is, if there is one. */
  demoHref?: string | undefined
  hasDocs?: boolean
}

export interface TokenOnPage {
  kind: 'id' | 'access' | 'refresh'
  /** Its signature was checked with the published keys. */
  isVerified: boolean
  /** Pretty JSON. */
  header: string
  /** Pretty JSON. */
  payload: string
  value: string
  /** RFC 3339. */
  expiresAt: string
}

export interface DemoPage {
  signInHref: string
  signedIn?:
    | {
        name: string
        tokens: readonly TokenOnPage[]
        refreshes: number
        /** Pretty JSON of the last answer. */
        userinfo?: string | undefined
        csrf: string
      }
    | undefined
  /** Why the last step did not work, in the server's terms. */
  problem?: { error: string; description: string } | undefined
}

/** The mails of a server without a mail server, newest first. */
export interface DevMailPage {
  mails: readonly StoredMail[]
}

export interface DevMessagePage {
  mail: StoredMail
}

/** What was just done, in the words of `account.done`. */
export type AccountDone = 'profile' | 'password' | 'email' | 'session' | 'others' | 'application'

export interface AccountPage {
  person: { name?: string | undefined; email: string }
  signOutHref: string
}

export interface AccountForm extends FormPage {
  done?: AccountDone | undefined
}

export interface AccountPasswordPage extends AccountForm {
  email: string
  minLength: number
}

export interface AccountEmailPage extends AccountForm {
  email: string
  isVerified: boolean
}

export interface AccountEmailCodePage extends FormPage {
  /** Where the code went, in the browser that asked for it. */
  newEmail?: string | undefined
}

export interface SessionOnPage {
  id: string
  isCurrent: boolean
  browser?: string | undefined
  system?: string | undefined
  clientName?: string | undefined
  address: string
  firstSeenAt: Date
  lastSeenAt: Date
}

export interface AccountSessionsPage {
  csrf: string
  sessions: readonly SessionOnPage[]
  hasOthers: boolean
  moreHref?: string | undefined
  done?: AccountDone | undefined
}

export interface ApplicationOnPage {
  clientId: string
  name: string
  isOwn: boolean
  scopes: readonly string[]
  connectedAt: Date
}

export interface AccountApplicationsPage {
  csrf: string
  applications: readonly ApplicationOnPage[]
  done?: AccountDone | undefined
}

export interface SignInOnPage {
  outcome: 'succeeded' | 'wrong_password' | 'disabled'
  at: Date
  clientName?: string | undefined
  browser?: string | undefined
  system?: string | undefined
  address: string
}

export interface AccountSignInsPage {
  signIns: readonly SignInOnPage[]
  moreHref?: string | undefined
}

export interface AccountDataPage extends FormPage {
  exportHref: string
  graceDays: number
}

export interface PageData {
  home: HomePage
  demo: DemoPage
  'sign-in': SignInPage
  register: RegisterPage
  verify: VerifyPage
  recover: RecoverPage
  'recover-code': RecoverCodePage
  account: AccountPage
  'account-profile': AccountForm
  'account-password': AccountPasswordPage
  'account-email': AccountEmailPage
  'account-email-code': AccountEmailCodePage
  'account-sessions': AccountSessionsPage
  'account-applications': AccountApplicationsPage
  'account-sign-ins': AccountSignInsPage
  'account-data': AccountDataPage
  consent: ConsentPage
  logout: LogoutPage
  'signed-out': SignedOutPage
  error: ErrorPage
  message: MessagePage
  'dev-mail': DevMailPage
  'dev-message': DevMessagePage
}

export type PageName = keyof PageData
