// The end of an authorization that Swagger UI began in another window: hands it the code, as its oauth2-redirect.html does.
const pending = window.opener.swaggerUIRedirectOauth2
const { auth, redirectUrl } = pending
const answer = new URLSearchParams(location.search)
const refuse = (message) => pending.errCb({ authId: auth.name, source: 'auth', level: 'error', message })

if (answer.get('state') !== pending.state) refuse('The answer does not belong to this request.')
else if (answer.get('code') === null) refuse(answer.get('error_description') ?? answer.get('error') ?? 'There is no code.')
else {
  delete pending.state
  auth.code = answer.get('code')
  pending.callback({ auth, redirectUrl })
}
window.close()
