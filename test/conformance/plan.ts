/** One plan of the suite while it is tested: its flows, and what has to grow old before a module can be judged. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Parameters } from '../support/relying-party.ts'
import type { Certification } from './certification.ts'
import { createFlows, type Flow, type Flows } from './code-flow.ts'

export interface Plan {
  title: string
  /** Once per plan, before its first test. The waits go on while other modules run. */
  begin(certification: Certification): Promise<void>
  certification(): Certification
  flows(): Flows
  /** A flow that was finished at least two seconds ago, with its auth_time. */
  twoSecondsAgo(): Promise<Flow>
  /** A flow whose code was redeemed at least thirty seconds ago. */
  thirtySecondsAgo(): Promise<Flow>
}

interface Begun {
  certification: Certification
  flows: Flows
  twoSecondsAgo: Promise<Flow>
  thirtySecondsAgo: Promise<Flow>
}

export function createPlan(title: string, parameters: Parameters): Plan {
  let begun: Begun | undefined
  const started = (): Begun => {
    if (!begun) throw new Error(`${title} has not begun`)
    return begun
  }
  return {
    title,
    async begin(certification) {
      const flows = createFlows(certification, parameters)
      const early = await Promise.all([flows.codeFlow({ params: { max_age: '15000' } }), flows.codeFlow()])
      begun = {
        certification,
        flows,
        twoSecondsAgo: delay(2_100, early[0], { ref: false }),
        thirtySecondsAgo: delay(30_000, early[1], { ref: false }),
      }
    },
    certification: () => started().certification,
    flows: () => started().flows,
    twoSecondsAgo: () => started().twoSecondsAgo,
    thirtySecondsAgo: () => started().thirtySecondsAgo,
  }
}
