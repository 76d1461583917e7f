/** Rivals for one single-use thing, and the judge of what came out. The same for our server and for a naive one. */
import { type TokenResponse, tokensOf } from '../support/code-flow.ts'
import type { Reply } from '../support/http.ts'

export interface Round {
  replies: Reply[]
}

/** Sends all attempts in the same turn of the event loop. `attempt` gets the rival's number. */
export async function race(rivals: number, attempt: (rival: number) => Promise<Reply>): Promise<Round> {
  return { replies: await Promise.all(Array.from({ length: rivals }, (_, rival) => attempt(rival))) }
}

/** What is wrong with one race for a code: RFC 6749 section 4.1.2, "The client MUST NOT use the authorization code more than once". */
export function codeFaults({ replies }: Round): string[] {
  const winners = replies.filter(({ status }) => status === 200)
  const losers = replies.filter(({ status }) => status !== 200)
  return [
    ...(winners.length === 1 ? [] : [`${winners.length} rivals got tokens for one code`]),
    ...losers.filter((loser) => !isInvalidGrant(loser)).map(({ status, text }) => `a loser got ${status} ${text}`),
  ]
}

/** What is wrong with one race for a rotation: every answer names one and the same successor. */
export function refreshFaults({ replies }: Round): string[] {
  const successors = new Set(
    replies.filter(({ status }) => status === 200).map((reply) => tokensOf(reply).refresh_token),
  )
  const others = replies.filter(({ status }) => status !== 200)
  return [
    ...(successors.size === 1 ? [] : [`one refresh token has ${successors.size} successors`]),
    ...others.filter((other) => !isInvalidGrant(other)).map(({ status, text }) => `a loser got ${status} ${text}`),
  ]
}

/** The tokens of the first rival that got any. */
export function wonTokens({ replies }: Round): TokenResponse {
  const winner = replies.find(({ status }) => status === 200)
  if (!winner) throw new Error(`nobody won: ${replies[0]?.text}`)
  return tokensOf(winner)
}

const isInvalidGrant = (reply: Reply): boolean => reply.status === 400 && reply.json().error === 'invalid_grant'
