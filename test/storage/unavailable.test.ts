import { expect } from 'chai'
import { Unavailable } from '../../src/errors.ts'
import { forgetValues, isOutage, unavailableOr } from '../../src/storage/unavailable.ts'

const withCode = (code: string): Error => Object.assign(new Error('driver'), { code })

describe('a driver error', () => {
  const outages = [
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'].map(withCode),
    ...['08006', '53300', '57P01', '57P02', '57P03', '57014', '25006'].map(withCode),
    ...[
      'OOM command not allowed',
      'READONLY You can',
      'MISCONF Redis',
      'LOADING Redis is',
      'NOREPLICAS Not',
      'CLUSTERDOWN The',
    ].map((message) => new Error(message)),
    ...['Query read timeout', 'timeout exceeded when trying to connect', 'Connection terminated unexpectedly'].map(
      (message) => new Error(message),
    ),
    ...[
      'Command timed out',
      'Connection is closed.',
      "Stream isn't writeable and enableOfflineQueue options is false",
    ].map((message) => new Error(message)),
  ]
  for (const error of outages) {
    it(`becomes Unavailable with a time to come back: ${'code' in error ? error.code : error.message}`, () => {
      const mapped = unavailableOr('Redis', error)
      expect(mapped).to.be.instanceOf(Unavailable)
      expect(mapped).to.include({ status: 503, code: 'temporarily_unavailable', retryAfterSeconds: 1, cause: error })
    })
  }

  const answers = [
    withCode('23505'),
    withCode('40001'),
    new Error('WRONGTYPE Operation'),
    new Error('NOSCRIPT'),
    'text',
    undefined,
  ]
  for (const answer of answers) {
    it(`stays what it is when the store did answer: ${answer instanceof Error && 'code' in answer ? answer.code : answer}`, () => {
      expect(isOutage(answer)).to.equal(false)
      expect(unavailableOr('Redis', answer)).to.equal(answer)
    })
  }

  it('forgets what it repeats of the request and keeps what tells the fault', () => {
    const error = Object.assign(withCode('23514'), {
      constraint: 'accounts_username_check',
      detail: 'Failing row contains (secret)',
      params: ['secret'],
      query: 'insert secret',
      command: { name: 'set', args: ['secret'] },
      where: 'COPY secret',
    })
    forgetValues(error)
    expect({ ...error }).to.deep.equal({ code: '23514', constraint: 'accounts_username_check' })
  })
})
