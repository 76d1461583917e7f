import { LOCALES, type Locale } from '../i18n.ts'
import { presentForm } from './form-presentation.ts'
import type { AccountForm, AccountPage, PageData, PageName } from './page-data.ts'
import { presentScopes } from './scope-presentation.ts'

type AccountPageName = Extract<PageName, 'account' | `account-${string}`>
type AccountPresenters = { [P in AccountPageName]: (data: PageData[P], locale: Locale) => object }

const SECTIONS = ['profile', 'email', 'password', 'sessions', 'applications', 'sign-ins', 'data']

/** The pages about one's own account. */
export const accountPresenters: AccountPresenters = {
  account: presentAccount,
  'account-profile': presentProfile,
  'account-password': (data) =>
    presentForm(data, ['current_password', 'new_password'], { hints: ['new_password'], takesFocus: false }),
  'account-email': (data) => presentForm(data, ['new_email', 'current_password'], { takesFocus: false }),
  'account-email-code': (data) => presentForm(data, ['code'], { hints: ['code'] }),
  'account-sessions': (data, locale) => ({
    ...data,
    sessions: data.sessions.map((session, place) => ({
      ...session,
      ...instants(session, ['firstSeenAt', 'lastSeenAt'], locale),
      place,
    })),
  }),
  'account-applications': (data, locale) => ({
    ...data,
    applications: data.applications.map((application, place) => ({
      ...application,
      ...instants(application, ['connectedAt'], locale),
      scopes: presentScopes(application.scopes),
      initial: initialOf(application.name),
      place,
    })),
  }),
  'account-sign-ins': (data, locale) => ({
    ...data,
    signIns: data.signIns.map((signIn) => ({ ...signIn, ...instants(signIn, ['at'], locale) })),
  }),
  'account-data': (data) => presentForm(data, ['confirm'], { takesFocus: false }),
}

function presentAccount(data: AccountPage): object {
  const { name, email } = data.person
  return {
    ...data,
    initial: initialOf(name || email),
    sections: SECTIONS.map((path) => ({ path, name: path.replace('-', '_') })),
  }
}

function presentProfile(data: AccountForm): object {
  const form = presentForm(data, ['first_name', 'last_name', 'username', 'locale'], {
    hints: ['username'],
    takesFocus: false,
  })
  const chosen = data.values.locale ?? ''
  // A language without a dictionary stays as it is unless another one is chosen.
  const known: readonly string[] = ['', ...LOCALES]
  const locales = (known.includes(chosen) ? known : [...known, chosen]).map((locale) => ({
    locale,
    name: locale && nameOfLanguage(locale),
    isChosen: locale === chosen,
  }))
  return { ...form, locales }
}

/** In itself, as people look for it. */
function nameOfLanguage(locale: string): string {
  const name = new Intl.DisplayNames([locale], { type: 'language' }).of(locale) ?? locale
  return name.charAt(0).toLocaleUpperCase(locale) + name.slice(1)
}

const initialOf = (name: string): string => [...name.trim()][0]?.toUpperCase() ?? '?'

/** Members that are instants, as `<time>` wants them and in words. The script of the pages says them in local time. */
function instants<Name extends string>(source: Record<Name, Date>, names: readonly Name[], locale: Locale) {
  const words = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
  return Object.fromEntries(
    names.map((name) => [name, { iso: source[name].toISOString(), words: `${words.format(source[name])} UTC` }]),
  )
}
