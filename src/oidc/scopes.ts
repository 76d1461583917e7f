/** Scopes and claims of OpenID Connect Core sections 5.1 and 5.4; everything else that a client may ask for is an API's. */

export const CLAIMS_OF_SCOPES: Record<string, string[]> = {
  openid: ['sub'],
  profile: [
    'name',
    'family_name',
    'given_name',
    'middle_name',
    'nickname',
    'preferred_username',
    'profile',
    'picture',
    'website',
    'gender',
    'birthdate',
    'zoneinfo',
    'locale',
    'updated_at',
  ],
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
}

export const OIDC_SCOPES: readonly string[] = [...Object.keys(CLAIMS_OF_SCOPES), 'offline_access']

const oidcScopes = new Set(OIDC_SCOPES)

export const isOidcScope = (scope: string): boolean => oidcScopes.has(scope)
