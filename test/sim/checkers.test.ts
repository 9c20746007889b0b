// Each checker can fail: given a history in which its promise is broken, it says so; given the same without the break, it
// says nothing.
import t, { type Test } from 'tap'
import type { Agent } from '../../src/agent.ts'
import { reservationBytes } from '../../src/batch/consumer.ts'
import type { Position } from '../../src/checkpoint/position.ts'
import type { AgentEvents } from '../../src/core/events.ts'
import { digest } from '../../src/tail/file.ts'
import type { CheckerDeps, DeadLetterOnDisk } from './checker.ts'
import { Accounts } from './checkers/accounts.ts'
import { Checkpoints } from './checkers/checkpoints.ts'
import { Completeness } from './checkers/completeness.ts'
import { Order } from './checkers/order.ts'
import type { Faults } from './faults.ts'
import type { Life } from './life.ts'
import { SimClock } from './sim-clock.ts'
import { type Inode, SimDisk } from './sim-disk.ts'
import type { SimSink, StoredRecord } from './sink.ts'
import { type End, type Row, Truth, type TruthLine } from './truth.ts'

const KEY = 'pods:sim/pod/app/uid'
const PATH = '/logs/0.log'
const LIFE = {
  number: 1,
  bornAt: 0,
  files: { errorCount: 0 },
  stalledUntil: Number.NEGATIVE_INFINITY,
} as unknown as Life

/** It refuses what is long. */
const mayRefuse = ({ text }: TruthLine, reason: string) => reason === 'line_too_long' && text.length > 15

/** A log of one file, and what a checker gets to see of it. */
class History {
  readonly failures: string[] = []
  readonly letters: DeadLetterOnDisk[] = []
  readonly truth = new Truth(1)
  readonly disk = new SimDisk({ now: () => 0, reuse: () => -1 })
  readonly log = this.truth.newLog(KEY)
  readonly deps: CheckerDeps
  readonly #content
  readonly #inode

  constructor() {
    this.disk.mkdir('/logs')
    this.#inode = this.disk.create(PATH)
    this.#content = this.truth.newContent(this.log, this.#inode)
    this.deps = {
      clock: new SimClock(),
      truth: this.truth,
      faults: { on: new Set() } as unknown as Faults,
      sink: { name: 'loki', keepsOrder: true, mayRefuse } as unknown as SimSink,
      endOf: ({ ends: [end] }) => end as End,
      deadLetters: () => this.letters,
      fail: (message) => this.failures.push(message),
    }
  }

