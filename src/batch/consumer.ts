// A consumer: one sink with its lanes (members.ts). When one is due (due.ts) it fills a shipment (filling.ts), lets the sink send
// it, and settles (settlement.ts): what was delivered moves the watermark, everything else goes back to the files and is read
// again later. So between two attempts nothing is held in memory; the log file is the buffer. Bound: the sink's `concurrency`
// shipments, each within a reservation of the budget that all consumers share.
import PQueue from 'p-queue'
import type { Position } from '../checkpoint/position.ts'
import type { BudgetShare, ByteBudget } from '../core/budget.ts'
import type { CpuAllowance } from '../core/cpu-allowance.ts'
import type { Ledger } from '../core/ledger.ts'
import type { Metadata } from '../core/metadata.ts'
import type { Clock } from '../ports/clock.ts'
import type { SegmentResult, Sink } from '../sinks/sink.ts'
import type { Reader } from '../tail/reader.ts'
import { DueLanes } from './due.ts'
import { Filling, type FillingDeps } from './filling.ts'
import { HeldLines } from './held.ts'
import type { Lane } from './lane.ts'
import { Members, type MembersDeps } from './members.ts'
import { PartPool } from './part.ts'
import { Pieces } from './pieces.ts'
import { recordsOf, Settlement } from './settlement.ts'
import { type Segment, Shipment } from './shipment.ts'

/** Room in a part beyond a full batch: headers, and what an encoder reserves for one more entry. */
const PART_SLACK_BYTES = 16 * 1024
/** After so many failures in turn a lane is not waited for at the end. */
const FAILING_ATTEMPTS = 3

export interface ConsumerDeps extends MembersDeps, Omit<FillingDeps, 'takeMore'> {
  clock: Clock
  budget: ByteBudget
  /** null: no limit. */
  allowance: CpuAllowance | null
}

/** Budget that a shipment of the sink takes: both parts, or one with two batches, or one line that is larger, and what goes out of them. */
export function reservationBytes(sink: Pick<Sink, 'batchBytesMax' | 'lineBytesMax'>): number {
  return 2 * (Math.max(sink.batchBytesMax, sink.lineBytesMax) + 128 * 1024)
}

export class Consumer {
  readonly sink: Sink
  /** Everything that is due goes out at once: draining, or `--once`. */
  hurry = false
  /** Settles with the first broken invariant; the agent ends the process then. */
  readonly broken: Promise<never>
  readonly #deps: ConsumerDeps
  readonly #queue: PQueue
  readonly #pool: PartPool
  readonly #reservationBytes: number
  readonly #budget: BudgetShare
  readonly #held = new HeldLines()
  readonly #members: Members
  readonly #due: DueLanes
  readonly #settlement: Settlement
  readonly #filling: Filling
  readonly #pieces: Pieces
  #active = 0
  /** Shipments begun. */
  #turns = 0
  #stopped = false
  #cancelTimer: (() => void) | null = null
  #break: (error: unknown) => void = () => {}

  constructor(sink: Sink, deps: ConsumerDeps) {
    this.sink = sink
    this.#deps = deps
    this.#queue = new PQueue({ concurrency: sink.concurrency })
    this.#pool = new PartPool(2 * sink.concurrency, sink.batchBytesMax + PART_SLACK_BYTES)
    this.#reservationBytes = reservationBytes(sink)
    this.#members = new Members(sink, this.#held, deps)
    this.#due = new DueLanes(this.#members.lanes, sink)
    this.#settlement = new Settlement(sink.name, this.#held, deps)
    this.#pieces = new Pieces(deps)
    this.#budget = deps.budget.share(this.#reservationBytes)
    const takeMore = (bytes: number) => this.#budget.tryTake(bytes)
    this.#filling = new Filling(sink, this.#members.lanes, this.#settlement, this.#pieces, { ...deps, takeMore })
    this.broken = new Promise((_, reject) => {
      this.#break = reject
    })
    this.broken.catch(() => {}) // observed by the agent; without one, a broken consumer must not be an unhandled rejection
  }

  get ledger(): Ledger {
    return this.#settlement.ledger
  }

