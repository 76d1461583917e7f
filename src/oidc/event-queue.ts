/** What is to be sent to one listener of a stream: bounded, as fast as it is read, and closed from either side. */
import { Readable } from 'node:stream'

export interface EventQueueOptions {
  /** What is sent before anything that is pushed, one text at a time and only when there is room for it. */
  preface: AsyncIterable<string> | Iterable<string>
  maxEvents: number
  maxBytes: number
  /** It has ended, however that came. */
  onClose(): void
}

interface Waiting {
  text: string
  /** By the steady clock; later it is not sent. */
  staleAt: number
}

const CHUNK_BYTES = 32_768

export type EventQueue = ReturnType<typeof createEventQueue>

export function createEventQueue({ preface, maxEvents, maxBytes, onClose }: EventQueueOptions) {
  let waiting: Waiting[] = []
  let waitingBytes = 0
  let isEnding = false
  let wake: () => void = () => undefined

  function takeAll(): string {
    const now = performance.now()
    const text = waiting.flatMap((one) => (one.staleAt > now ? one.text : [])).join('')
    waiting = []
    waitingBytes = 0
    return text
  }

  async function* texts(): AsyncGenerator<string> {
    yield* inChunks(preface)
    for (;;) {
      if (waiting.length > 0) {
        const text = takeAll()
        if (text !== '') yield text
      } else if (isEnding) return
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  }

  const source = texts()
  let isReading = false
  const body = new Readable({
    highWaterMark: CHUNK_BYTES,
    read: () => void sendNext(),
    // Readable.from would wait for the source, which may be waiting for us.
    destroy(error, done) {
      end()
      void source.return(undefined)
      onClose()
      done(error)
    },
  })

  async function sendNext(): Promise<void> {
    if (isReading) return
    isReading = true
    try {
      const { value, done } = await source.next()
      isReading = false
      body.push(done ? null : value)
    } catch (error) {
      body.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  function end(): void {
    isEnding = true
    wake()
  }

  return {
    body,

    /** Adds a text. A listener that does not keep up is cut off: it comes back for what it has missed. */
    push(text: string, { freshMs = Number.POSITIVE_INFINITY } = {}): void {
      if (isEnding) return
      if (waiting.length >= maxEvents || waitingBytes + text.length > maxBytes) {
        body.destroy()
        return
      }
      waiting.push({ text, staleAt: performance.now() + freshMs })
      waitingBytes += text.length
      wake()
    },

    /** Sends what is waiting and ends. */
    end,
  }
}

/** Small texts together, so that a long preface does not cost a step each. */
async function* inChunks(texts: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  let chunk = ''
  for await (const text of texts) {
    chunk += text
    if (chunk.length < CHUNK_BYTES) continue
    yield chunk
    chunk = ''
  }
  if (chunk !== '') yield chunk
}
