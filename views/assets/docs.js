// Swagger UI over the description of this server. The Authorize button signs in by code and PKCE.
const { client, redirect } = document.getElementById('docs').dataset
const ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  oauth2RedirectUrl: redirect,
  // Off: it would show the description to somebody else's validator.
  validatorUrl: null,
})
ui.initOAuth({ clientId: client, scopes: 'openid', usePkceWithAuthorizationCodeGrant: true })
