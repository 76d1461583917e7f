/** Calls of the REST API as an application makes them. */
import { expect } from 'chai'
import type { CookieJar } from './cookie-jar.ts'
import { type Reply, send } from './http.ts'
import type { World } from './world.ts'

export interface Call {
  json?: unknown
  bearer?: string | undefined
  /** A browser: its cookies are sent and what is set is kept; its requests say that they come from our own pages. */
  jar?: CookieJar
  headers?: Record<string, string>
}

export interface Problem {
  type: string
  title: string
  status: number
  code: string
  request_id: string
  errors?: { pointer: string; message: string }[]
}

export type Api = ReturnType<typeof createApi>

/** Requests go to the first server process, or to the one whose place is given. */
export const createApi =
  (world: World, server = 0) =>
  async (method: string, path: string, { json, bearer, jar, headers = {} }: Call = {}): Promise<Reply> => {
    const url = new URL(`/api/v1${path}`, world.issuer)
    const cookie = jar?.headerFor(url)
    const reply = await send(world.servers[server]?.address ?? '', world.issuer, url.pathname + url.search, {
      method,
      json,
      headers: {
        ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
        ...(cookie === undefined ? {} : { Cookie: cookie }),
        ...(jar ? { Origin: world.issuer } : {}),
        ...headers,
      },
    })
    jar?.take(url, reply.headers['set-cookie'])
    return reply
  }

/** The refusal of a call, which must be a problem document (RFC 9457) that names its own request. */
export function problemOf(reply: Reply): [status: number, code: string] {
  expect(reply.headers['content-type'], reply.text).to.match(/^application\/problem\+json/)
  const problem = reply.json<Problem>()
  expect(problem).to.include({ type: `urn:usher:problem:${problem.code}`, status: reply.status })
  expect(problem.request_id).to.equal(reply.headers['x-request-id'])
  return [reply.status, problem.code]
}

/** The members a problem complains about. */
export const pointersOf = (reply: Reply): string[] => (reply.json<Problem>().errors ?? []).map(({ pointer }) => pointer)
