/**
 * Who may call a route of the API. A route says what it needs; one of the ways it names must fit. Permissions are asked
 * of the policy decision at every call, so a right taken away is gone at once whatever an access token still says. Writes
 * ask for it once more (access-change.ts), because the decision rests on memory and others write meanwhile.
 */
import type { Context } from 'koa'
import type { Actor, Admission } from '../audit-event.ts'
import { AppError } from '../errors.ts'
import type { Authenticate, Identity } from './authenticate.ts'
import { tracesOf } from './traces.ts'

/** The ways into a route; any one of them is enough. `all_all` is among every list of permissions. */
export interface Need {
  /** Everybody, also without a token; no token is looked at. */
  anyone?: true
  /** Any account, through a client of the house. */
  account?: true
  /** An account that holds one of these, through a client of the house. */
  permissions?: readonly string[]
  /** A client by itself (client credentials, for this API) with one of these scopes. */
  scopes?: readonly string[]
  /** The account that this path parameter names; with a token for whatever audience. */
  self?: string
  /** The account that this parameter of the query names; with a token for whatever audience. */
  selfQuery?: string
  /** A manager of the team that this path parameter names. */
  manages?: string
}

export type Caller =
  | { kind: 'nobody'; actor: Actor }
  | { kind: 'account'; identity: Identity; actor: Actor }
  | { kind: 'client'; clientId: string; tokenId: string; scopes: ReadonlySet<string>; actor: Actor }

export interface GatekeeperDeps {
  authenticate: Authenticate
  /** Whether the account holds one of these permissions. */
  holdsAny(accountId: string, permissions: readonly string[]): Promise<boolean>
  manages(accountId: string, teamId: string): Promise<boolean>
}

export type Gatekeeper = ReturnType<typeof createGatekeeper>

export function createGatekeeper({ authenticate, holdsAny, manages }: GatekeeperDeps) {
  /** Undefined for whoever may not come; without a right named for whoever comes as themselves. */
  async function admissionOf(
    ctx: Context,
    identity: Identity,
    need: Need,
    params: Record<string, string>,
  ): Promise<Admission | undefined> {
    const { subject } = identity
    if (need.self !== undefined && params[need.self] === subject) return {}
    // Given twice it is a list, which names nobody.
    if (need.selfQuery !== undefined && ctx.query[need.selfQuery] === subject) return {}
    if (!(await authenticate.isOwn(identity))) return undefined
    if (need.account) return {}
    const { permissions } = need
    if (permissions && (await holdsAny(subject, permissions))) return { permissions }
    const teamId = need.manages === undefined ? undefined : params[need.manages]
    return teamId !== undefined && (await manages(subject, teamId)) ? { teamId } : undefined
  }

  /** Throws unauthenticated (401), forbidden (403), Unavailable (503). */
  return async function admit(ctx: Context, need: Need, params: Record<string, string>): Promise<Caller> {
    const traces = tracesOf(ctx)
    if (need.anyone) return { kind: 'nobody', actor: { kind: 'system', ...traces } }
    const bearer = await authenticate.bearer(ctx)
    if (bearer.kind === 'client') {
      const { clientId, tokenId, scopes } = bearer
      if (!need.scopes?.some((scope) => scopes.has(scope))) throw forbidden()
      return { kind: 'client', clientId, tokenId, scopes, actor: { kind: 'client', id: clientId, ...traces } }
    }
    const { identity } = bearer
    const admittedBy = await admissionOf(ctx, identity, need, params)
    if (!admittedBy) throw forbidden(`audience ${identity.audience}, client ${identity.clientId}`)
    const actor: Actor = { kind: 'account', id: identity.subject, clientId: identity.clientId, ...traces, admittedBy }
    return { kind: 'account', identity, actor }
  }
}

/** The account that calls. Throws forbidden (403) for anybody else, whom a route for accounts does not let in. */
export function identityOf(caller: Caller): Identity {
  if (caller.kind === 'account') return caller.identity
  throw forbidden()
}

const forbidden = (detail?: string) =>
  new AppError('forbidden', 403, 'You may not do this.', detail === undefined ? {} : { detail })
