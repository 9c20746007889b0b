// Which entries Loki meant: checked against the embedded Loki, which refuses real pushes and says so in Loki's words.

import t from 'tap'
import { LokiStore } from '../../../src/demo/loki-store.ts'
import { byTime, type PushedEntries, selectRefused } from '../../../src/sinks/loki/refused.ts'
import { type LokiFinding, readRefusals } from '../../../src/sinks/loki/sentences.ts'
import fc from '../../support/properties.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 8, 0, 6, 500)
const HOUR_NS = 3_600_000_000_000n

interface Pushed extends PushedEntries {
  timesNs: bigint[]
}

function entriesAt(timesNs: readonly bigint[], lineBytes: readonly number[] = []): Pushed {
  return {
    timesNs: [...timesNs],
    seconds: Float64Array.from(timesNs, (time) => Number(time / 1_000_000_000n)),
    nanos: Float64Array.from(timesNs, (time) => Number(time % 1_000_000_000n)),
    lineBytes: Float64Array.from(timesNs, (_, index) => lineBytes[index] ?? 4),
    metadataOf: () => ({ bytes: 0, pairs: 0 }),
  }
}

/** Pushes the entries to a stream whose newest is `highestNs` and returns what Loki says, and which it took. */
function push(entries: Pushed, highestNs: bigint | null, checksTold: 'one' | 'all' = 'one') {
  const store = new LokiStore({ checksTold, lineBytesMax: 100 })
  const stream = (timesNs: readonly bigint[], bytes: (index: number) => number) => ({
    streams: [
      {
        labels: '{app="a"}',
        entries: timesNs.map((timestampNs, index) => ({
          timestampNs,
          line: Buffer.alloc(bytes(index), `${index} `),
          metadata: [],
        })),
      },
    ],
  })
  if (highestNs !== null)
    store.push(
      stream([highestNs], () => 1),
      undefined,
      NOW_MS,
    )
  const { status, body } = store.push(
    stream(entries.timesNs, (i) => entries.lineBytes[i]!),
    undefined,
    NOW_MS,
  )
  const stored = new Set(store.streams().flatMap((each) => each.entries.map(({ timestampNs }) => timestampNs)))
  const taken = entries.timesNs.flatMap((time, index) => (stored.has(time) ? [index] : []))
  return { status, findings: readRefusals(body.trim()), taken: new Set(taken) }
}

const all = (entries: Pushed) => entries.timesNs.map((_, index) => index)
const isOnlyList = (findings: readonly LokiFinding[]) => findings.filter((each) => 'timestamps' in each).length === 1

// Half an hour of entries around the border of an hour before the newest, each at a time of its own.
const highestNs = BigInt(NOW_MS) * 1_000_000n
const around = fc
  .uniqueArray(fc.bigInt({ min: -900n, max: 900n }), { minLength: 1, maxLength: 60 })
  .chain((offsets) => fc.shuffledSubarray(offsets, { minLength: 1 }))
  .map((offsets) => offsets.map((offset) => highestNs - HOUR_NS + offset * 777_777_777n))

t.test('too far behind: exactly what was refused, however many it names', async () => {
  fc.assert(
    fc.property(around, (timesNs) => {
      const entries = entriesAt(timesNs)
      const { status, findings, taken } = push(entries, highestNs)
      if (status === 204) return taken.size === timesNs.length
      const [finding] = findings
      const { indexes, complete } = selectRefused(finding!, entries, all(entries), isOnlyList(findings))
      return complete && indexes.length === timesNs.length - taken.size && indexes.every((index) => !taken.has(index))
    }),
    { numRuns: 500 },
  )
})

t.test('too far behind, and one that is too long among them: a count that is right by chance is none', async (t) => {
  const at = (ms: number) => BigInt(ms) * 1_000_000n
  // The second one never came so far as to be counted, and the third one is in the second of the limit.
  const entries = entriesAt([at(1000), at(2000), at(5100), at(5900)])
  const finding: LokiFinding = {
    scope: 'entry',
    reason: 'too_far_behind',
    timestamps: [{ seconds: 1, nanos: 0 }],
    oldestAcceptable: [{ seconds: 5, nanos: null }],
    ignored: 2,
    total: 3,
    stream: null,
  }
  t.strictSame(selectRefused(finding, entries, all(entries), true), { indexes: [0, 1], complete: false })
})

