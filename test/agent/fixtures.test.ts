// Each answer that was captured from a real Loki (test/fixtures/loki), as a scenario: what the embedded Loki can be made
// to say by itself it says, the rest is put into its mouth word for word. What must be stored is there once, what must
// be a dead letter is one, and there is nothing else.
import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { LokiSinkConfig } from '../../src/config/config.ts'
import type { LokiLimits } from '../../src/demo/loki-limits.ts'
import type { MemoryLoki } from './memory-loki.ts'
import { lokiConfig, texts, World, type WorldOptions } from './world.ts'

const FOLDER = new URL('../fixtures/loki/', import.meta.url)
const HOUR_MS = 3_600_000

interface Fixture {
  case: string
  status: number | string
  headers?: Record<string, string>
  body: string
}

const fixtures = new Map<string, Fixture>()
for (const file of readdirSync(FOLDER)) {
  const fixture = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Fixture
  fixtures.set(fixture.case, fixture)
}

type Lines = Parameters<World['write']>[1]

interface Scenario {
  lines: Lines | ((world: World) => Lines)
  limits?: Partial<LokiLimits>
  sink?: Partial<LokiSinkConfig>
  /** Before the agent starts; may write more, or set faults. */
  before?: (world: World, fixture: Fixture) => void | Promise<void>
  /** Texts of the lines that become dead letters, with the reason. */
  dead?: Record<string, string>
  /** Words of Loki's that the dead letters quote. */
  words?: RegExp
  /** Milliseconds until something is changed that lets everything through. */
  mend?: { afterMs: number; how: (world: World) => void }
  /** Beyond exactness. */
  check?: (t: Test, world: World) => void
}

/** The first `times` requests meet the fixture's own answer. */
const says =
  (times: number, matches: (loki: MemoryLoki) => boolean = () => true) =>
  (world: World, { status, headers, body }: Fixture) => {
    let left = times
    world.loki.fault = () =>
      matches(world.loki) && left-- > 0
        ? { kind: 'answer', status: Number(status), headers: headers ?? {}, body }
        : null
  }

/** Pushes that hold the pod's lines meet the fixture's own answer. */
const saysOf =
  (pod: string) =>
  (world: World, { status, headers, body }: Fixture) => {
    world.write('other', texts('other', 50))
    world.loki.fault = ({ push }) =>
      push?.streams.some(({ labels }) => labels.includes(`pod="${pod}"`))
        ? { kind: 'answer', status: Number(status), headers: headers ?? {}, body }
        : null
  }

const neverDead: Scenario['check'] = (t, world) => t.equal(world.events.of('records.deadLettered').length, 0)

/** An answer that only a person can mend: held back loudly, nothing given up, and on it goes. */
const halted: Scenario = {
  lines: texts('line', 20),
  before: says(3),
  check: (t, world) => {
    t.equal(world.events.of('sink.halted').length, 3)
    neverDead(t, world)
  },
}

const all = (lines: readonly string[], reason: string) => Object.fromEntries(lines.map((line) => [line, reason]))

/** An entry five minutes ahead: what is an hour behind it is too far behind. */
const ahead = (world: World) => ({ text: 'in five minutes', atMs: world.clock.now() + 300_000 })

