import { expect } from 'chai'
import fc from 'fast-check'
import { createSseParser, OversizedEvent, type ServerSentEvent } from '../../src/verifier/sse-parser.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

function parsed(...pieces: (string | Uint8Array)[]): ServerSentEvent[] {
  const events: ServerSentEvent[] = []
  const parse = createSseParser((event) => events.push(event))
  for (const piece of pieces) parse(typeof piece === 'string' ? bytesOf(piece) : piece)
  return events
}

describe('the parser of server-sent events', () => {
  it('reads an event with all it has', () => {
    expect(parsed('id: 7\nevent: revoked\ndata: {"a":1}\n\n')).to.deep.equal([
      { id: '7', event: 'revoked', data: '{"a":1}' },
    ])
  })

  it('keeps the id for the events after it and names an event without a name', () => {
    expect(parsed('id: 7\ndata: a\n\ndata: b\n\n')).to.deep.equal([
      { id: '7', event: 'message', data: 'a' },
      { id: '7', event: 'message', data: 'b' },
    ])
  })

  it('joins lines of data, drops one space, and takes a name without a colon as empty', () => {
    expect(parsed('data:  a\ndata\ndata:b\n\n')[0]?.data).to.equal(' a\n\nb')
  })

  it('passes over comments, retry, unknown names, ids with NUL and events without data', () => {
    expect(parsed(': hello\nretry: 5\nfoo: bar\nid: a\0b\nevent: x\n\ndata: y\n\n')).to.deep.equal([
      { id: '', event: 'message', data: 'y' },
    ])
  })

  it('passes over a byte order mark at the beginning', () => {
    expect(parsed('\uFEFFdata: a\n\n')).to.have.length(1)
  })

  it('does not give out what has no end yet', () => {
    expect(parsed('data: a\n')).to.deep.equal([])
  })

  it('refuses a line or an event that has no end', () => {
    expect(() => parsed(`data: ${'a'.repeat(70_000)}`)).to.throw(OversizedEvent)
    expect(() => parsed(`data: ${'a'.repeat(1_000)}\n`.repeat(70))).to.throw(OversizedEvent)
  })

  it('reads the same however the bytes are cut and the lines end', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => value.replaceAll(/[\r\n\0]/g, ''))
    const event = fc.record({ id: text, event: text.filter((name) => name !== ''), data: text })
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 5 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(200), { maxLength: 20 }),
        (events, end, cuts) => {
          const lines = events.flatMap(({ id, event: name, data }) => [
            ...[`id: ${id}`, `event: ${name}`, `data: ${data}`, ''],
          ])
          const bytes = bytesOf([...lines, ''].join(end))
          const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
          const pieces = places.slice(1).map((place, index) => bytes.slice(places[index], place))
          expect(parsed(...pieces)).to.deep.equal(events)
        },
      ),
    )
  })
})
