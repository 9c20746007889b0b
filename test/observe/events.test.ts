import { readFileSync } from 'node:fs'
import t from 'tap'
import type { AgentEvents, EventName } from '../../src/core/events.ts'
import { createCounters, createEvents } from '../../src/observe/events.ts'
import { createLog, type LogLevel } from '../../src/observe/log.ts'
import { fakeClock } from './fake-clock.ts'

const error = Object.assign(new Error("EACCES: permission denied, open '/logs/a.log'"), { code: 'EACCES' })
const file = { source: 'containers', path: '/logs/a.log' }
const send = { sink: 'loki', lane: 'tenant-a' }

/** Each event once, with what its line must name. */
const samples: { [Name in EventName]: [detail: AgentEvents[Name], level: string, ...named: string[]] } = {
  'source.empty': [{ source: 'pods', paths: ['/logs/*.log'] }, 'warn', 'pods', 'matches /logs/*.log'],
  'file.refused': [{ ...file, reason: 'a FIFO' }, 'warn', '/logs/a.log', 'a FIFO'],
  'file.error': [{ ...file, operation: 'open', error }, 'warn', '/logs/a.log', 'open', 'permission denied'],
  'file.opened': [
    { ...file, lineage: 'l', sink: 'loki', offset: 42, resumed: true },
    'debug',
    '/logs/a.log',
    '42',
    'checkpointed',
  ],
  'file.rotated': [{ ...file, lineage: 'l' }, 'debug', '/logs/a.log'],
  'file.truncated': [{ ...file, lineage: 'l', fromBytes: 900, toBytes: 3 }, 'info', '/logs/a.log', '900', '3'],
  'lineage.gone': [{ source: 'containers', lineage: 'shop/a/b' }, 'debug', 'shop/a/b'],
  'bytes.lost': [
    { sink: 'loki', path: '/logs/a.log', lineage: 'l', fromOffset: 10, toOffset: null, cause: 'hold limit' },
    'error',
    'loki',
    '/logs/a.log',
    '10',
    'unknown end',
    'hold limit',
  ],
  'bytes.skipped': [
    { sink: 'loki', path: '/logs/a.log', lineage: 'l', bytes: 77, lines: 7, rule: 'startAgeMax' },
    'info',
    '77',
    '7 lines',
    '/logs/a.log',
    'startAgeMax',
  ],
  'lines.marked': [{ ...file, mark: 'not_cri', lines: 9 }, 'info', '9', '/logs/a.log', 'not_cri'],
  'lines.redacted': [{ source: 'containers', rule: 'cards', lines: 3 }, 'debug', 'containers', 'cards', '3'],
  'audit.gap': [
    {
      source: 'audit',
      sink: 'loki',
      path: '/a.log',
      finding: 'silence',
      confidence: 'likely',
      text: 'no event since 8',
    },
    'warn',
    '/a.log',
    'likely gap',
    'no event since 8',
  ],
  'audit.stopped': [{ source: 'audit', reason: 'no policy' }, 'error', 'audit', 'no policy'],
  'webhook.listening': [{ source: 'hook', address: '127.0.0.1:9443' }, 'info', 'hook', '127.0.0.1:9443'],
  'webhook.failed': [{ source: 'hook', error }, 'error', 'hook', 'permission denied'],
  'webhook.refused': [{ source: 'hook', status: 401, reason: 'no token' }, 'warn', 'hook', '401', 'no token'],
  'webhook.shed': [{ source: 'hook', reason: 'too much at once' }, 'warn', 'hook', 'too much at once'],
  'webhook.full': [{ source: 'hook', bytes: 4711 }, 'error', 'hook', '4711'],
  'webhook.invalid': [{ source: 'hook', apiServer: 'cp-1', problem: 'no JSON' }, 'error', 'hook', 'cp-1', 'no JSON'],
  'webhook.missing': [
    { source: 'hook', apiServer: 'cp-1', message: 'taffrail: lost 1 batch of cp-1' },
    'error',
    'lost 1 batch of cp-1',
  ],
  'sink.retry': [
    { ...send, status: 429, code: '429', message: 'ingestion rate limit', attempt: 3, delayMs: 1500 },
    'warn',
    'loki',
    '429',
    'ingestion rate limit',
    'tenant-a',
    '1.5 s',
  ],
  'sink.halted': [
    { sink: 'loki', status: 401, message: 'no org id', delayMs: 60_000 },
    'error',
    'loki',
    '401',
    'no org id',
  ],
  'sink.recovered': [{ ...send, attempts: 12 }, 'info', 'loki', 'tenant-a', '12'],
  'sink.split': [{ ...send, reason: 'too_large', records: 100 }, 'info', 'loki', '100', 'too_large'],
  'records.deadLettered': [
    { ...send, reason: 'too_old', records: 4, bytes: 400, message: 'entry too far behind' },
    'warn',
    'loki',
    '4 records',
    'too_old',
    'entry too far behind',
  ],
  'records.late': [{ ...send, records: 8 }, 'info', 'loki', '8'],
  'checkpoint.failed': [{ path: '/state/checkpoints', error }, 'error', '/state/checkpoints', 'permission denied'],
  'checkpoint.recovered': [{ path: '/state/checkpoints' }, 'info', '/state/checkpoints'],
  'checkpoint.damaged': [
    { path: '/state/checkpoints', recordsKept: 5, atByte: 321, detail: 'bad sum', movedTo: '/state/damaged' },
    'error',
    '/state/checkpoints',
    '321',
    'bad sum',
    '5',
    '/state/damaged',
  ],
  'deadLetters.evicted': [
    { sink: 'loki', path: '/state/dead-letters/loki.1.ndjson', records: 3, bytes: 300 },
    'error',
    'loki',
    'the oldest 3',
  ],
  'records.dropped': [
    { sink: 'loki', lane: 'shop', reason: 'too_old', records: 2, bytes: 200, message: 'too old' },
    'error',
    'loki',
    'too_old',
  ],
  'deadLetters.failed': [{ path: '/state/dead', error }, 'error', '/state/dead', 'permission denied'],
  'kubernetes.failed': [
    { resource: 'pods', status: 503, error, delayMs: 1500 },
    'warn',
    'pods',
    'permission denied',
    '1.5 s',
  ],
  'kubernetes.forbidden': [
    { resource: 'pods', message: 'User "x" cannot list', rule: '{resources: [pods]}', delayMs: 1000 },
    'error',
    'pods',
    'cannot list',
    '{resources: [pods]}',
  ],
  'kubernetes.recovered': [{ resource: 'pods' }, 'info', 'pods'],
  'kubernetes.relisted': [{ resource: 'pods', reason: 'expired' }, 'info', 'pods', 'too old'],
  'annotation.invalid': [
    { lineage: 'shop/a/b', annotation: 'taffrail.dev/exclude', problem: 'neither true nor false' },
    'warn',
    'shop/a/b',
    'taffrail.dev/exclude',
    'neither true nor false',
  ],
  'metadata.missing': [
    { source: 'containers', lineage: 'shop/a/b', waitedMs: 5000 },
    'warn',
    'shop/a/b',
    'metadata=path',
    '5.0 s',
  ],
  'config.reloaded': [{ path: '/etc/taffrail.yaml' }, 'info', '/etc/taffrail.yaml'],
  'config.rejected': [{ path: '/etc/taffrail.yaml', errors: ['line 3', 'line 9'] }, 'error', 'line 3; line 9'],
  'agent.started': [{ version: '1.2.3', node: 'n1', sources: 2, sinks: 1 }, 'info', '1.2.3', 'n1'],
  'agent.stopping': [{ reason: 'SIGTERM' }, 'info', 'SIGTERM'],
  'agent.stopped': [
    { drained: false, left: [{ sink: 'loki', bytes: 123, files: 4 }] },
    'info',
    'next start',
    '123',
    'loki',
  ],
  'hints.failed': [{ path: '/logs', error }, 'warn', '/logs', 'permission denied'],
}

