/** Calls of the authorization server: a deadline, no redirects, no answer larger than it can reasonably be. */

export type Fetch = typeof globalThis.fetch

export const DEADLINE_MS = 3_000
const LARGEST_ANSWER = 1_048_576

/** The server has answered, but not as it should. */
export class UnexpectedAnswer extends Error {
  readonly status: number

  constructor(url: string, status: number, detail = `answered ${status}`) {
    super(`${url} ${detail}`)
    this.name = 'UnexpectedAnswer'
    this.status = status
  }
}

/** The JSON object at a URL. Throws UnexpectedAnswer, or what fetch throws. */
export async function fetchJson(fetch: Fetch, url: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  // A redirect would carry credentials, and trust, to somewhere nobody has configured.
  const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(DEADLINE_MS) })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new UnexpectedAnswer(url, response.status)
  }
  const value: unknown = JSON.parse(await boundedText(url, response))
  if (!isObject(value)) throw new UnexpectedAnswer(url, 200, 'answered no JSON object')
  return value
}

async function boundedText(url: string, response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > LARGEST_ANSWER) throw new UnexpectedAnswer(url, 200, 'answered too much')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Milliseconds of a clock that nobody can set; for lives and deadlines inside this process. */
export const monotonicMs = (): number => performance.now()