const SCENARIOS: Record<string, Scenario> = {
  ok: { lines: ['hello'] },
  'json-content-type': { lines: ['from json'] },
  'no-entries': { lines: [], check: (t, world) => t.equal(world.loki.seen.length, 0) },
  'no-streams': halted,
  'bad-json': halted,
  'bad-protobuf': halted,
  'bad-snappy': halted,
  'bad-tenant': {
    lines: texts('line', 20),
    limits: { authEnabled: true },
    sink: { tenant: 'a/../b' },
    mend: { afterMs: 600_000, how: (world) => Object.assign(world.loki.store.limits, { authEnabled: false }) },
    check: (t, world) => {
      t.ok(world.events.of('sink.halted').length > 5)
      neverDead(t, world)
    },
  },
  'no-tenant': {
    lines: texts('line', 20),
    limits: { authEnabled: true },
    mend: { afterMs: 600_000, how: (world) => Object.assign(world.loki.store.limits, { authEnabled: false }) },
    check: (t, world) => {
      t.match(world.events.of('sink.halted')[0], { status: 401, message: /no org id/ })
      neverDead(t, world)
    },
  },
  'duplicate-entry': { lines: ['twice 1', 'twice 2'] },
  'timestamp-same-ns-different-line': { lines: ['a', 'b'] },
  'empty-line': { lines: ['before', '', 'after'] },
  'future-ok': { lines: (world) => ['now', ahead(world)] },
  'invalid-utf8-line': {
    lines: ['sound'],
    before: (world) => {
      world.raw(
        world.podPath('web'),
        Buffer.concat([Buffer.from('2026-11-21T08:00:00Z stdout F '), Buffer.from([0x61, 0xff, 0, 10])]),
      )
      world.written.get('web')?.push({ text: 'a\ufffd\0', stream: 'stdout' })
    },
  },
  'line-too-long': {
    lines: ['before', 'l'.repeat(300 * 1024), 'after'],
    sink: { lineBytesMax: 512 * 1024 },
    dead: { ['l'.repeat(300 * 1024)]: 'line_too_long' },
    words:
      /^max entry size '262144' bytes exceeded for stream '\{.*\}' while adding an entry with length '307200' bytes$/,
  },
  'too-old': {
    lines: (world) => [{ text: 'a month old', atMs: world.clock.now() - 30 * 24 * HOUR_MS }, 'fine too'],
    dead: { 'a month old': 'too_old' },
    words:
      /^entry for stream '\{.*\}' has timestamp too old: 2026-10-22T08:00:00Z, oldest acceptable timestamp is: 2026-11-14T08:00:/,
  },
  'timestamp-zero': {
    lines: [{ text: 'epoch', atMs: 0 }, 'now'],
    dead: { epoch: 'too_old' },
    words: /has timestamp too old: 1970-01-01T00:00:00Z/,
  },
  'too-far-in-future': {
    // Loki's clock is behind ours: what is of the near future here is too far there.
    lines: (world) => ['fine', { text: 'in nine minutes', atMs: world.clock.now() + 9 * 60_000 }],
    limits: { futureMsMax: 60_000 },
    dead: { 'in nine minutes': 'too_new' },
    words: /has timestamp too new: 2026-11-21T08:09:00Z$/,
  },
  'too-far-behind': {
    lines: (world) => {
      const now = world.clock.now()
      return [
        ahead(world),
        { text: 'three hours behind', atMs: now - 3 * HOUR_MS },
        { text: 'fine', atMs: now - 30_000 },
        { text: 'four hours behind', atMs: now - 4 * HOUR_MS },
      ]
    },
    check: (t, world) => {
      neverDead(t, world)
      t.strictSame(world.loki.lines({ late: '2026-11-21T05Z' }), ['three hours behind'])
      t.strictSame(world.loki.lines({ late: '2026-11-21T04Z' }), ['four hours behind'])
    },
  },
  'too-far-behind-many': {
    lines: (world) => [
      ahead(world),
      ...texts('behind', 30).map((text, i) => ({ text, atMs: world.clock.now() - 3 * HOUR_MS - 1000 * (i + 1) })),
    ],
    check: (t, world) => {
      neverDead(t, world)
      t.strictSame(world.loki.lines({ late: '2026-11-21T04Z' }), texts('behind', 30))
    },
  },
  'label-name-too-long': {
    lines: texts('line', 20),
    sink: { labels: { ['l'.repeat(2000)]: 'v' } },
    dead: all(texts('line', 20), 'label_name_too_long'),
    words: /^stream '\{app="web", .*/,
  },
  'label-value-too-long': {
    lines: texts('line', 20),
    sink: { labels: { team: 'v'.repeat(3000) } },
    dead: all(texts('line', 20), 'label_value_too_long'),
    words: /^stream '\{app="web", .*/,
  },
  'too-many-labels': {
    lines: texts('line', 20),
    sink: { labels: Object.fromEntries(texts('l', 20).map((name) => [name.replace(' ', ''), 'v'])) },
    dead: all(texts('line', 20), 'too_many_labels'),
    words: /has 28 label names; limit 15$/,
  },
  'duplicate-label': {
    lines: texts('line', 20),
    before: saysOf('web'),
    dead: all(texts('line', 20), 'duplicate_label'),
    words: /^stream '\{a="1", a="2", service_name="unknown_service"\}' has duplicate label name: 'a'$/,
  },
  'invalid-labels': {
    lines: texts('line', 20),
    before: saysOf('web'),
    dead: all(texts('line', 20), 'invalid_labels'),
    words: /^couldn't parse labels: 1:6: parse error: unexpected identifier "a" in label set, expected string$/,
  },
  'empty-labels': { lines: ['x'] },
  'structured-metadata-too-large': {
    lines: texts('line', 20),
    limits: { metadataBytesMax: 13 },
    before: (world) => world.write('a', texts('short uid', 20)),
    dead: all(texts('line', 20), 'metadata_too_large'),
    words: /has structured metadata too large: '14' bytes, limit: '13' bytes/,
  },
  'structured-metadata-too-many': {
    lines: texts('line', 5),
    limits: { metadataPairsMax: 0 },
    dead: all(texts('line', 5), 'metadata_too_many'),
    words: /has too many structured metadata labels: '1', limit: '0'/,
  },
  'structured-metadata-empty-name': {
    // A 500 for ever, for the sake of one entry.
    lines: texts('line', 100),
    before: (world, { status, body }) => {
      world.loki.fault = () => ({
        kind: 'poison',
        matches: ({ line }) => line.toString() === 'line 37',
        status: Number(status),
        body: body.trim(),
      })
    },
    dead: { 'line 37': 'server_error' },
    words: /^label name is empty$/,
  },
  'rate-limited': {
    lines: texts('line '.repeat(1000), 500),
    limits: { ingestBytesPerSecond: 512 * 1024, ingestBurstBytes: 1024 * 1024 },
    before: (world) => world.write('other', texts('other '.repeat(1000), 200)),
    check: (t, world) => {
      t.ok(world.loki.seen.some(({ outcome, said }) => outcome === 429 && said.startsWith('ingestion rate limit')))
      neverDead(t, world)
    },
  },
  'per-stream-rate-limited': {
    lines: texts('line '.repeat(1000), 500),
    limits: { streamBytesPerSecond: 256 * 1024, streamBurstBytes: 1024 * 1024 },
    before: (world) => world.write('other', texts('other', 20)),
    check: (t, world) => {
      t.ok(world.loki.seen.some(({ outcome, said }) => outcome === 429 && said.includes('Per stream rate limit')))
      neverDead(t, world)
    },
  },
  'stream-limit': {
    lines: texts('line', 20),
    limits: { streamsMax: 1 },
    before: (world) => world.write('other', texts('other', 20)),
    mend: { afterMs: 600_000, how: (world) => Object.assign(world.loki.store.limits, { streamsMax: 100 }) },
    check: (t, world) => {
      t.ok(world.loki.seen.some(({ outcome, said }) => outcome === 429 && said.startsWith('maximum active stream')))
      neverDead(t, world)
    },
  },
}
t.strictSame(
  [...fixtures.keys()].filter((name) => !(name in SCENARIOS) && name !== 'shared-push-hides-refusal'),
  [],
  'each fixture has a scenario',
)

