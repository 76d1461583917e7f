/** Server-sent events out of bytes that arrive in pieces (HTML Standard, section 9.2.6, "Interpreting an event stream"). */

export interface ServerSentEvent {
  /** The last id sent so far. */
  id: string
  event: string
  data: string
}

/** Somebody who sends a line without an end must not fill the memory. */
const LONGEST_EVENT = 65_536

export class OversizedEvent extends Error {
  constructor() {
    super(`An event of the stream is longer than ${LONGEST_EVENT} characters.`)
    this.name = 'OversizedEvent'
  }
}

/** Answers a function that takes the next bytes and calls back for each event that they complete. */
export function createSseParser(onEvent: (event: ServerSentEvent) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder() // drops a leading byte order mark, as it has to
  let rest = ''
  let lastWasReturn = false
  let id = ''
  let event = ''
  let data: string[] = []
  let length = 0

  const dispatch = (): void => {
    if (data.length > 0) onEvent({ id, event: event || 'message', data: data.join('\n') })
    event = ''
    data = []
    length = 0
  }

  const takeLine = (line: string): void => {
    if (line === '') {
      dispatch()
      return
    }
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    length += line.length
    if (length > LONGEST_EVENT) throw new OversizedEvent()
    if (name === 'data') data.push(value)
    else if (name === 'event') event = value
    else if (name === 'id' && !value.includes('\0')) id = value
    // `retry` and whatever else there may be: how to reconnect is decided here; a line that begins with ":" is a comment.
  }

  return (bytes) => {
    let text = decoder.decode(bytes, { stream: true })
    if (text === '') return
    // A line feed right after a carriage return belongs to it, even when it comes in the next piece.
    if (lastWasReturn && text.startsWith('\n')) text = text.slice(1)
    lastWasReturn = text === '' ? false : text.endsWith('\r')
    const lines = (rest + text).split(/\r\n|\n|\r/)
    rest = lines.pop() ?? ''
    for (const line of lines) takeLine(line)
    if (rest.length > LONGEST_EVENT) throw new OversizedEvent()
  }
}