function setUp(level: LogLevel = 'debug') {
  const clock = fakeClock()
  const lines: Record<string, unknown>[] = []
  const counters = createCounters()
  const log = createLog({ level, destination: { write: (line: string) => lines.push(JSON.parse(line)) } })
  return { clock, lines, counters, events: createEvents(log, counters, clock) }
}

t.test('every event that the rooms may emit has its counter and its line', async (t) => {
  const source = readFileSync(new URL('../../src/core/events.ts', import.meta.url), 'utf8')
  const names = [...source.matchAll(/^ {2}'(\w+\.\w+)': \{/gm)].map(([, name]) => name!)
  t.ok(names.length > 20)
  t.same(Object.keys(createCounters().events).sort(), names.sort())
  t.same(Object.keys(samples).sort(), names)

  for (const name of names as EventName[]) {
    const { lines, counters, events } = setUp()
    const [detail, level, ...named] = samples[name]
    events.emit(name, detail)
    t.equal(counters.events[name], 1, name)
    t.match(lines, [{ level, event: name, msg: String }], name)
    t.equal(lines.length, 1, name)
    for (const word of named) t.ok(String(lines[0]!.msg).includes(word), `${name}: ${lines[0]!.msg} names ${word}`)
    for (const [key, value] of Object.entries(detail))
      if (key !== 'error') t.same(lines[0]![key], value, `${name} ${key}`)
  }
})

t.test('an error becomes its code and its message', async (t) => {
  const { lines, events } = setUp()
  events.emit('file.error', { ...file, operation: 'open', error })
  t.match(lines[0], { code: 'EACCES', error: error.message })
  events.emit('hints.failed', { path: '/logs', error: 'a thrown string' })
  t.match(lines[1], { code: 'UNKNOWN', error: 'a thrown string' })
})

t.test('counters see every event, the log one line a minute', async (t) => {
  const { clock, lines, counters, events } = setUp()
  const retry = { ...send, status: 503, code: '503', message: 'unavailable', attempt: 1, delayMs: 500 }
  for (let attempt = 1; attempt <= 50; attempt++) {
    clock.advance(1000)
    events.emit('sink.retry', { ...retry, lane: `lane-${attempt}`, attempt })
  }
  t.equal(lines.length, 1, 'the lanes of a sink fail together')
  const latestAt = new Date(clock.now()).toISOString()
  clock.advance(60_000)
  t.equal(lines.length, 2)
  t.match(lines[1], { attempt: 50, suppressed: 49, latestAt })
  t.equal(counters.events['sink.retry'], 50)
})

t.test('close writes what was held back', async (t) => {
  const { lines, events } = setUp()
  for (let i = 0; i < 3; i++) events.emit('bytes.lost', samples['bytes.lost'][0])
  t.equal(lines.length, 1)
  events.close()
  t.match(lines[1], { event: 'bytes.lost', suppressed: 2 })
})

t.test('marked lines and late records are summed', async (t) => {
  const { counters, events } = setUp('silent')
  events.emit('lines.marked', { ...file, mark: 'not_cri', lines: 9 })
  events.emit('lines.marked', { ...file, mark: 'not_cri', lines: 2 })
  events.emit('records.late', { ...send, records: 8 })
  t.same([...counters.markedLines], [['not_cri', 11]])
  t.same([...counters.lateRecords], [['loki', 8]])
})

t.test('below the level of the log nothing is held back and everything counted', async (t) => {
  const { clock, lines, counters, events } = setUp('error')
  for (let i = 0; i < 3; i++) events.emit('file.rotated', { ...file, lineage: 'l' })
  t.same([lines.length, clock.scheduled(), counters.events['file.rotated']], [0, 0, 3])
})

t.test("a sink's endless answer does not become an endless line", async (t) => {
  const { lines, events } = setUp()
  events.emit('sink.halted', { sink: 'loki', status: 403, message: 'x'.repeat(1e6), delayMs: 1 })
  t.ok(JSON.stringify(lines[0]).length < 3000)
})
