/** The members of the engine's models that our seams override and its published types leave out. */
import type { AdapterPayload } from 'oidc-provider'

export interface TokenModel {
  generateTokenId(): string
  getValueAndPayload(): Promise<{ value: string; payload: AdapterPayload }>
  grantId?: string
  /** Ours, see sign-in-lineage.ts. */
  signedInAtMs?: number
}

/** @param model a model class of the engine, such as provider.RefreshToken */
export const tokenPrototypeOf = (model: { prototype: object }): TokenModel => model.prototype as TokenModel // lib/models/base_model.js

/** Adds members to what a model stores of itself. The engine reads the list once, when it makes the first instance. */
export function payloadMembersOf(model: object, added: readonly string[]): void {
  const own: unknown = Reflect.get(model, 'IN_PAYLOAD') // lib/models/payload.js
  if (!Array.isArray(own)) throw new Error('the engine keeps its list of members elsewhere')
  Object.defineProperty(model, 'IN_PAYLOAD', { value: [...own, ...added], configurable: true })
}
