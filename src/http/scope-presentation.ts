/** Scopes with words of their own in the dictionaries (OpenID Connect Core sections 5.4 and 11). */
const SPOKEN_SCOPES = new Set(['openid', 'profile', 'email', 'address', 'phone', 'offline_access'])

export const presentScopes = (scopes: readonly string[]) =>
  scopes.map((name) => ({ name, isSpoken: SPOKEN_SCOPES.has(name) }))
