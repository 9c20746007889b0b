// One reader's part of its sink's ledger, and what is acknowledged of each source stream beyond the committed place: what
// was acknowledged is neither counted nor written again when a rewind leads before it.
import { STDERR, STDOUT } from '../core/entry.ts'
import type { Amount, Ledger } from '../core/ledger.ts'
import type { TailedFile } from './file.ts'
import { type Acked, AT_END, isBefore, type Place, type Snapshot } from './place.ts'

/** Rules by which a reader leaves lines out. */
export type SkipRule = 'startAgeMax' | 'auditPolicy'
const SKIP_RULES: readonly SkipRule[] = ['startAgeMax', 'auditPolicy']

/** Numbers for each source stream in a checkpoint. */
const SAVED_FIELDS = 3

export class Account {
  readonly #ledger: Ledger
  readonly #place: Place
  readonly #acked: [Acked | null, Acked | null] = [null, null]
  // Skipped since the last commit, by rule and source stream: settled by the next ack, given back by a rewind. Null: nothing ever was.
  #skipped: Record<SkipRule, [Amount, Amount]> | null = null
  /** Taken from the files and not settled: what a rewind gives back. */
  readonly unsettled: Amount = { bytes: 0, lines: 0 }

  constructor(ledger: Ledger, place: Place) {
    this.#ledger = ledger
    this.#place = place
  }

  /** Nothing beyond the committed place is acknowledged: there is no need to ask. */
  get isPlain(): boolean {
    return this.#acked[0] === null && this.#acked[1] === null
  }

  /** Something that was read is not acknowledged: a rewind would lead before it. */
  get isUnsettled(): boolean {
    return this.unsettled.lines > 0
  }

  /** Whether nothing beyond `file` is acknowledged for one stream alone. */
  isWithin(file: TailedFile): boolean {
    return this.#acked.every((acked) => acked === null || acked.file === file)
  }

  /**
   * What is acknowledged beyond the committed place, in these files, which the checkpoint names (its own one first): source
   * stream, which file, offset, repeated.
   */
  save(files: readonly (TailedFile | null)[]): number[] {
    return ([STDOUT, STDERR] as const).flatMap((stream) => {
      const acked = this.#acked[stream]
      const after = acked === null ? -1 : files.indexOf(acked.file)
      return acked === null || after < 0 ? [] : [stream, after, acked.offset]
    })
  }

  /** `files` are those that the checkpoint names, where they are there. */
  load(files: readonly (TailedFile | null)[], saved: readonly number[]): void {
    this.#acked.fill(null)
    for (let i = 0; i + SAVED_FIELDS <= saved.length; i += SAVED_FIELDS) {
      const file = files[saved[i + 1] as number]
      if (file != null) this.#acked[saved[i] === STDERR ? STDERR : STDOUT] = { file, offset: saved[i + 2] as number }
    }
  }

  /** Whether what ends at `endOffset` of the current file was acknowledged for its stream. */
  isAcked(stream: number, endOffset: number): boolean {
    const acked = this.#acked[stream === STDERR ? STDERR : STDOUT]
    if (acked === null) return false
    const { sequence } = this.#place.file as TailedFile
    return sequence < acked.file.sequence || (sequence === acked.file.sequence && endOffset <= acked.offset)
  }

  take(bytes: number, lines: number): void {
    this.unsettled.bytes += bytes
    this.unsettled.lines += lines
    this.#ledger.take(bytes, lines)
  }

  /** What a rule leaves out, ending at `endOffset`. */
  skip(stream: number, endOffset: number, bytes: number, lines: number, rule: SkipRule = 'startAgeMax'): void {
    if (this.isAcked(stream, endOffset)) return
    this.take(bytes, lines)
    this.#skipped ??= { startAgeMax: [nothing(), nothing()], auditPolicy: [nothing(), nothing()] }
    const skipped = this.#skipped[rule][stream === STDERR ? STDERR : STDOUT]
    skipped.bytes += bytes
    skipped.lines += lines
  }

  lose(cause: string, bytes: number): void {
    this.#ledger.lose(cause, bytes)
  }

  /** Everything of `stream` up to `here` is acknowledged; `committed` is where a rewind leads now. */
  ack(stream: 0 | 1, here: Acked, committed: Snapshot | null): void {
    // Never backwards: after a rewind a batch may end before what was acknowledged.
    const before = this.#acked[stream]
    const acked = before === null || !isBefore(here, before) ? here : before
    // It matters only while a rewind may lead before it.
    const passed =
      committed !== null && isBefore(acked, { ...committed, offset: committed.offset + (committed.ended ? AT_END : 0) })
    this.#acked[stream] = passed ? null : acked
    if (this.#skipped === null) return
    for (const rule of SKIP_RULES) {
      const skipped = this.#skipped[rule][stream]
      if (skipped.bytes === 0 && skipped.lines === 0) continue
      this.#ledger.settle('skipped', rule, skipped.bytes, skipped.lines)
      this.settled(skipped.bytes, skipped.lines)
      skipped.bytes = 0
      skipped.lines = 0
    }
  }

  /** An amount of what was taken is settled (acked, dropped, dead-lettered). */
  settled(bytes: number, lines: number): void {
    this.unsettled.bytes -= bytes
    this.unsettled.lines -= lines
  }

  /** What was taken and is not settled goes back to the files. */
  rewind(): void {
    this.#ledger.untake(this.unsettled.bytes, this.unsettled.lines)
    this.unsettled.bytes = 0
    this.unsettled.lines = 0
    this.#skipped = null
  }
}

function nothing(): Amount {
  return { bytes: 0, lines: 0 }
}
