import type { Clock } from '../clock.ts'

export interface HealthReport {
  ready: boolean
  /** Each dependency by name. */
  checks: Record<string, 'ok' | 'failed'>
}

export interface HealthDeps {
  /** Asks a dependency whether it answers; rejects when it does not. */
  checks: Readonly<Record<string, () => Promise<void>>>
  clock: Clock
  /** How long a dependency may take. */
  deadlineMs?: number
  /** How long a report is given again, so that probes cost nothing. */
  cacheMs?: number
}

/** Whether the dependencies answer, asked at most once per `cacheMs` however many probes come. */
export function createHealth({ checks, clock, deadlineMs = 1000, cacheMs = 1000 }: HealthDeps): {
  report(): Promise<HealthReport>
} {
  let asked: { at: number; report: Promise<HealthReport> } | undefined

  async function ask(): Promise<HealthReport> {
    const answers = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, await answersWithin(check, deadlineMs)] as const),
    )
    return { ready: answers.every(([, answer]) => answer === 'ok'), checks: Object.fromEntries(answers) }
  }

  return {
    async report() {
      if (asked === undefined || clock.now() - asked.at >= cacheMs) asked = { at: clock.now(), report: ask() }
      return asked.report
    },
  }
}

async function answersWithin(check: () => Promise<void>, deadlineMs: number): Promise<'ok' | 'failed'> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<'failed'>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, 'failed')
  })
  const answer = Promise.resolve()
    .then(check)
    .then(
      () => 'ok' as const,
      () => 'failed' as const,
    )
  return Promise.race([answer, deadline]).finally(() => clearTimeout(timer))
}