for (const checksTold of ['one', 'all'] as const) {
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    t.test(`${name} (${checksTold} told)`, async (t) => {
      const options: WorldOptions = { limits: { checksTold, ...scenario.limits }, sinks: [lokiConfig(scenario.sink)] }
      const world = new World(t, options)
      const { lines, dead = {} } = scenario
      world.write('web', typeof lines === 'function' ? lines(world) : lines)
      await scenario.before?.(world, fixtures.get(name) as Fixture)
      world.start()
      if (scenario.mend !== undefined) {
        await world.clock.advance(scenario.mend.afterMs)
        scenario.mend.how(world)
      }
      await world.drain()
      world.exact(Object.keys(dead))
      world.accounted()
      const { letters } = world.letters
      t.strictSame(Object.fromEntries(letters.map(({ line, reason }) => [line, reason])), dead, 'dead letters')
      t.equal(letters.length, Object.keys(dead).length, 'each once')
      for (const letter of letters) {
        t.match(letter.message, scenario.words, 'in the words of Loki')
        t.equal(letter.path, world.podPath('web'))
        const row = readFileSync(letter.path)
          .subarray(letter.offset, letter.offset + letter.bytes)
          .toString()
        t.ok(row.endsWith(` F ${letter.line}\n`), 'the offset is that of the line')
        t.match(letter, { sink: 'loki', labels: { pod: 'web', stream: 'stdout' }, metadata: { pod_uid: 'uid-web' } })
        // Lines of one instant are a nanosecond apart.
        t.ok(BigInt(letter.timestamp) - nanosOf(row) < 1000n)
      }
      scenario.check?.(t, world)
    })
  }
}

function nanosOf(row: string): bigint {
  const [time = ''] = row.split(' ', 1)
  return BigInt(Date.parse(`${time.slice(0, 19)}Z`)) * 1_000_000n + BigInt(time.slice(20, 29))
}
