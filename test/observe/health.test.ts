import t from 'tap'
import { health, readiness } from '../../src/observe/health.ts'
import { sampleStatus } from './sample.ts'

t.test('health gives the reasons, one a line', async (t) => {
  t.same(health(sampleStatus()), { status: 200, text: 'ok' })
  t.same(health({ ...sampleStatus(), healthy: false, reasons: ['sink loki: nothing acked for 900 s', 'no disk'] }), {
    status: 503,
    text: 'sink loki: nothing acked for 900 s\nno disk',
  })
  t.equal(health({ ...sampleStatus(), healthy: false }).status, 503)
})

t.test('readiness begins with the first discovery and ends with the drain', async (t) => {
  t.same(readiness(sampleStatus()), { status: 200, text: 'ok' })
  t.match(readiness({ ...sampleStatus(), ready: false }), { status: 503, text: /starting/ })
  t.match(readiness({ ...sampleStatus(), phase: 'draining' }), { status: 503, text: /draining/ })
})

t.test('a sink that is down makes the agent unhealthy, not unready', async (t) => {
  t.equal(readiness({ ...sampleStatus(), healthy: false }).status, 200)
})
