/** Load by wrk (https://github.com/wg/wrk): one thread, a fixed number of connections, requests made before the run. */
import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pinnedTo } from './process.ts'

const run = promisify(execFile)

export interface Request {
  method: string
  path: string
  headers: Record<string, string>
  body?: string
}

export interface Load {
  requests: number
  rps: number
  p50Ms: number
  p99Ms: number
  /** Answers that were no success, and sockets that failed. */
  failures: number
}

const CONNECTIONS = 32

/** Writes the requests as a script that goes round them. A 10,000 take a few MB. */
export async function scriptOf(requests: readonly Request[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'usher-bench-'))
  const file = join(directory, 'requests.lua')
  const lines = requests.map(({ method, path, headers, body }) => {
    const fields = Object.entries(headers).map(([name, value]) => `[ ${text(name)} ]=${text(value)}`)
    return `list[#list+1]=wrk.format(${text(method)},${text(path)},{${fields.join(',')}},${body === undefined ? 'nil' : text(body)})`
  })
  // Formatting needs the address, which is known once the run begins; functions are bounded in size, so it is cut in parts.
  const parts: string[] = []
  for (let from = 0; from < lines.length; from += 200) {
    parts.push(`local function part${parts.length}()\n${lines.slice(from, from + 200).join('\n')}\nend`)
  }
  const chunks = parts.map((part, place) => `do ${part}\nparts[#parts+1]=part${place} end`)
  await writeFile(
    file,
    `list={}\nparts={}\n${chunks.join('\n')}
function init(args)
  for _,part in ipairs(parts) do part() end
  at=math.random(#list)
  local pause=tonumber(args[1])
  if pause then function delay() return math.random(0,2*pause) end end
end
function request() at=at%#list+1 return list[at] end
function done(summary,latency)
  local e=summary.errors
  io.write(string.format('RESULT %d %d %d %d %d\\n',summary.requests,summary.duration,latency:percentile(50),latency:percentile(99),e.connect+e.read+e.write+e.status+e.timeout))
end
`,
  )
  return file
}

const text = (value: string): string => `[==[${value}]==]`

interface Shape {
  connections?: number | undefined
  /** Of a connection between an answer and its next request, on average; none unless told. */
  pauseMs?: number | undefined
}

/** Runs a script against an address for so many seconds. */
export async function load(
  address: string,
  script: string,
  seconds: number,
  { connections = CONNECTIONS, pauseMs }: Shape = {},
): Promise<Load> {
  const [program = '', ...rest] = pinnedTo(1, ['wrk'])
  const args = pauseMs === undefined ? [] : ['--', String(pauseMs)]
  const flags = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script, address, ...args]
  const { stdout } = await run(program, [...rest, ...flags], { maxBuffer: 2 ** 24 })
  const [, requests, micros, p50, p99, failures] = /RESULT (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(stdout) ?? []
  if (requests === undefined) throw new Error(`wrk said nothing of a result:\n${stdout}`)
  return {
    requests: Number(requests),
    rps: Number(requests) / (Number(micros) / 1e6),
    p50Ms: Number(p50) / 1000,
    p99Ms: Number(p99) / 1000,
    failures: Number(failures),
  }
}