const border = (NOW_MS - 168 * 3_600_000) / 1000
const old = fc
  .uniqueArray(fc.integer({ min: -3000, max: 3000 }), { minLength: 1, maxLength: 40 })
  .map((offsets) => offsets.map((ms) => BigInt(Math.round(border * 1000) + ms) * 1_000_000n))

for (const told of ['one', 'all'] as const) {
  t.test(`too old, too new, too long: nothing that was stored, and always something (${told} told)`, async () => {
    const fresh = fc
      .uniqueArray(fc.integer({ min: -3000, max: 3000 }), { minLength: 1, maxLength: 40 })
      .map((offsets) => offsets.map((ms) => BigInt(NOW_MS + 600_000 + ms) * 1_000_000n))
    fc.assert(
      fc.property(fc.oneof(old, fresh), fc.array(fc.constantFrom(4, 200), { maxLength: 40 }), (timesNs, lengths) => {
        const entries = entriesAt(timesNs, lengths)
        const { status, findings, taken } = push(entries, null, told)
        if (status === 204) return taken.size === timesNs.length
        const meant = findings.flatMap(
          (finding) => selectRefused(finding, entries, all(entries), isOnlyList(findings)).indexes,
        )
        return meant.length > 0 && meant.every((index) => !taken.has(index))
      }),
      { numRuns: 500 },
    )
  })
}

t.test('one entry alone is meant, whatever is said of it', async (t) => {
  const entries = entriesAt([1n, 2n, 3n])
  const finding: LokiFinding = {
    scope: 'entry',
    reason: 'too_far_behind',
    timestamps: [{ seconds: 99, nanos: 0 }],
    oldestAcceptable: [null],
    ignored: 1,
    total: 1,
    stream: null,
  }
  t.strictSame(selectRefused(finding, entries, [1], true).indexes, [1])
})

t.test(
  'an old Loki that names and does not count, or a count that cannot be: those named, and all before the limit',
  async (t) => {
    const seconds = (...values: number[]) => entriesAt(values.map((value) => BigInt(value) * 1_000_000_000n))
    const entries = seconds(5000, 1000, 1001, 9000, 1002, 5000)
    const finding = (ignored: number | null, total: number | null): LokiFinding => ({
      scope: 'entry',
      reason: 'too_far_behind',
      timestamps: [{ seconds: 1001, nanos: 0 }],
      oldestAcceptable: [{ seconds: 1400, nanos: null }],
      ignored,
      total,
      stream: null,
    })
    const select = (ignored: number | null, total: number | null) => {
      const { indexes, complete } = selectRefused(finding(ignored, total), entries, all(entries), true)
      return [[...indexes].sort(), complete]
    }
    t.strictSame(select(null, null), [[2, 4], false])
    t.strictSame(select(3, 6), [[1, 2, 4], true], 'counted')
    t.strictSame(select(3, 5), [[2, 4], false], 'another number of entries than were pushed')
    t.strictSame(select(1, 6), [[2, 4], false], 'the oldest one is not the one named')
    t.strictSame(select(9, 6), [[2, 4], false], 'more than there were')
  },
)

t.test('metadata: by what each entry carries', async (t) => {
  const entries = { ...entriesAt([1n, 2n, 3n]), metadataOf: (i: number) => ({ bytes: 10 * i, pairs: i }) }
  const common = { scope: 'entry' as const, stream: '', entries: null }
  const large: LokiFinding = { ...common, reason: 'metadata_too_large', bytes: 20, limit: 10 }
  t.strictSame(selectRefused(large, entries, [0, 1, 2], false).indexes, [2])
  const many: LokiFinding = { ...common, reason: 'metadata_too_many', count: 2, limit: 0 }
  t.strictSame(selectRefused(many, entries, [0, 1, 2], false).indexes, [1, 2])
})

t.test('of a stream or a push nothing is selected', async (t) => {
  const finding: LokiFinding = { scope: 'push', reason: 'invalid_labels' }
  t.strictSame(selectRefused(finding, entriesAt([1n, 2n]), [0, 1], false).indexes, [])
})

t.test('in order of time', async (t) => {
  t.strictSame(byTime([0, 1, 2, 3], entriesAt([5_000_000_001n, 5_000_000_000n, 4_999_999_999n, 7n])), [3, 2, 1, 0])
})
