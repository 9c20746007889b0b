// A push never rejects: whatever comes between a message and its answer is an outcome.
import t from 'tap'
import { LokiRequests } from '../../../src/sinks/loki/requests.ts'
import { FakeClock } from '../../support/fake-clock.ts'

t.test('a message for which there is no memory is pushed again', async (t) => {
  const requests = new LokiRequests({} as never, new FakeClock(), {
    path: '/loki/api/v1/push',
    tenant: null,
    authorization: () => null,
    timeoutMs: 1000,
    compress: () => {
      throw new RangeError('Array buffer allocation failed')
    },
  })
  const { outcome } = await requests.push(Buffer.from('message'), null)
  t.match(outcome, { kind: 'retry', message: 'Array buffer allocation failed' })
  t.equal(requests.counts.lastError, 'Array buffer allocation failed')
})
