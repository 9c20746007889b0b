import t from 'tap'
import type { AgentStatus } from '../../src/core/status.ts'
import { Account, Overdue } from '../../src/demo/account.ts'
import { newWriter, type Writer } from '../../src/demo/container-log.ts'
import { EQUAL_LINE } from '../../src/demo/messages.ts'
import { sampleLine, sampleTextLine } from '../../src/demo/sample-line.ts'
import { plainPaint } from '../../src/demo/screen.ts'
import { accountLines, type View, verdict } from '../../src/demo/summary.ts'

const LABELS = { namespace: 'shop', pod: 'cart-0', container: 'cart', stream: 'stdout' }
const NAME = 'shop/cart-0/cart'

function written(lastSequence: number, equalLines = 0): Map<string, Writer> {
  return new Map([[NAME, { ...newWriter(NAME), lastSequence, equalLines }]])
}

function see(account: Account, line: Buffer, timestampNs: number, labels = LABELS): void {
  account.see(labels, BigInt(timestampNs), line, {}, 'fake')
}

/** An account of 10 numbered lines, without those left out. */
function tenLines(...leftOut: number[]): Account {
  const account = new Account()
  for (let n = 1; n <= 10; n++) if (!leftOut.includes(n)) see(account, sampleLine(NAME, n, 80), n)
  account.expect(written(10))
  return account
}

function viewOf(account: Account | null, rows: number, rowsAcked: number): View {
  const sink = { name: 'loki', state: 'ok', lastError: null, lagBytes: 0, oldestUnackedSeconds: 0, requests: {} }
  const amounts = { acked: { bytes: 0, lines: rowsAcked }, skipped: {}, dropped: {}, deadLettered: {}, lost: {} }
  return {
    elapsedMs: 4000,
    draining: true,
    pods: 1,
    containers: 1,
    totals: { lines: rows, rows, bytes: 1 },
    counts: { rotations: 0, compressions: 0, restarts: 0, recreated: 0 },
    linesPerSecond: 1,
    rowsAckedPerSecond: 1,
    status: { sinks: [{ ...sink, ...amounts }] } as unknown as AgentStatus,
    report: account?.report(true) ?? null,
    warnings: 0,
  }
}

t.test('all lines, whole, once and in order: all is well', async (t) => {
  const account = tenLines()
  t.match(account.report(true), { expected: 10, verified: 10, missing: 0, duplicate: 0, exact: true, examples: [] })
  t.same(verdict(viewOf(account, 10, 10)), {
    ok: true,
    sentence: 'Every line arrived exactly once, whole and in order.',
  })
})

t.test('a line that never came is missing, named, and the end of the good news', async (t) => {
  const account = tenLines(4, 5)
  t.match(account.report(true), { verified: 8, missing: 2, exact: false, examples: [`missing: w=${NAME} n=4-5`] })
  const view = viewOf(account, 10, 10)
  t.equal(verdict(view).ok, false)
  const text = accountLines(view, { requestBytes: 1, cpuSeconds: 1, rssBytesMax: 1 }, plainPaint).join('\n')
  t.match(text, /^ {2}missing +2$/m)
  t.match(text, /^ {2}duplicate +0$/m)
})

t.test('a line that is there twice, damaged, out of order or never written', async (t) => {
  const twice = tenLines()
  see(twice, sampleLine(NAME, 3, 80), 99)
  t.match(twice.report(true), { duplicate: 1, exact: false })

  const damaged = tenLines(3)
  see(damaged, Buffer.from(sampleLine(NAME, 3, 80).map((byte, i) => (i === 70 ? 33 : byte))), 3)
  t.match(damaged.report(true), { missing: 1, corrupt: 1, exact: false })

  const late = tenLines(3)
  see(late, sampleLine(NAME, 3, 80), 3)
  t.match(late.report(true), { missing: 0, outOfOrder: 1, exact: false })

  const beyond = tenLines()
  see(beyond, sampleLine(NAME, 11, 80), 11)
  t.match(beyond.report(true), { duplicate: 1, exact: false })
  t.match(beyond.report(false), { verified: 11, duplicate: 0, exact: true }, 'not while more is being written')
})

t.test('a line sent twice that is one entry in the store does no harm', async (t) => {
  const account = tenLines()
  see(account, sampleLine(NAME, 3, 80), 3)
  t.match(account.report(true), { duplicate: 0, repeats: 1, exact: true })
})

t.test('equal lines are told apart by their times alone', async (t) => {
  const of = (times: number[], equalLines: number) => {
    const account = new Account()
    for (const time of times) see(account, EQUAL_LINE, time)
    account.expect(written(0, equalLines))
    return account.report(true)
  }
  t.match(of([1, 2, 3], 3), { expected: 3, verified: 3, missing: 0, duplicate: 0, exact: true })
  t.match(of([1, 2, 2], 3), { verified: 2, missing: 1, repeats: 1, exact: false }, 'the store merges two of them')
  t.match(of([1, 2, 3, 4], 3), { missing: 0, duplicate: 1, exact: false })
  const account = new Account()
  see(account, EQUAL_LINE, 1)
  see(account, EQUAL_LINE, 1, { ...LABELS, stream: 'stderr' })
  account.expect(written(0, 2))
  t.equal(account.report(true).exact, true, 'in two streams they may have one time')
})

t.test('a line with a text of its own is checked like the others', async (t) => {
  const account = new Account()
  see(account, sampleTextLine(NAME, 1, Buffer.from('größer → 大きい')), 1)
  see(account, sampleTextLine(NAME, 2, Buffer.from('')), 2)
  see(account, Buffer.from(sampleTextLine(NAME, 3, Buffer.from('größer')).toString().replace('ö', 'o')), 3)
  account.expect(written(3))
  t.match(account.report(true), { verified: 2, missing: 1, corrupt: 1 })
})

t.test('without a verifier, what counts is what was acknowledged', async (t) => {
  t.equal(verdict(viewOf(null, 10, 10)).ok, true)
  t.match(verdict(viewOf(null, 10, 7)), { ok: false, sentence: '3 rows were not acknowledged' })
  t.match(verdict(viewOf(tenLines(), 10, 9)), { ok: false }, 'and the agent must know what it delivered')
  t.match(verdict(viewOf(new Account(), 0, 0)), { ok: false, sentence: 'Nothing was written.' })
})

t.test('what was written ten seconds ago is overdue', async (t) => {
  const overdue = new Overdue(10_000)
  const writers = written(5)
  t.equal(overdue.next(writers, 0), null)
  writers.set(NAME, { ...newWriter(NAME), lastSequence: 7 })
  t.equal(overdue.next(writers, 5000), null)
  t.match(overdue.next(writers, 11_000)?.get(NAME), { lastSequence: 5 })
  t.match(overdue.next(writers, 15_000)?.get(NAME), { lastSequence: 7 })
})