  /** ms since the epoch when the sink last took something; null before the first time. */
  get lastAckAt(): number | null {
    return this.#settlement.lastAckAt
  }

  /** By the keys of their targets. */
  get lanes(): ReadonlyMap<string, Lane> {
    return this.#members.lanes
  }

  /** Takes a reader up; its lines go out with `metadata`. `isSaved`: that is on disk already, or a function of the path. */
  add(reader: Reader, metadata: Metadata, isSaved = true): void {
    this.#members.add(reader, metadata, isSaved)
  }

  /** What the reader's lines go out with now; undefined for a reader that was not added yet. */
  metadataOf(reader: Reader): Metadata | undefined {
    return this.#members.metadataOf(reader)
  }

  /** Looks whether the reader's lines should go out otherwise, and lets them if it can be now; else after an acknowledgement. */
  refresh(reader: Reader): void {
    this.#members.refresh(reader)
  }

  /** Makes all that was decided durable, in one commit. Called once whenever some readers were added or refreshed. */
  saveDecisions(): Promise<void> {
    return this.#members.saveDecisions()
  }

  /** Takes a reader out; false while a shipment of its lane is under way. */
  remove(reader: Reader): boolean {
    return this.#members.remove(reader)
  }

  /** Seconds since something of the reader's lane is unacknowledged; 0 when all is. */
  laggingSeconds(reader: Reader): number {
    const since = this.#members.laneOf(reader)?.laggingSince ?? null
    return since === null ? 0 : (this.#deps.clock.monotonic() - since) / 1000
  }

  /** Whether the reader could let go of its files now. */
  canSleep(reader: Reader): boolean {
    return this.#members.laneOf(reader)?.busy !== true && reader.canSleep
  }

  /** Lets the reader go to sleep at that place, which is saved. */
  sleep(reader: Reader, place: Position | 'start'): void {
    if (place !== 'start' && reader.current !== null) {
      this.#deps.checkpoints.set(this.sink.name, reader.lineage.info.key, place)
    }
    this.#held.forget(reader)
    reader.sleep(place)
  }

  /** Nothing under way, nothing to do, and nothing to come by itself. */
  get idle(): boolean {
    if (this.#active > 0) return false
    for (const lane of this.lanes.values()) if (lane.hasWork || lane.isWaiting) return false
    return true
  }

  /** Bytes that are not acknowledged, unread ones included. */
  get lagBytes(): number {
    let bytes = 0
    for (const lane of this.lanes.values()) bytes += lane.lagBytes
    return bytes
  }

  /** How many lineages have such bytes. */
  get laggingFiles(): number {
    let files = 0
    for (const reader of this.#members.readers) if (reader.lagBytes > 0) files++
    return files
  }

  /** It has something to do, and all of that has failed again and again. */
  get isFailing(): boolean {
    let isFailing = false
    for (const lane of this.lanes.values()) {
      if (!lane.busy && !lane.hasWork && !lane.isWaiting) continue
      if (lane.attempts < FAILING_ATTEMPTS) return false
      isFailing = true
    }
    return isFailing
  }

  get active(): number {
    return this.#active
  }

  /**
   * Saves what lies unread, so that its loss while nobody looks has a size: where files have come since it was last told,
   * and with `all` where anything has.
   */
  noteUnread(all: boolean): void {
    for (const reader of this.#members.readers) {
      if (all ? reader.hasUntoldUnread : reader.hasUntoldFiles) this.#settlement.savePosition(reader)
    }
  }

  /** Begins to do so for all in pieces: of thousands each has changed. */
  beginToNoteUnread(): void {
    this.#noteInPieces().catch((error: unknown) => this.#break(error))
  }

  async #noteInPieces(): Promise<void> {
    this.#pieces.begin()
    // Who is taken out meanwhile is not met any more.
    for (const reader of this.#members.readers) {
      if (reader.hasUntoldUnread) this.#settlement.savePosition(reader)
      if (!this.#pieces.isOver) continue
      await this.#pieces.next()
      if (this.#stopped) return // who stops it notes all
    }
  }

  /**
   * Starts shipments for the lanes that are due, as far as there are places, CPU time and budget. Called whenever something
   * changed. Which lane comes first is decided when there is a place for it, and not before.
   */
  pump(): void {
    if (this.#stopped) return
    this.#cancelTimer?.()
    this.#cancelTimer = null
    const { clock, allowance } = this.#deps
    const now = clock.monotonic()
    for (;;) {
      // Nothing can begin before, and to go through thousands of lanes that are due takes a tenth of a small allowance.
      if (this.#putOff(allowance?.untilTurn() ?? 0)) return
      const { first, nextAt } = this.#due.look(now, this.#turns, this.hurry)
      if (first === null) {
        if (nextAt < Number.POSITIVE_INFINITY) this.#pumpAfter(nextAt - now)
        return
      }
      if (this.#active >= this.sink.concurrency) return
      if (this.#putOff(allowance?.take() ?? 0)) return
      if (!this.#budget.tryTake(this.#reservationBytes, () => this.pump())) return
      this.#start(first)
    }
  }

  #putOff(delayMs: number): boolean {
    if (delayMs > 0) this.#pumpAfter(delayMs)
    return delayMs > 0
  }

  #pumpAfter(delayMs: number): void {
    this.#cancelTimer = this.#deps.clock.after(delayMs, () => this.pump())
  }

  /** Resolves when what is under way is settled; nothing new is started. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelTimer?.()
    await this.#queue.onIdle()
  }

  #start(lane: Lane): void {
    this.#active++
    this.#turns++
    lane.busy = true
    void this.#queue
      .add(() => this.#run(lane))
      .catch((error: unknown) => this.#break(error))
      .finally(() => {
        this.#active--
        this.#budget.release(this.#reservationBytes)
        this.pump()
      })
  }

  async #run(first: Lane): Promise<void> {
    const { clock } = this.#deps
    const shipment = new Shipment(this.sink, this.#pool)
    const startedAt = clock.monotonic()
    try {
      await this.#filling.fill(shipment, first)
      const sendable = shipment.segments.filter((segment) => recordsOf(segment) > 0)
      // What is skipped or passed over, perhaps by the gigabyte, waits for no I/O: others get their turn all the same. The lane
      // is busy until then, or whoever pumps in between would begin a second run through it, and a third.
      if (sendable.length === 0) await clock.yield()
      for (const segment of shipment.segments) {
        // Nothing to send, but something may have been passed over: skipped lines, the end of a file.
        if (recordsOf(segment) === 0) this.#settle(segment, { kind: 'acked', refused: [] }, startedAt)
      }
      if (sendable.length === 0) return
      await this.#makeDurable(sendable)
      const results = await this.sink.ship(shipment)
      this.#pieces.begin()
      for (const [index, segment] of sendable.entries()) {
        if (this.#pieces.isOver) await this.#pieces.next()
        this.#settle(segment, results[index] as SegmentResult, startedAt)
      }
    } finally {
      this.#budget.release(shipment.moreBytes)
      shipment.release()
    }
  }

  /**
   * Makes durable what must be so before these are sent: times of arrival, gaps and metadata, which are decided once, and
   * the checkpoint, where the sink would not know a repeat of what lies behind it.
   */
  async #makeDurable(segments: readonly Segment[]): Promise<void> {
    const { checkpoints } = this.#deps
    const readers = segments.flatMap((segment) => segment.shares.map((share) => share.reader))
    const fresh = readers.filter((reader) => reader.hasFreshDecisions)
    const outruns = segments.some((segment) => this.sink.outrunsCheckpoint(segment))
    const isDecided = this.#members.areDurable(readers)
    if (fresh.length === 0 && !outruns && isDecided) return
    for (const reader of fresh) if (this.#settlement.savePosition(reader)) reader.decisionsSaved()
    this.sink.checkpointing()
    if (!isDecided) return this.saveDecisions()
    // A disk that takes nothing does not stop delivery; the store says so, and repeats may then be entries of their own.
    await checkpoints.flush().catch(() => {})
  }

  #settle(segment: Segment, result: SegmentResult, startedAt: number): void {
    this.#settlement.settle(segment, result, startedAt)
    if (result.kind === 'acked') for (const { reader } of segment.shares) this.#members.refresh(reader)
  }
}
