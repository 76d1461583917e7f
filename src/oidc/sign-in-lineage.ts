/**
 * From which sign-in something stems. Sessions, codes and tokens carry the instant at which their sign-in began, before
 * the password was looked at, through every rotation: a not-before floor raised meanwhile kills them all, also those
 * that were being made when it was raised.
 */
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { Clock } from '../clock.ts'
import { remoteAddress } from '../http/remote-address.ts'
import type { SignedInFrom } from '../sessions/session.ts'
import { payloadMembersOf, tokenPrototypeOf } from './engine-internals.ts'
import type { SignInClock } from './sign-in-clock.ts'

/** What our models carry besides the engine's own members. */
export interface Lineage {
  /** Milliseconds since the epoch. */
  signedInAtMs?: number
  /** On codes: the browser that signed in, which the client that redeems the code is not. */
  signedInFrom?: SignedInFrom
}

/** What carryLineage has added to a model. */
const ownLineage = (model: object | undefined): Lineage => model ?? {}

const instants = new WeakMap<object, number>()

/** To be called before the credentials of a request are looked at. Throws Unavailable (503). */
export async function noteSignIn(ctx: object, clock: SignInClock): Promise<void> {
  await clock.catchUp()
  instants.set(ctx, clock.now())
}

const accounts = new WeakMap<object, Account>()

/** Whose credentials a request has just shown to be right: the engine need not look the account up again. */
export const noteAccount = (ctx: object, account: Account): void => void accounts.set(ctx, account)
export function accountShown(ctx: object, id: string): Account | undefined {
  const account = accounts.get(ctx)
  return account?.id === id ? account : undefined
}

export const signedInFrom = (ctx: KoaContextWithOIDC): SignedInFrom => ({
  address: remoteAddress(ctx),
  userAgent: ctx.get('User-Agent'),
})

/** The lineage of what a request is issuing: that of the code or token it was given, else its own. */
export function lineageOf(ctx: KoaContextWithOIDC | undefined, clock: Clock): Lineage & { signedInAtMs: number } {
  const { AuthorizationCode, RotatedRefreshToken, RefreshToken } = ctx?.oidc?.entities ?? {}
  const source = ownLineage(AuthorizationCode ?? RotatedRefreshToken ?? RefreshToken)
  const signedInAtMs = source.signedInAtMs ?? (ctx && instants.get(ctx)) ?? clock.now()
  return { ...source, signedInAtMs }
}

/** Makes the engine's models carry it. Must be called before the first of them is made. */
export function carryLineage({ Session, AuthorizationCode, RefreshToken }: Provider, clock: Clock): void {
  payloadMembersOf(Session, ['signedInAtMs'])
  const { loginAccount } = Session.prototype
  Session.prototype.loginAccount = function (details) {
    loginAccount.call(this, details)
    const at = Provider.ctx?.oidc.entities.Interaction?.result?.login?.at
    Object.assign(this, { signedInAtMs: typeof at === 'number' ? at : clock.now() } satisfies Lineage)
  }

  payloadMembersOf(AuthorizationCode, ['signedInAtMs', 'signedInFrom'])
  beforeStored(AuthorizationCode, (ctx) => {
    const { signedInAtMs = clock.now() } = ownLineage(ctx.oidc.session)
    return { signedInAtMs, signedInFrom: signedInFrom(ctx) }
  })

  payloadMembersOf(RefreshToken, ['signedInAtMs'])
  beforeStored(RefreshToken, (ctx) => ({ signedInAtMs: lineageOf(ctx, clock).signedInAtMs }))
}

function beforeStored(model: { prototype: object }, lineage: (ctx: KoaContextWithOIDC) => Lineage): void {
  const prototype = tokenPrototypeOf(model)
  const { getValueAndPayload } = prototype
  prototype.getValueAndPayload = async function () {
    if (Provider.ctx) Object.assign(this, lineage(Provider.ctx))
    return getValueAndPayload.call(this)
  }
}
