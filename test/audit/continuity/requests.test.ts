// Requests that begin and do not end: what is told after an hour, how surely, and what must not be.
import t from 'tap'
import { OpenRequests } from '../../../src/audit/continuity/requests.ts'
import { EventFacts, REQUEST_URI } from '../../../src/audit/event.ts'
import fc from '../../support/properties.ts'
import { event, Log, newId, type Said } from './events.ts'

const HOUR = 3600
const STARTED = 'ResponseStarted'
const WATCH: Said = { verb: 'watch', resource: 'pods', user: 'system:kube-scheduler', uri: '/api/v1/pods?watch=1' }
const EXEC: Said = { verb: 'get', resource: 'pods', subresource: 'exec', user: 'alice', code: 101 }

/** `pairs` of the request, each of which lasts for `seconds`. */
function pairs(log: Log, said: Said, pairs = 3, seconds = 400): Log {
  for (let i = 0; i < pairs; i++) {
    const id = newId()
    log.note({ ...said, id, stage: STARTED })
    log.beat(seconds)
    log.note({ ...said, id })
  }
  return log
}

function open(log: Log, said: Said): string {
  const id = newId()
  log.note({ ...said, id, stage: STARTED })
  return id
}

t.test('a watch has no end after an hour, where others of its kind have: likely, told once', async (t) => {
  const log = pairs(new Log(), WATCH)
  const id = open(log, WATCH)
  log.beat(HOUR)
  t.strictSame(log.told, [])
  log.beat(400)
  t.strictSame(log.told, ['likely unended'])
  t.equal(
    log.found[0]?.text,
    `1 request begun since 2026-11-21T08:20:00Z have no end in the log after an hour: watch pods (auditID ${id})`.replace(
      'have',
      'has',
    ),
  )
  log.beat(3 * HOUR)
  t.equal(log.found.length, 1)
})

t.test('many at once are one record', async (t) => {
  const log = pairs(new Log(), WATCH)
  for (let i = 0; i < 300; i++) open(log, WATCH)
  log.beat(2 * HOUR)
  t.strictSame(log.told, ['likely unended'])
  t.match(log.found[0]?.text, /^300 requests begun since .* have no end .*, 296 more$/)
})

t.test('a session may last: possible', async (t) => {
  const log = pairs(new Log(), EXEC)
  const id = open(log, EXEC)
  log.beat(2 * HOUR)
  t.strictSame(log.told, ['possible unended'])
  // It was still open; from now on such a session is known to last.
  log.note({ ...EXEC, id })
  open(log, EXEC)
  log.beat(2 * HOUR)
  t.equal(log.found.length, 1)
})

t.test(
  'what was said of one kind is not taken for another, whose parts make the same text, nor forgotten of the same one',
  async (t) => {
    const log = pairs(new Log(), { ...WATCH, resource: 'pods', user: 'alice' })
    open(log, { ...WATCH, resource: 'podsa', user: 'lice' })
    open(log, { ...WATCH, resource: 'pod', user: 'salice' })
    open(log, { ...WATCH, resource: 'pods', subresource: 'x', user: 'alice' })
    log.beat(2 * HOUR)
    t.strictSame(log.told, [])
    const nodes = pairs(new Log(), { ...WATCH, user: 'system:node:a' })
    open(nodes, { ...WATCH, user: 'system:node:b' })
    open(nodes, { ...WATCH, user: 'system:node:a' })
    nodes.beat(2 * HOUR)
    t.match(nodes.found[0]?.text, /^2 requests begun/)
  },
)

t.test('near misses', async (t) => {
  const cases: [name: string, run: (log: Log) => void][] = [
    ['it ends within the hour', (log) => pairs(log, WATCH, 2, HOUR - 100)],
    ['it panics', (log) => log.note({ ...WATCH, id: open(log, WATCH), stage: 'Panic' })],
    [
      'no end of its kind was ever seen: the policy may leave them out',
      (log) => open(log, { ...WATCH, resource: 'nodes' }),
    ],
    ["of another user's only", (log) => open(log, { ...WATCH, user: 'bob' })],
    ['it asks for longer', (log) => open(log, { ...WATCH, uri: '/api/v1/pods?watch=1&timeoutSeconds=90000' })],
    ['401: there is never an end', (log) => open(log, { ...WATCH, code: 401 })],
    ['RequestReceived', (log) => log.note({ ...WATCH, stage: 'RequestReceived' })],
    ['the policy leaves it out', (log) => log.note({ ...WATCH, stage: STARTED }, log.at, false)],
    ["a client's own id of odd characters", (log) => log.note({ ...WATCH, stage: STARTED, id: 'an id "of mine"' })],
    ['an id of a kilobyte', (log) => log.note({ ...WATCH, stage: STARTED, id: 'x'.repeat(1000) })],
  ]
  for (const [name, run] of cases) {
    const log = pairs(new Log(), WATCH)
    run(log)
    log.beat(3 * HOUR)
    t.strictSame(log.told, [], name)
  }
})

t.test('the end comes before the start, or the start twice, as over a webhook', async (t) => {
  const log = pairs(new Log(), WATCH)
  const id = newId()
  log.note({ ...WATCH, id })
  log.note({ ...WATCH, id, stage: STARTED })
  const other = newId()
  for (const stage of [STARTED, STARTED, 'ResponseComplete', STARTED]) log.note({ ...WATCH, id: other, stage })
  log.beat(3 * HOUR)
  t.strictSame(log.told, [])
})

