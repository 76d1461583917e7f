/** The pages the engine asks for itself: errors, the sign-out confirmation and its end. */
import type { Configuration, Client as EngineClient, ErrorOut, KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { ClientOnPage } from '../http/page-data.ts'
import type { Render } from '../http/render.ts'
import { requestIdOf } from '../http/request-state.ts'
import { inEngineTerms } from './engine-errors.ts'

export const clientOnPage = (client: EngineClient): ClientOnPage => ({
  name: client.clientName ?? client.clientId,
  uri: client.clientUri,
  logoUri: client.logoUri,
  policyUri: client.policyUri,
  tosUri: client.tosUri,
})

const sessionOf = inEngineTerms((provider: Provider, ctx: KoaContextWithOIDC) => provider.Session.get(ctx))

export function createEnginePages(render: Render) {
  return {
    /** Never a redirect: the engine comes here when the redirect URI is not proven (RFC 6749 section 4.1.2.1). */
    async renderError(ctx: KoaContextWithOIDC, out: ErrorOut): Promise<void> {
      if (ctx.oidc.route !== 'authorization' && ctx.accepts('json', 'html') !== 'html') {
        ctx.body = out
        return
      }
      const status = Math.max(ctx.status, 400)
      const { error, error_description: description } = out
      render(ctx, 'error', { status, error, description, requestId: requestIdOf(ctx) }, { status })
    },

    /** `form` carries the engine's XSRF value; our buttons refer to it. Its redirect ends at the client. */
    async renderLogout(ctx: KoaContextWithOIDC, form: string): Promise<void> {
      const { client, session } = ctx.oidc
      const target = session?.state?.postLogoutRedirectUri
      render(
        ctx,
        'logout',
        { form, client: client && clientOnPage(client) },
        {
          formAction: typeof target === 'string' ? [target] : [],
          uiLocales: String(ctx.oidc.params?.ui_locales ?? ''),
        },
      )
    },

    /** The engine sends those here too who chose to stay: the page must not tell them that they have left. */
    async renderSignedOut(ctx: KoaContextWithOIDC): Promise<void> {
      const { client, provider } = ctx.oidc
      const { accountId } = await sessionOf(provider, ctx)
      render(ctx, 'signed-out', { client: client && clientOnPage(client), isSignedIn: accountId !== undefined })
    },
  } satisfies {
    renderError: Configuration['renderError']
    renderLogout: unknown
    renderSignedOut: unknown
  }
}
