/**
 * The modules of the OpenID certification plans that need no dynamic registration, by the suite's own ids. A test of
 * each id stands in this folder; modules.test.ts fails when one has none or two.
 */

const BASIC = [
  'oidcc-server',
  'oidcc-response-type-missing',
  'oidcc-userinfo-get',
  'oidcc-userinfo-post-header',
  'oidcc-userinfo-post-body',
  'oidcc-ensure-request-without-nonce-succeeds-for-code-flow',
  'oidcc-scope-profile',
  'oidcc-scope-email',
  'oidcc-scope-address',
  'oidcc-scope-phone',
  'oidcc-scope-all',
  'oidcc-alternate-happy-flow',
  'oidcc-display-page',
  'oidcc-display-popup',
  'oidcc-prompt-login',
  'oidcc-prompt-none-not-logged-in',
  'oidcc-prompt-none-logged-in',
  'oidcc-max-age-1',
  'oidcc-max-age-10000',
  'oidcc-ensure-request-with-unknown-parameter-succeeds',
  'oidcc-id-token-hint',
  'oidcc-login-hint',
  'oidcc-ui-locales',
  'oidcc-claims-locales',
  'oidcc-ensure-request-with-acr-values-succeeds',
  'oidcc-codereuse',
  'oidcc-codereuse-30seconds',
  'oidcc-ensure-registered-redirect-uri',
  'oidcc-ensure-post-request-succeeds',
  'oidcc-server-client-secret-post',
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported',
  'oidcc-claims-essential',
  'oidcc-ensure-request-object-with-redirect-uri',
  'oidcc-refresh-token',
  'oidcc-ensure-request-with-valid-pkce-succeeds',
] as const

const LOGOUT = [
  'oidcc-rp-initiated-logout-discovery-endpoint-verification',
  'oidcc-rp-initiated-logout',
  'oidcc-rp-initiated-logout-no-state',
  'oidcc-rp-initiated-logout-bad-post-logout-redirect-uri',
  'oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri',
  'oidcc-rp-initiated-logout-modified-id-token-hint',
  'oidcc-rp-initiated-logout-bad-id-token-hint',
  'oidcc-rp-initiated-logout-no-id-token-hint',
  'oidcc-rp-initiated-logout-no-params',
  'oidcc-rp-initiated-logout-no-post-logout-redirect-uri',
  'oidcc-rp-initiated-logout-only-state',
] as const

/** Plan → modules; the plan's name is the title of its `describe`. */
export const PLANS = {
  'basic certification plan': BASIC,
  'form post basic certification plan': BASIC,
  'config certification plan': ['oidcc-discovery-endpoint-verification'],
  'RP-initiated logout certification plan': LOGOUT,
} as const satisfies Record<string, readonly string[]>

export interface Exception {
  ids: readonly string[]
  reason: string
  /** What the tests assert in its place. */
  instead: string
}

/** Where a test asks less than the suite could. Everything else has no excuse. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    ids: [
      'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported',
      'oidcc-ensure-request-object-with-redirect-uri',
    ],
    reason: 'The suite skips both unless `none` is an advertised algorithm of request objects; none is.',
    instead: 'The refusal: request_not_supported at a proven redirect URI, the error page at any other.',
  },
  {
    ids: ['oidcc-request-uri-unsigned', 'oidcc-request-uri-signed-rs256'],
    reason: 'The engine cannot take a request by reference; both need dynamic registration besides.',
    instead: 'Discovery says request_uri_parameter_supported: false.',
  },
]