  write(): TruthLine {
    const { disk, log, truth } = this
    const seq = log.seqs[0]++
    const text = Buffer.from(`${log.id}.o.${seq} said`)
    disk.append(this.#inode, `${text}\n`)
    const place = { content: this.#content, end: this.#inode.size, writtenAt: 0 }
    const rows = [truth.row(this.#content, this.#inode.size, text.length)]
    return truth.add({ log, stream: 0, seq, text, poison: false, timeNs: BigInt(seq), ...place, rows })
  }

  /** A line in pieces, each in a file of its own, of which those that are named in `gone` are destroyed. */
  writePieces(pieces: readonly string[], gone: readonly number[]): TruthLine {
    const { disk, log, truth } = this
    const seq = log.seqs[0]++
    let text = ''
    const rows = pieces.map((piece, i) => {
      const inode = disk.create(`${PATH}.${seq}.${i}`, `${piece}\n`)
      text += piece
      return { ...truth.row(truth.newContent(log, inode), inode.size, text.length), inode }
    })
    const place = { content: rows.at(-1)?.content ?? this.#content, end: 0, writtenAt: 0 }
    const line = truth.add({ log, stream: 0, seq, text: Buffer.from(text), poison: false, timeNs: 0n, ...place, rows })
    for (const i of gone) truth.drop(rows[i]?.inode as Inode)
    return line
  }

  /** The file makes way for its compressed form. */
  compress(): void {
    this.truth.hold(this.#content, this.disk.create(`${PATH}.gz`, 'compressed'), this.#inode.size)
    this.disk.unlink(PATH)
    this.truth.drop(this.#inode)
  }

  /** All bytes are gone. */
  destroy(fate: 'seen' | 'unseen'): void {
    this.truth.judge = () => fate
    this.disk.unlink(PATH)
    this.truth.drop(this.#inode)
  }

  store(checker: Completeness | Order | Checkpoints, line: TruthLine, more: Partial<StoredRecord> = {}): void {
    const end = this.deps.endOf(line)
    const plain = { sender: 1, stream: 'app', late: false, timestampNs: line.timeNs as bigint, line: line.text }
    const record: StoredRecord = { ...plain, metadata: {}, ...more }
    checker.stored(record, this.truth.find(record.line), end.accepted !== null, LIFE)
    const { stream, timestampNs, metadata, sender: life, late } = record
    end.accepted ??= { stream, timestampNs, metadata: JSON.stringify(metadata), life, late }
  }

  /** The place behind a line. */
  placeOf({ end: offset }: TruthLine): Position {
    const { ino, bytes } = this.#inode
    const seen = { sizeSeen: offset, times: [], stamps: [] }
    const before = digest(bytes.subarray(0, offset))
    return { path: PATH, dev: 1, ino, head: before, headBytes: offset, offset, witness: before, ...seen }
  }
}

const LOSS = {
  sink: 'loki',
  path: PATH,
  lineage: KEY,
  fromOffset: 0,
  toOffset: 100,
  cause: 'deleted',
} as AgentEvents['bytes.lost']

interface Case {
  /** Of what is said; null: nothing is wrong. */
  says: RegExp | null
  run: (checker: Completeness, history: History) => void
}

const COMPLETENESS: Record<string, Case> = {
  'all is stored': {
    says: null,
    run: (checker, history) => history.store(checker, history.write()),
  },
  'a line is nowhere': { says: /is missing, and its bytes are still there/, run: (_, history) => void history.write() },
  'a line is another': {
    says: /was stored as "w0.o.0 sa" \[\], written as/,
    run: (checker, history) => history.store(checker, history.write(), { line: Buffer.from('w0.o.0 sa') }),
  },
  'a line that was cut': {
    says: null,
    run: (checker, history) => {
      const cut = { line: Buffer.from('w0.o.0 sa'), metadata: { taffrail_mark: 'cut' } }
      history.store(checker, history.write(), cut)
    },
  },
  'a line without pieces that were destroyed': {
    says: null,
    run: (checker, history) => {
      const line = history.writePieces(['w0.o.0 ', 'one ', 'two ', 'three ', 'four'], [1, 3])
      history.store(checker, line, { line: Buffer.from('w0.o.0 two four') })
    },
  },
  'a line without a piece that was destroyed, and looks like the one behind it': {
    says: null,
    run: (checker, history) => {
      const line = history.writePieces(['w0.o.0 ', 'abab', 'ababab', 'end'], [1])
      history.store(checker, line, { line: Buffer.from('w0.o.0 abababend') })
    },
  },
  'a line without a piece that is still there': {
    says: /was stored as "w0.o.0 four" \[\], written as/,
    run: (checker, history) => {
      const line = history.writePieces(['w0.o.0 ', 'one ', 'two ', 'three ', 'four'], [1, 3])
      history.store(checker, line, { line: Buffer.from('w0.o.0 four') })
    },
  },
  'nobody wrote it': {
    says: /stored what nobody wrote/,
    run: (checker, history) => history.store(checker, history.write(), { line: Buffer.from('what is this') }),
  },
  'a repeat is another entry': {
    says: /is stored twice/,
    run: (checker, history) => {
      const line = history.write()
      history.store(checker, line)
      history.store(checker, line, { timestampNs: 7n })
    },
  },
  'a repeat is the same entry': {
    says: null,
    run: (checker, history) => {
      const line = history.write()
      for (let i = 0; i < 2; i++) history.store(checker, line)
    },
  },
  'one record hides another': {
    says: /was taken for a repeat of/,
    run: (checker, history) => {
      history.store(checker, history.write())
      const record = { line: Buffer.from('a') } as StoredRecord
      checker.hidden(record, record)
    },
  },
  'a loss is told, and nothing was lost': {
    says: /was told, and nothing was lost/,
    run: (checker, history) => {
      history.store(checker, history.write())
      checker.event(LIFE, 'bytes.lost', LOSS)
    },
  },
  'a loss is not told': {
    says: /was seen and is lost without a word/,
    run: (_, history) => {
      history.write()
      history.destroy('seen')
    },
  },
  'a loss that nobody saw is not told': {
    says: null,
    run: (_, history) => {
      history.write()
      history.destroy('unseen')
    },
  },
  'a loss has no record': {
    says: /was told in an event, and in no record/,
    run: (checker, history) => {
      history.write()
      history.destroy('seen')
      checker.event(LIFE, 'bytes.lost', LOSS)
    },
  },
  'a line and the next ones are destroyed, the last of them with an empty piece': {
    says: null,
    run: (checker, history) => {
      const line = history.writePieces(['w0.o.0 ', 'one'], [1])
      history.writePieces(['w0.o.1 one', ''], [0, 1])
      history.writePieces(['w0.o.2 ', 'two'], [0])
      history.store(checker, line, { line: Buffer.from('w0.o.0 two') })
    },
  },
  'what ends a line is of none that was written': {
    says: /w0.o.0 .* was stored as "w0.o.0 three"/,
    run: (checker, history) => {
      const line = history.writePieces(['w0.o.0 ', 'one'], [1])
      history.writePieces(['w0.o.1 one', ''], [0, 1])
      history.writePieces(['w0.o.2 ', 'two'], [0])
      history.store(checker, line, { line: Buffer.from('w0.o.0 three') })
    },
  },
  'a line goes on behind a file that is cut off and has lost nothing': {
    says: null,
    run: (_, history) => {
      const { rows } = history.writePieces(['w0.o.0 ', 'one '], [])
      history.truth.cutOff((rows[0] as Row).content)
    },
  },
  'a line ends in a file that is cut off and has lost nothing': {
    says: /is missing, and its bytes are still there/,
    run: (_, history) => {
      const { rows } = history.writePieces(['w0.o.0 ', 'one '], [])
      history.truth.cutOff((rows[1] as Row).content)
    },
  },
  'a line is refused for its length together with what is left of the next one': {
    says: null,
    run: (_, history) => {
      history.writePieces(['w0.o.0 ', 'one '], [1])
      history.store(_, history.writePieces(['w0.o.1 ', 'two and more'], [0]))
      history.letters.push({ reason: 'line_too_long', line: Buffer.from('w0.o.0 two and more') })
    },
  },
  'a line is refused for the length of what is not left of it': {
    says: /is a dead letter for no good reason: line_too_long/,
    run: (_, history) => {
      history.writePieces(['w0.o.0 ', 'one '], [1])
      history.letters.push({ reason: 'line_too_long', line: Buffer.from('w0.o.0 whatever it is') })
    },
  },
  'a record is dropped for no reason': {
    says: /a record was dropped, and the disk is well/,
    run: (checker, history) => {
      history.store(checker, history.write())
      checker.event(LIFE, 'records.dropped', { reason: 'too_large' } as AgentEvents['records.dropped'])
    },
  },
  'a record is buried for no reason': {
    says: /is a dead letter for no good reason: too_old/,
    run: (_, history) => history.letters.push({ reason: 'too_old', line: history.write().text }),
  },
}

for (const [name, { says, run }] of Object.entries(COMPLETENESS)) {
  t.test(`completeness: ${name}`, async (t) => {
    const history = new History()
    const checker = new Completeness(history.deps)
    run(checker, history)
    checker.ended(LIFE)
    expect(t, history, says)
  })
}

t.test('order: of arrival, and of times', async (t) => {
  for (const [seqs, timesNs, says] of [
    [[0, 1], [0n, 1n], null],
    [[1, 0], [0n, 1n], /was stored after number 1 of its stream/],
    [[0, 1], [5n, 5n], /has no later time than number 0/],
    [[0, 1], [5n, 1n], /has no later time than number 0/],
  ] as const) {
    const history = new History()
    const checker = new Order(history.deps)
    const lines = [history.write(), history.write()]
    for (const seq of seqs) history.store(checker, lines[seq] as TruthLine, { timestampNs: timesNs[seq] as bigint })
    checker.ended()
    expect(t, history, says)
  }
})

t.test('order: of times, about a row that is destroyed', async (t) => {
  for (const [gone, firstNs, lastNs, says] of [
    // Between the two: the second one may have its own time, or that of the first one.
    [1, 5n, 0n, null],
    [1, 5n, 5n, null],
    [1, 5n, 2n, /has no later time than number 0/],
    // Before them, or behind them.
    [0, 5n, 0n, /has no later time than number 1/],
    [0, 5n, 5n, /has no later time than number 1/],
    [2, 5n, 5n, /has no later time than number 0/],
    [null, 5n, 0n, /has no later time than number 1/],
  ] as const) {
    const history = new History()
    history.log.damaged = true
    const checker = new Order(history.deps)
    const pieces = [0, 1, 2].map((number) => [`w0.o.${number} one`])
    const lines = pieces.map((piece, number) => history.writePieces(piece, gone === number ? [0] : []))
    const [first, last] = lines.filter((_, number) => number !== gone).slice(-2) as [TruthLine, TruthLine]
    history.store(checker, first, { timestampNs: firstNs })
    history.store(checker, last, { timestampNs: lastNs })
    checker.ended()
    expect(t, history, says, `${gone} is gone, ${firstNs} and ${lastNs}`)
  }
})

t.test('accounts: the ledger, what is in flight, the budget', async (t) => {
  const sink = { name: 'loki', concurrency: 2, batchBytesMax: 1000, lineBytesMax: 1000 }
  const need = reservationBytes(sink)
  const well = { off: 0, flying: 10, active: 1, usedBytes: need, totalBytes: 4 * need }
  const cases: [Partial<typeof well>, RegExp | null][] = [
    [{}, null],
    [{ off: 1 }, /is off by 1 bytes and 0 lines/],
    [{ flying: -1 }, /-1 bytes are in flight/],
    [{ active: 0, usedBytes: 0 }, /10 bytes are in flight to loki, in no shipment/],
    [{ active: 3, usedBytes: 3 * need }, /3 shipments to loki are under way/],
    [{ usedBytes: 0 }, /the budget says 0/],
    [{ totalBytes: 1 }, /bytes of a budget of 1/],
  ]
  for (const [wrong, says] of cases) {
    const { off, flying, active, usedBytes, totalBytes } = { ...well, ...wrong }
    const ledger = { imbalance: () => ({ bytes: off, lines: 0 }), inFlight: { bytes: flying, lines: 1 } }
    const agent = { consumers: [{ ledger, sink, active }], budget: { usedBytes, totalBytes } } as unknown as Agent
    const history = new History()
    new Accounts(history.deps).tick(LIFE, agent)
    expect(t, history, says)
  }
})

t.test('checkpoints: past what was acknowledged, lost, late, and sent again behind one', async (t) => {
  const agentWith = (pending: number, ageSeconds: number, failing: string | null = null) =>
    ({ ports: { checkpoints: { status: () => ({ pending, ageSeconds, failing }) } } }) as unknown as Agent
  const saved = (position: Position) => ({ sink: 'loki', lineage: KEY, position })
  /** The lines are stored, their end is checkpointed, and a process begins with that. */
  const beginBehind = (checker: Checkpoints, history: History, lines: TruthLine[]) => {
    for (const line of lines) history.store(checker, line)
    const place = history.placeOf(lines.at(-1) as TruthLine)
    checker.checkpoint(LIFE, KEY, place)
    checker.opened(LIFE, [saved(place)])
  }
  const cases: Record<string, [RegExp | null, (checker: Checkpoints, history: History, lines: TruthLine[]) => void]> = {
    'durable and found again': [
      null,
      (checker, history, [first]) => {
        history.store(checker, first as TruthLine)
        checker.checkpoint(LIFE, KEY, history.placeOf(first as TruthLine))
        checker.tick(LIFE, agentWith(0, 0))
        checker.opened(LIFE, [saved(history.placeOf(first as TruthLine))])
      },
    ],
    'past what was acknowledged': [
      /is past w0.o.0 .*, which is nowhere/,
      (checker, history, [first]) => checker.checkpoint(LIFE, KEY, history.placeOf(first as TruthLine)),
    ],
    lost: [
      /was durable with 1 lines before it; now it has none/,
      (checker, history, [first]) => {
        history.store(checker, first as TruthLine)
        checker.checkpoint(LIFE, KEY, history.placeOf(first as TruthLine))
        checker.tick(LIFE, agentWith(0, 0))
        checker.opened(LIFE, [])
      },
    ],
    'found, and lost in a power cut before it could be written anew': [
      null,
      (checker, history, [first]) => {
        beginBehind(checker, history, [first as TruthLine])
        checker.tick(LIFE, agentWith(0, 0, 'ENOSPC'))
        checker.killed(LIFE, true)
        checker.killed(LIFE, false)
        checker.opened(LIFE, [])
      },
    ],
    'found, and lost without a power cut before it could be written anew': [
      /was durable with 1 lines before it; now it has none/,
      (checker, history, [first]) => {
        history.store(checker, first as TruthLine)
        checker.checkpoint(LIFE, KEY, history.placeOf(first as TruthLine))
        checker.killed(LIFE, true)
        checker.opened(LIFE, [saved(history.placeOf(first as TruthLine))])
        checker.tick(LIFE, agentWith(0, 0, 'ENOSPC'))
        checker.killed(LIFE, false)
        checker.opened(LIFE, [])
      },
    ],
    'found, written anew, and lost': [
      /was durable with 1 lines before it; now it has none/,
      (checker, history, [first]) => {
        beginBehind(checker, history, [first as TruthLine])
        checker.tick(LIFE, agentWith(0, 0))
        checker.opened(LIFE, [])
      },
    ],
    'not durable in time': [
      /a checkpoint was not durable 400 ms after its acknowledgement/,
      (checker) => checker.tick(LIFE, agentWith(1, 0.4)),
    ],
    'sent again': [
      /was sent again, although the process began with a checkpoint behind it/,
      (checker, history, [first]) => {
        beginBehind(checker, history, [first as TruthLine])
        history.store(checker, first as TruthLine)
      },
    ],
    'sent again, and its file had hardly begun and is compressed': [
      null,
      (checker, history, [first]) => {
        beginBehind(checker, history, [first as TruthLine])
        history.compress()
        history.store(checker, first as TruthLine)
      },
    ],
    'sent again, and its file was compressed': [
      /was sent again, although the process began with a checkpoint behind it/,
      (checker, history) => {
        const lines = [history.write(), history.write()]
        beginBehind(checker, history, lines)
        history.compress()
        history.store(checker, lines[0] as TruthLine)
      },
    ],
  }
  for (const [name, [says, run]] of Object.entries(cases)) {
    const history = new History()
    const checker = new Checkpoints(history.deps, history.disk)
    run(checker, history, [history.write(), history.write()])
    expect(t, history, says, name)
  }
})

function expect(t: Test, { failures }: History, says: RegExp | null, name = String(says)): void {
  if (says === null) t.strictSame(failures, [], name)
  else t.match(failures.join('\n'), says, name)
}
