/** The pages of registration, recovery and the own account in the states people meet. */
import type { PageData, PageName } from '../../src/http/page-data.ts'

type Sample = { [P in PageName]: [page: P, data: PageData[P], status?: number] }[PageName]

const at = new Date('2026-11-21T09:30:00Z')
const form = { action: '/here', csrf: 'token', values: {} }
const email = 'person@example.org'
const longEmail = `${'a'.repeat(60)}@${'wirtschaftsprüfung'.repeat(3)}.example`
const ODD = 'Ö & Ж <b>"\'</b>'

const session = { isCurrent: false, address: '192.0.2.17', firstSeenAt: at, lastSeenAt: at }

export const ACCOUNT_SAMPLES: Record<string, Sample> = {
  'sign-in-links': [
    'sign-in',
    {
      ...{ action: '/sign-in/1', cancelAction: '/sign-in/1/cancel', csrf: 'token', login: '' },
      client: { name: 'Lighthouse' },
      registerHref: '/register?interaction=1',
      recoverHref: '/recover?interaction=1',
    },
  ],
  register: ['register', { ...form, minLength: 15, signInHref: '/account' }],
  'register-wrong': [
    'register',
    {
      ...{ ...form, minLength: 15, signInHref: '/account' },
      values: { email: 'person@', first_name: ODD, last_name: 'x'.repeat(201) },
      problem: { kind: 'input', faults: { email: 'email', password: 'too_short', last_name: 'name' } },
    },
    400,
  ],
  'register-limited': [
    'register',
    {
      ...{ ...form, minLength: 15, signInHref: '/account' },
      values: { email },
      problem: { kind: 'rate_limited', retryAfterSeconds: 290 },
    },
    429,
  ],
  verify: ['verify', { ...form, email, resendAction: '/there', isResent: false, restartHref: '/register' }],
  'verify-resent': [
    'verify',
    { ...form, email: longEmail, resendAction: '/there', isResent: true, restartHref: '/register' },
  ],
  'verify-wrong': [
    'verify',
    {
      ...{ ...form, resendAction: '/there', isResent: false, restartHref: '/register' },
      values: { email },
      problem: { kind: 'invalid_code' },
    },
    400,
  ],
  recover: ['recover', { ...form, values: { email }, signInHref: '/account' }],
  'recover-code': ['recover-code', { ...form, email, minLength: 15, restartHref: '/recover' }],
  'recover-code-wrong': [
    'recover-code',
    {
      ...{ ...form, minLength: 15, restartHref: '/recover' },
      problem: { kind: 'input', faults: { new_password: 'contextual' } },
    },
    400,
  ],
  'message-registered': ['message', { key: 'registered', href: '/account' }],
  'message-deletion': ['message', { key: 'deletion_requested', values: { date: '5 December 2026' }, href: '/' }],
  account: ['account', { person: { name: 'Example Person', email }, signOutHref: '/oauth2/logout' }],
  'account-odd': ['account', { person: { name: ODD.repeat(4), email: longEmail }, signOutHref: '/oauth2/logout' }],
  'account-profile': [
    'account-profile',
    { ...form, values: { first_name: 'Example', last_name: 'Person', locale: 'de-CH' }, done: 'profile' },
  ],
  'account-profile-wrong': [
    'account-profile',
    { ...form, values: { username: 'a b' }, problem: { kind: 'input', faults: { username: 'username' } } },
    400,
  ],
  'account-password': ['account-password', { ...form, email, minLength: 15 }],
  'account-password-wrong': [
    'account-password',
    { ...form, email, minLength: 15, problem: { kind: 'wrong_password' } },
    403,
  ],
  'account-email': ['account-email', { ...form, email, isVerified: true, done: 'email' }],
  'account-email-odd': ['account-email', { ...form, email: longEmail, isVerified: false }],
  'account-email-code': ['account-email-code', { ...form, newEmail: longEmail }],
  'account-sessions': [
    'account-sessions',
    {
      csrf: 'token',
      sessions: [
        { ...session, id: 's.1', isCurrent: true, browser: 'Firefox 140', system: 'Linux', clientName: 'Lighthouse' },
        { ...session, id: 's.2', browser: 'Safari 26', system: 'iOS 26.1', clientName: ODD, address: '2001:db8::1' },
        { ...session, id: 'g.3', browser: undefined, system: undefined, address: `2001:db8:${'ffff:'.repeat(5)}ffff` },
      ],
      hasOthers: true,
      moreHref: '/account/sessions?before=x',
      done: 'session',
    },
  ],
  'account-sessions-only': [
    'account-sessions',
    { csrf: 'token', sessions: [{ ...session, id: 's.1', isCurrent: true, system: 'Windows 11' }], hasOthers: false },
  ],
  'account-applications': [
    'account-applications',
    {
      csrf: 'token',
      applications: [
        {
          ...{ clientId: 'lighthouse', name: 'Lighthouse', isOwn: false, connectedAt: at },
          scopes: ['openid', 'profile', 'orders:read'],
        },
        { clientId: 'odd', name: ODD.repeat(3), isOwn: true, connectedAt: at, scopes: ['x'.repeat(90)] },
      ],
      done: 'application',
    },
  ],
  'account-applications-none': ['account-applications', { csrf: 'token', applications: [] }],
  'account-sign-ins': [
    'account-sign-ins',
    {
      signIns: [
        {
          outcome: 'succeeded',
          at,
          browser: 'Firefox 140',
          system: 'Linux',
          address: '192.0.2.17',
          clientName: 'Lamp',
        },
        {
          outcome: 'wrong_password',
          at,
          browser: 'curl 8',
          system: undefined,
          address: '2001:db8::1',
          clientName: ODD,
        },
        { outcome: 'disabled', at, browser: undefined, system: undefined, address: '198.51.100.1' },
      ],
      moreHref: '/account/sign-ins?before=x',
    },
  ],
  'account-data': ['account-data', { ...form, exportHref: '/account/data/export', graceDays: 14 }],
  'account-data-wrong': [
    'account-data',
    { ...form, exportHref: '/account/data/export', graceDays: 14, problem: { kind: 'unconfirmed' } },
    400,
  ],
}
