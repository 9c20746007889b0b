// What is acknowledged beyond the committed place.
import t from 'tap'
import { STDERR, STDOUT } from '../../src/core/entry.ts'
import { Ledger } from '../../src/core/ledger.ts'
import { Account } from '../../src/tail/account.ts'
import type { TailedFile } from '../../src/tail/file.ts'
import type { Snapshot } from '../../src/tail/place.ts'

const [one, two] = [{ sequence: 1 }, { sequence: 2 }] as [TailedFile, TailedFile]
const at = (file: TailedFile, offset: number, ended = false) =>
  ({ file, offset, logical: 0, tail: '', times: [], ended, gaps: [] }) satisfies Snapshot

t.test('a stream is acknowledged up to a place, and never back', async (t) => {
  const account = new Account(new Ledger(), { file: one, offset: 0, logical: 0 })
  account.ack(STDOUT, at(one, 100), at(one, 0))
  const acked = (offset: number, stream = STDOUT) => account.isAcked(stream, offset)
  t.strictSame([acked(100), acked(101), acked(1, STDERR)], [true, false, false])
  account.ack(STDOUT, at(one, 50), at(one, 0))
  t.ok(acked(100), 'a smaller portion takes nothing back')
  account.ack(STDOUT, at(two, 10), at(one, 0))
  t.ok(acked(1e9), 'all of the files before it')
})

t.test('once the committed place is past it there is nothing to ask', async (t) => {
  const account = new Account(new Ledger(), { file: one, offset: 0, logical: 0 })
  account.ack(STDOUT, at(one, 100), at(one, 0))
  t.notOk(account.isPlain)
  account.ack(STDOUT, at(one, 100), at(one, 100))
  t.ok(account.isPlain)
  account.ack(STDERR, at(one, 100.5), at(one, 100))
  t.notOk(account.isPlain, 'the end of the file is a place after it')
  account.ack(STDERR, at(one, 100.5), at(one, 100, true))
  t.ok(account.isPlain)
})

t.test('what is skipped is settled with its stream, or given back', async (t) => {
  const ledger = new Ledger()
  const account = new Account(ledger, { file: one, offset: 0, logical: 0 })
  account.skip(STDOUT, 10, 10, 1)
  account.skip(STDERR, 30, 20, 1)
  t.strictSame(account.unsettled, { bytes: 30, lines: 2 })
  account.ack(STDOUT, at(one, 30), at(one, 0))
  t.strictSame(ledger.skipped.get('startAgeMax'), { bytes: 10, lines: 1 })
  account.rewind()
  t.strictSame(ledger.read, { bytes: 10, lines: 1 })
  account.skip(STDOUT, 10, 10, 1)
  account.skip(STDERR, 30, 20, 1)
  t.strictSame(account.unsettled, { bytes: 20, lines: 1 }, 'the first is settled already')
  account.ack(STDERR, at(one, 30), at(one, 30))
  t.strictSame(ledger.skipped.get('startAgeMax'), { bytes: 30, lines: 2 })
  t.strictSame(ledger.imbalance(), { bytes: 0, lines: 0 })
})

t.test('a checkpoint keeps what is acknowledged of the files that it names, and that are there', async (t) => {
  const account = new Account(new Ledger(), { file: one, offset: 0, logical: 0 })
  account.ack(STDOUT, at(one, 100.25), at(one, 0))
  account.ack(STDERR, at(two, 7), at(one, 0))
  const saved = account.save([one, two])
  t.strictSame(saved, [STDOUT, 0, 100.25, STDERR, 1, 7])
  t.strictSame(account.save([one]), [STDOUT, 0, 100.25])
  const next = new Account(new Ledger(), { file: one, offset: 0, logical: 0 })
  next.load([one, two], saved)
  t.strictSame(
    [100.25, 100.5].map((offset) => next.isAcked(STDOUT, offset)),
    [true, false],
  )
  t.ok(next.isAcked(STDERR, 1000))
  next.load([null, two], saved)
  t.notOk(next.isAcked(STDOUT, 1))
  next.load([], saved)
  t.ok(next.isPlain)
})
