/** A listener of the revocation stream, as a service is one. */
import { type ClientRequest, get, type IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface StreamEvent {
  id: string
  event: string
  data: Record<string, unknown>
}

export interface StreamListener {
  status: number
  headers: IncomingHttpHeaders
  events: StreamEvent[]
  /** The id of the last event, to go on from. */
  lastId(): string
  /** Whether the server has ended it, or the connection was lost. */
  isOver(): boolean
  /** Waits, bounded, for the first event of this kind whose data matches, among those behind `from`. */
  next(event: string, matches?: (data: StreamEvent['data']) => boolean, from?: number): Promise<StreamEvent>
  pause(): void
  resume(): void
  close(): void
}

export interface Listen {
  address: string
  issuer: string
  bearer: string
  lastEventId?: string
  onEvent?: (event: StreamEvent) => void
}

export async function listenTo({ address, issuer, bearer, lastEventId, onEvent }: Listen): Promise<StreamListener> {
  const events: StreamEvent[] = []
  let isOver = false
  const { promise, resolve, reject } = Promise.withResolvers<StreamListener>()
  const request: ClientRequest = get(new URL('/api/v1/events/revocations', address), {
    agent: false,
    headers: {
      Host: new URL(issuer).host,
      Authorization: `Bearer ${bearer}`,
      Accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }),
    },
  })
  request.on('error', (error) => {
    isOver = true
    reject(error)
  })
  request.on('response', (response) => {
    let rest = ''
    response.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n\n')
      rest = parts.pop() ?? ''
      for (const part of parts) {
        const event = parsed(part)
        events.push(event)
        onEvent?.(event)
      }
    })
    const over = () => {
      isOver = true
    }
    response.on('end', over).on('error', over).on('close', over)
    resolve({
      status: response.statusCode ?? 0,
      headers: response.headers,
      events,
      lastId: () => events.at(-1)?.id ?? '',
      isOver: () => isOver,
      async next(event, matches = () => true, from = 0) {
        for (const end = performance.now() + 15_000; performance.now() < end; await sleep(5)) {
          const found = events.slice(from).find((one) => one.event === event && matches(one.data))
          if (found) return found
        }
        throw new Error(`no ${event} came; these came: ${JSON.stringify(events.slice(-20))}`)
      },
      pause: () => void response.pause(),
      resume: () => void response.resume(),
      close: () => request.destroy(),
    })
  })
  return promise
}

function parsed(text: string): StreamEvent {
  const fields = new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
  )
  const data: StreamEvent['data'] = JSON.parse(fields.get('data') ?? 'null')
  return { id: fields.get('id') ?? '', event: fields.get('event') ?? '', data }
}
