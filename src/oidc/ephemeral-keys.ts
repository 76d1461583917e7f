/**
 * Names of everything the protocol keeps in the ephemeral store. Keys that change together share the tag `{grant id}`;
 * codes and other bearer values appear only as digests, so that a dump of the store yields no usable one.
 */
import { hash } from 'node:crypto'
import { isOpaqueId } from '../ids.ts'
import type { GrantKeys } from '../storage/ephemeral.ts'

export const digestOf = (value: string): string => hash('sha256', value, 'base64url')

/** Tells the generations of a family apart. 128 bits suffice for that, and every session pays for them. */
export const generationOf = (jti: string): string => digestOf(jti).slice(0, 22)

export const grantKey = (grantId: string): string => `gr:{${grantId}}`
export const grantIndexKey = (grantId: string): string => `g:{${grantId}}`

export const sessionKey = (id: string): string => `ss:${digestOf(id)}`
export const sessionUidKey = (uid: string): string => `su:${uid}`
export const interactionKey = (uid: string): string => `i:${uid}`
export const pushedRequestKey = (id: string): string => `par:${digestOf(id)}`
export const replayKey = (issuedBy: string, jti: string): string => `rd:${digestOf(JSON.stringify([issuedBy, jti]))}`

export const deniedTokenKey = (jti: string): string => `rv:j:${jti}`
export const deniedGrantKey = (grantId: string): string => `rv:g:{${grantId}}`
export const deniedSessionKey = (uid: string): string => `rv:s:${uid}`
export const accountFloorKey = (subject: string): string => `nb:u:${subject}`
export const clientFloorKey = (clientId: string): string => `nb:c:${clientId}`

export const grantKeys = (grantId: string, denySeconds: number): GrantKeys => ({
  index: grantIndexKey(grantId),
  deny: deniedGrantKey(grantId),
  denySeconds,
})

/** A code names its grant, `<grant>.<random>`, so that its key can be found from the code alone. */
export function codeKey(code: string): string | undefined {
  const [grantId, random, ...rest] = code.split('.')
  if (!isOpaqueId(grantId) || !isOpaqueId(random) || rest.length > 0) return undefined
  return `c:{${grantId}}:${digestOf(code)}`
}

export interface FamilyKeys {
  grantId: string
  familyId: string
  family: string
  sealed: string
}

/** A refresh token id names its grant and family: `<grant>.<family>.<random>`. */
export function familyKeys(jti: string): FamilyKeys | undefined {
  const [grantId, familyId, random, ...rest] = jti.split('.')
  if (!isOpaqueId(grantId) || !isOpaqueId(familyId) || !isOpaqueId(random) || rest.length > 0) return undefined
  return { grantId, familyId, family: `r:{${grantId}}:${familyId}`, sealed: `s:{${grantId}}:${familyId}` }
}
