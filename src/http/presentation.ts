import type { Locale } from '../i18n.ts'
import { accountPresenters } from './account-presentation.ts'
import { inMinutes, presentForm } from './form-presentation.ts'
import type {
  ClientOnPage,
  ConsentPage,
  DemoPage,
  ErrorPage,
  LogoutPage,
  PageData,
  PageName,
  SignedOutPage,
  SignInPage,
} from './page-data.ts'
import { presentScopes } from './scope-presentation.ts'

/** Turns page data into what a template prints, so that templates decide nothing. */
type Presenters = { [P in PageName]: (data: PageData[P], locale: Locale) => object }

const ERROR_KINDS = new Map([
  [403, 'forbidden'],
  [404, 'not_found'],
  [429, 'rate_limited'],
  [503, 'unavailable'],
])

const presenters: Presenters = {
  home: (data) => data,
  demo: presentDemo,
  'sign-in': presentSignIn,
  register: (data) => presentForm(data, ['email', 'password', 'first_name', 'last_name'], { hints: ['password'] }),
  verify: (data) => presentForm(data, data.email === undefined ? ['email', 'code'] : ['code'], { hints: ['code'] }),
  recover: (data) => presentForm(data, ['email']),
  'recover-code': (data) =>
    presentForm(data, data.email === undefined ? ['email', 'code', 'new_password'] : ['code', 'new_password'], {
      hints: ['code', 'new_password'],
    }),
  ...accountPresenters,
  consent: presentConsent,
  logout: ({ form, client }: LogoutPage) => ({ form, client: client && presentClient(client) }),
  'signed-out': ({ client, isSignedIn = false }: SignedOutPage) => ({
    client: client && presentClient(client),
    isSignedIn,
  }),
  error: presentError,
  message: (data) => data,
  'dev-mail': (data) => data,
  'dev-message': (data) => data,
}

/** What the template of a page prints. */
export const present = <P extends PageName>(page: P, data: PageData[P], locale: Locale): object =>
  presenters[page](data, locale)

function presentSignIn(data: SignInPage): object {
  const { error, retryAfterSeconds = 60, expiresInSeconds } = data
  return {
    ...data,
    client: presentClient(data.client),
    wrong: error === 'invalid_credentials',
    retryMinutes: inMinutes(retryAfterSeconds),
    expiresInMinutes: expiresInSeconds === undefined ? undefined : Math.floor(expiresInSeconds / 60),
    // Never away from an error summary, which then has the focus.
    focus: error === undefined ? (data.login === '' ? 'login' : 'password') : 'summary',
  }
}

function presentConsent(data: ConsentPage): object {
  return { ...data, client: presentClient(data.client), scopes: presentScopes(data.scopes) }
}

function presentDemo({ signedIn, ...data }: DemoPage): object {
  const inWords = (instant: string) => instant.replace('T', ' ').replace('Z', ' UTC')
  const tokens = signedIn?.tokens.map((token) => ({ ...token, expiresInWords: inWords(token.expiresAt) }))
  return { ...data, signedIn: signedIn && { ...signedIn, tokens } }
}

function presentError(data: ErrorPage): object {
  const fallback = data.status >= 500 ? 'server_error' : 'bad_request'
  return { ...data, kind: ERROR_KINDS.get(data.status) ?? fallback }
}

/** Links only to the web: the addresses come from whoever registered the client. */
function presentClient(client: ClientOnPage): ClientOnPage & { initial: string } {
  return {
    name: client.name,
    initial: [...client.name.trim()][0]?.toUpperCase() ?? '?',
    uri: webLink(client.uri),
    logoUri: webLink(client.logoUri),
    policyUri: webLink(client.policyUri),
    tosUri: webLink(client.tosUri),
  }
}

const webLink = (uri: string | undefined): string | undefined => (uri && /^https?:\/\//i.test(uri) ? uri : undefined)
