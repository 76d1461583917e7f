/** A resource: a protected kind of thing, such as films, and the resource server whose tokens speak of it. */
import { AppError } from '../errors.ts'
import { checkKeyAndDescription } from './permission.ts'

export interface Resource {
  id: string
  key: string
  description: string
  /** The `aud` of tokens for its resource server (RFC 8707). */
  audience: string | null
  /** Whether tokens for that audience carry the permissions of the resources behind it. */
  permissionsClaim: boolean
  createdAt: Date
  updatedAt: Date
}

/** Members left out stay as they are. */
export interface ResourceInput {
  key: string
  description?: string
  audience?: string | null
  permissionsClaim?: boolean
}

const MAX_AUDIENCE = 500

/** Throws AppError bad_request (400) with a fault per malformed member. */
export function checkResource(input: ResourceInput): void {
  checkKeyAndDescription(input)
  const { audience } = input
  if (audience === undefined || audience === null || isAudience(audience)) return
  throw new AppError('bad_request', 400, 'The audience is malformed.', {
    faults: [{ pointer: '/audience', message: 'must be an absolute URI without a fragment' }],
  })
}

/** RFC 8707 section 2: "Its value MUST be an absolute URI […] The URI MUST NOT include a fragment component." */
function isAudience(text: string): boolean {
  return text.length <= MAX_AUDIENCE && /^[\x21-\x7e]+$/.test(text) && !text.includes('#') && URL.canParse(text)
}
