/** Single requests from Node, over connections that stay open. */
import { Agent, request } from 'node:http'
import type { Request } from './wrk.ts'

export type Client = Agent

export const createClient = (maxSockets = 64): Client => new Agent({ keepAlive: true, maxSockets })

export interface Answer {
  status: number
  text: string
}

export function ask(agent: Client, address: string, { method, path, headers, body }: Request): Promise<Answer> {
  const { hostname, port } = new URL(address)
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const length: Record<string, string> = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
  const sent = request({ agent, hostname, port, path, method, headers: { ...headers, ...length } }, (response) => {
    response
      .setEncoding('utf8')
      .toArray()
      .then((parts) => resolve({ status: response.statusCode ?? 0, text: parts.join('') }), reject)
  })
  sent.on('error', reject).end(body)
  return promise
}
