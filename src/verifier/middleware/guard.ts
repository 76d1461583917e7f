/** What every adapter does alike: find the token of a request, have it verified, and tell a refusal from a fault. */
import type { IncomingMessage } from 'node:http'
import { TokenError } from '../errors.ts'
import type { Report } from '../events.ts'
import { checkRequirement, type Requirement } from '../permissions.ts'
import type { VerifiedToken } from '../verified-token.ts'
import { type Refusal, refusalOf } from './challenge.ts'

export interface Guard {
  verify(token: string): Promise<VerifiedToken>
  require(token: VerifiedToken, requirement: Requirement): Promise<void>
  report: Report
}

export type Admission = { auth: VerifiedToken; refusal?: undefined } | { auth?: undefined; refusal: Refusal }

export type Admit = (request: IncomingMessage) => Promise<Admission>

/** RFC 6750 section 2.1: b64token. */
const CREDENTIALS = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i

/** Throws TypeError when the requirement is malformed. What it answers throws only what is no fault of the request. */
export function admitting(guard: Guard, requirement: Requirement): Admit {
  checkRequirement(requirement)
  return async (request) => {
    try {
      const auth = await guard.verify(tokenOf(request))
      await guard.require(auth, requirement)
      return { auth }
    } catch (error) {
      if (error instanceof TokenError) return { refusal: refusalOf(error) }
      throw error
    }
  }
}

/** The header only: in an address a token ends up in logs. Throws TokenError no_token or malformed_request. */
function tokenOf(request: IncomingMessage): string {
  const [header, another] = authorizationHeaders(request)
  if (header === undefined || !/^bearer(?: |$)/i.test(header)) {
    throw new TokenError('no_token', 'The request has no bearer token.')
  }
  // RFC 6750 section 3.1, invalid_request: "uses more than one method for including an access token".
  const [, token] = another === undefined ? (CREDENTIALS.exec(header) ?? []) : []
  if (token === undefined) throw new TokenError('malformed_request', 'The Authorization header is malformed.')
  return token
}

/** All of them: Node keeps the first in `headers` and drops the others silently. */
function authorizationHeaders({ rawHeaders }: IncomingMessage): string[] {
  const values: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === 'authorization') values.push(rawHeaders[index + 1]?.trim() ?? '')
  }
  return values
}
