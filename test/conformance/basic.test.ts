/** The basic plan, by redirect and by form post. Both are tested here so that their waits overlap. */
import { requestModules } from './basic-requests.ts'
import { sessionModules } from './basic-sessions.ts'
import { agedCodeModules, tokenModules } from './basic-tokens.ts'
import { type Certification, startCertification } from './certification.ts'
import { createPlan } from './plan.ts'

const plans = [
  createPlan('basic certification plan', {}),
  createPlan('form post basic certification plan', { response_mode: 'form_post' }),
]

describe('conformance', () => {
  let certification: Certification

  before(async function () {
    this.timeout(30_000)
    certification = await startCertification()
    for (const plan of plans) await plan.begin(certification)
  })
  after(() => certification?.stop())

  for (const plan of plans) {
    describe(plan.title, () => {
      requestModules(plan)
      sessionModules(plan)
      tokenModules(plan)
    })
  }

  // Last, so that the other modules of both plans fill the thirty seconds.
  for (const plan of plans) {
    describe(plan.title, () => agedCodeModules(plan))
  }
})
