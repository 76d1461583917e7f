/**
 * Client authentication of the ordinary kind for the fast endpoints: a right secret, by header or in the form (RFC 6749
 * section 2.3.1). Everything else, wrong secrets first of all, is the engine's: it counts, words and delays refusals.
 */
import type { IncomingMessage } from 'node:http'
import type { Client } from '../clients/client.ts'

export interface PlainClientDeps {
  findClient(id: string): Promise<Client | undefined>
  matchesSecret(client: Client, presented: string): boolean
}

/** The client of a request; undefined unless it is one beyond doubt. Public ones only where they may come. */
export type AuthenticatePlainly = (
  request: IncomingMessage,
  fields: ReadonlyMap<string, string>,
  options?: { mayBePublic: boolean },
) => Promise<Client | undefined>

/** Base64 without anything a decoder would forgive. */
const BASIC =
  /^Basic ((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)$/i
/** Ids and secrets that mean the same whether or not somebody decodes them as a form. */
const PLAIN_CREDENTIALS = /^([\w.~-]+):([\w.~-]+)$/

export function createPlainClient({ findClient, matchesSecret }: PlainClientDeps): AuthenticatePlainly {
  return async function authenticate({ headers }, fields, { mayBePublic } = { mayBePublic: false }) {
    if (headers.authorization === undefined && !fields.has('client_secret')) {
      const named = mayBePublic ? await findClient(fields.get('client_id') ?? '') : undefined
      return named?.tokenEndpointAuthMethod === 'none' ? named : undefined
    }
    const given = headers.authorization === undefined ? inForm(fields) : inHeader(headers.authorization, fields)
    const client = given && (await findClient(given.id))
    if (!client || !usesPlainSecret(client)) return undefined
    return matchesSecret(client, given.secret) ? client : undefined
  }
}

interface Given {
  id: string
  secret: string
}

function inForm(fields: ReadonlyMap<string, string>): Given | undefined {
  const id = fields.get('client_id')
  const secret = fields.get('client_secret')
  return id && secret ? { id, secret } : undefined
}

function inHeader(authorization: string, fields: ReadonlyMap<string, string>): Given | undefined {
  const encoded = BASIC.exec(authorization)?.[1]
  if (encoded === undefined || fields.has('client_secret')) return undefined
  const [, id = '', secret = ''] = PLAIN_CREDENTIALS.exec(Buffer.from(encoded, 'base64').toString('latin1')) ?? []
  const named = fields.get('client_id')
  return id && (named === undefined || named === id) ? { id, secret } : undefined
}

const usesPlainSecret = ({ tokenEndpointAuthMethod: method, metadata }: Client): boolean =>
  (method === 'client_secret_basic' || method === 'client_secret_post') &&
  metadata.client_secret_expires_at === undefined