t.test('the start comes long after the end: known for two thousand ends more', async (t) => {
  const log = pairs(new Log(), WATCH)
  const id = newId()
  log.note({ ...WATCH, id })
  for (let i = 0; i < 2048; i++) log.note({ ...WATCH, id: newId() })
  log.note({ ...WATCH, id, stage: STARTED })
  log.beat(2 * HOUR)
  t.strictSame(log.told, [])
})

t.test('a log that holds only a part of the requests says nothing', async (t) => {
  const log = pairs(new Log().beat(2 * HOUR), WATCH)
  for (let i = 0; i < 3; i++) log.note({ ...WATCH, id: newId() })
  open(log, WATCH)
  log.beat(3 * HOUR)
  t.strictSame(log.told, [])
})

t.test('watches that last for longer here', async (t) => {
  const log = pairs(new Log(), WATCH, 3, 2 * HOUR)
  const before = log.found.length
  open(log, WATCH)
  log.beat(2 * HOUR)
  t.equal(log.found.length, before, 'not after two hours')
  log.beat(3 * HOUR)
  t.equal(log.found.length, before + 1, 'but after five')
})

t.test('a clock that is set forward by hours, and a log in which nothing happens, make no hour', async (t) => {
  for (const step of [6 * HOUR, 365 * 24 * HOUR]) {
    const log = pairs(new Log(), WATCH)
    const id = open(log, WATCH)
    log.at += step
    log.beat(60)
    log.note({ ...WATCH, id })
    log.beat(2 * HOUR)
    t.strictSame(log.told, [])
  }
})

t.test('what a hole may hold is not missed', async (t) => {
  const log = pairs(new Log(), WATCH)
  open(log, WATCH)
  log.continuity.noteHole()
  log.beat(2 * HOUR)
  t.strictSame(log.told, [])
})

t.test('over a restart those that have been open for longest are followed, and told once', async (t) => {
  const log = pairs(new Log(), WATCH)
  open(log, WATCH)
  for (let i = 0; i < 20; i++) open(log.beat(60), WATCH)
  log.restart().beat(3 * HOUR)
  t.strictSame([...new Set(log.told)], ['likely unended'])
  t.equal(
    log.found.reduce((sum, { text }) => sum + Number.parseInt(text, 10), 0),
    8,
  )
  const after = log.found.length
  log.restart().beat(3 * HOUR)
  t.equal(log.found.length, after)
})

t.test('memory is bounded: the next ones are counted, and there is room again', async (t) => {
  const log = pairs(new Log(), WATCH)
  for (let i = 0; i < 8200; i++) open(log, WATCH)
  t.match(log.continuity.status(), { openRequests: 8192, untrackedRequests: 8 })
  for (let i = 0; i < 20_000; i++) log.note({ ...WATCH, id: newId() })
  log.beat(2 * HOUR)
  t.equal(log.continuity.status().openRequests, 0)
  for (let i = 0; i < 600; i++) log.note({ ...WATCH, resource: `r${i}`, stage: STARTED, id: newId() })
  t.ok(log.continuity.status().openRequests < 600, 'of kinds there are so many')
})

t.test('ids that end alike are told apart by nothing but themselves', async (t) => {
  const log = pairs(new Log(), WATCH)
  const ids = ['one-00000', 'two-00000', 'three-00000']
  for (const id of ids) log.note({ ...EXEC, id, stage: STARTED })
  log.note({ ...EXEC, id: 'other-00000', code: 200 })
  for (const [ended, id] of ids.entries()) {
    t.equal(log.continuity.status().openRequests, 3 - ended)
    log.note({ ...EXEC, id, code: 200 })
  }
  t.equal(log.continuity.status().openRequests, 0)
})

t.test('thousands are open at once: each finds its end', async (t) => {
  const log = pairs(new Log(), WATCH)
  const ids = Array.from({ length: 5000 }, () => open(log, EXEC))
  t.equal(log.continuity.status().openRequests, 5000)
  for (const id of ids) log.note({ ...EXEC, id, code: 200 })
  t.equal(log.continuity.status().openRequests, 0)
})

t.test('for how long the client asks, however the URI is written', async () => {
  const texts = [
    '/api',
    '?',
    '&',
    '\\u0026',
    '\\u003f',
    '\\u0074',
    '\\\\',
    'timeoutSeconds',
    'timeoutSecond',
    '=',
    '0',
    '7',
    '123456',
    'x',
  ]
  const likely = [
    '\\u003ftimeoutSeconds=7',
    '?timeoutSeconds=',
    '\\u0026timeoutSeconds=',
    '&timeoutSeconds=',
    '1234567',
    '12345678',
  ]
  const uris = fc.array(fc.constantFrom(...texts, ...likely), { maxLength: 9 }).map((pieces) => pieces.join(''))
  const facts = new EventFacts()
  fc.assert(
    fc.property(uris, (uri) => {
      const line = Buffer.from(event(0, { ...WATCH, stage: STARTED, uri: '@URI' }).replace('@URI', () => uri))
      if (!facts.read(line, 0, line.length)) throw new Error('no event')
      const requests = new OpenRequests()
      requests.note(facts, 0, true)
      const asked = /[?&]timeoutSeconds=(\d{1,7})(?:&|$)/.exec(facts.text(REQUEST_URI))
      return requests.save()[0]?.[3] === Number(asked?.[1] ?? 0)
    }),
    { numRuns: 3000 },
  )
})
