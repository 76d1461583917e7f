/**
 * Metadata and keys as the engine publishes them, made once per key ring and kept as bytes. They change only with the
 * configuration or the keys, and both make a new engine.
 */
import { createHash } from 'node:crypto'
import { inject } from 'light-my-request'
import type { Exchange, FastHandler } from '../http/dispatcher.ts'
import { asReceived, type RequestListener } from './own-token-endpoint.ts'

export interface PublishedDocumentsDeps {
  issuer: string
  /** The finished application. */
  listener(): RequestListener
  /** How long a reader may keep a document. */
  maxAgeSeconds: number
}

interface Document {
  body: string
  etag: string
  headers: string[]
}

/** What the engine says of its documents besides the body, to callers without an Origin. */
const KEPT = ['Content-Type', 'Vary', 'Access-Control-Allow-Origin']

/** The handler of one document, by its path. */
export function createPublishedDocuments(deps: PublishedDocumentsDeps): (path: string) => FastHandler {
  const { host } = new URL(deps.issuer)
  const documents = new Map<string, Promise<Document>>()

  async function load(path: string): Promise<Document> {
    const answer = deps.listener()
    const listener: RequestListener = (request, response) => answer(asReceived(request), response)
    const reply = await inject(listener, { method: 'GET', url: path, headers: { host } })
    if (reply.statusCode !== 200) throw new Error(`${path} answered ${reply.statusCode}`)
    const body = reply.payload // as text it leaves in one piece with the headers
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
    const caching = ['Cache-Control', `public, max-age=${deps.maxAgeSeconds}`, 'ETag', etag]
    const kept = KEPT.flatMap((name) => [name, String(reply.headers[name.toLowerCase()] ?? '')])
    return { body, etag, headers: [...caching, ...kept] }
  }

  function documentAt(path: string): Promise<Document> {
    const known = documents.get(path)
    if (known) return known
    const loading = load(path)
    documents.set(path, loading)
    loading.catch(() => documents.delete(path))
    return loading
  }

  return (path) => {
    let ready: Document | undefined
    const send = (exchange: Exchange, { body, etag, headers }: Document): boolean => {
      const isKnown = exchange.request.headers['if-none-match'] === etag
      exchange.answer(isKnown ? 304 : 200, headers, isKnown ? '' : body, 'debug')
      return true
    }
    return (exchange) => {
      if (ready) return send(exchange, ready)
      return documentAt(path).then((document) => {
        ready = document
        return send(exchange, document)
      })
    }
  }
}
