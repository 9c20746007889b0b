// A cluster that does not answer, or answers nonsense: nothing is held, nothing is given up, and when it is well again every line
// is there once.
import t from 'tap'
import type { BulkFault } from '../support/memory-elastic.ts'
import { changed, error, exact, MINUTE_MS, status, worldOf } from './elastic-world.ts'
import { texts } from './world.ts'

const MINUTES = 8

const DOWN: Record<string, BulkFault> = {
  '503': status(503, 'no upstream'),
  '500': error(500, 'null_pointer_exception', 'x'),
  '429 with Retry-After': status(429, '', { 'retry-after': '20' }),
  '429 of the circuit breaker': error(429, 'circuit_breaking_exception', '[parent] Data too large'),
  '401': error(401, 'security_exception', 'missing authentication credentials'),
  '403 of a block': error(403, 'cluster_block_exception', 'blocked by: [FORBIDDEN/6/cluster read-only (api)];'),
  '404': status(404, 'nothing here'),
  '400 that is nobody’s fault': error(
    400,
    'illegal_argument_exception',
    'request [/_bulk] contains unrecognized parameter: [x]',
  ),
  'a login page': status(200, '<html>Log in</html>', { 'content-type': 'text/html' }),
  'reset before anything is stored': { kind: 'reset', store: false },
  'reset after everything was stored': { kind: 'reset', store: true },
  'silence after everything was stored': { kind: 'hang', store: true },
  'an answer that is cut': { kind: 'change', body: (body) => body.slice(0, -2) },
  'an answer about too few': { kind: 'change', body: (body) => changed(body, (items) => items.slice(1)) },
  'an answer about too many': { kind: 'change', body: (body) => changed(body, (items) => [...items, items[0]]) },
  'an answer about others': {
    kind: 'change',
    body: (body) => body.replaceAll(/"_id":"./g, '"_id":"!').replace('"errors":false', '"errors":true'),
  },
}

for (const [name, fault] of Object.entries(DOWN)) {
  t.test(`down: ${name}`, async (t) => {
    const world = worldOf(t)
    for (let pod = 0; pod < 10; pod++) world.write(`pod-${pod}`, texts(`before ${pod}`, 20))
    world.start()
    await world.clock.advance(5000)
    world.elastic.fault = () => fault
    for (let pod = 0; pod < 10; pod++) world.write(`pod-${pod}`, texts(`during ${pod}`, 50))
    for (let minute = 0; minute < MINUTES; minute++) {
      await world.clock.advance(MINUTE_MS)
      t.strictSame(world.ledger('es').imbalance(), { bytes: 0, lines: 0 })
      t.ok(world.agent.budget.usedBytes <= world.agent.budget.totalBytes)
    }
    const during = world.elastic.seen.length
    t.ok(during > 6 && during < 200, `${during} bulks`)
    t.not(world.agent.status().sinks[0]?.state, 'ok')
    t.strictSame(world.letters.letters, [])
    world.elastic.fault = null
    await world.clock.advance(3 * MINUTE_MS)
    await world.drain()
    exact(t, world)
    world.accounted('es')
    t.equal(world.agent.status().sinks[0]?.state, 'ok')
    t.equal(world.agent.status().sinks[0]?.lastError, null)
  })
}
