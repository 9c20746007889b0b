// A consumer: one sink with its lanes. It decides when a lane is due, fills a shipment from its readers, lets the sink
// send it, and settles: what was delivered moves the watermark, everything else goes back to the files and is read
// again later. So between two attempts nothing is held in memory; the log file is the buffer.
import PQueue from 'p-queue'
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import type { Position } from '../checkpoint/position.ts'
import type { BudgetShare, ByteBudget } from '../core/budget.ts'
import type { CpuAllowance } from '../core/cpu-allowance.ts'
import { MARK_NAMES } from '../core/entry.ts'
import type { Events } from '../core/events.ts'
import { Ledger } from '../core/ledger.ts'
import { isSameMetadata, type Metadata } from '../core/metadata.ts'
import type { MultilineConfig } from '../parse/multiline.ts'
import type { Clock } from '../ports/clock.ts'
import type { Selection } from '../select/selection.ts'
import type { Refused, SegmentResult, Sink } from '../sinks/sink.ts'
import type { Reader } from '../tail/reader.ts'
import { HeldLines } from './held.ts'
import { Lane } from './lane.ts'
import { PartPool } from './part.ts'
import { SelectingWriter } from './selecting.ts'
import { type Segment, Shipment } from './shipment.ts'
import type { Target } from './target.ts'

/** Room in a part beyond a full batch: headers, and what an encoder reserves for one more entry. */
const PART_SLACK_BYTES = 16 * 1024
/** One turn of the event loop fills for at most so long. */
const TURN_MS_MAX = 8
/** A quiet lane's limits from a refusal double again with each success. */
const LIMIT_GROWTH = 2
/** One of so many shipments begins with the lane that has waited longest, whatever others are about to lose. */
const AGE_TURNS = 4
/** After so many failures in turn a lane is not waited for at the end. */
const FAILING_ATTEMPTS = 3
/** A lane that seemed to have work and had none (a file that cannot be read) is asked again after so long. */
const NOTHING_MS = 200

export interface ConsumerDeps {
  clock: Clock
  events: Events
  budget: ByteBudget
  /** null: no limit. */
  allowance: CpuAllowance | null
  checkpoints: CheckpointStore
  /** Used only within one synchronous fill; shared by all consumers. */
  block: Buffer
  /** What the reader's next lines should go out with; null: as before. Asked after each acknowledgement. */
  metadataFor?: (reader: Reader, before: Metadata) => Metadata | null
  /** Which of the reader's lines are one record while they go out with `metadata`; null: each is one. */
  multilineFor?: (reader: Reader, metadata: Metadata) => MultilineConfig | null
  /** Which of the reader's lines go out while they go out with `metadata`; null: all, as they are. */
  selectionFor?: (reader: Reader, metadata: Metadata) => Selection | null
}

/** Budget that a shipment of the sink takes: both parts, or one line that is larger, and what goes out of them. */
export function reservationBytes(sink: Pick<Sink, 'batchBytesMax' | 'lineBytesMax'>): number {
  return 2 * (Math.max(sink.batchBytesMax, sink.lineBytesMax) + 128 * 1024)
}

export class Consumer {
  readonly sink: Sink
  readonly ledger = new Ledger()
  readonly lanes = new Map<string, Lane>()
  /** Everything that is due goes out at once: draining, or `--once`. */
  hurry = false
  lastAckAt: number | null = null
  /** Settles with the first broken invariant; the agent ends the process then. */
  readonly broken: Promise<never>
  readonly #deps: ConsumerDeps
  readonly #queue: PQueue
  readonly #pool: PartPool
  readonly #reservationBytes: number
  readonly #laneOf = new Map<Reader, Lane>()
  readonly #budget: BudgetShare
  readonly #held = new HeldLines()
  /** What each reader's lines go out with. */
  readonly #metadata = new Map<Reader, Metadata>()
  /** Readers whose metadata was decided and is not known to be durable. */
  readonly #undurable = new Set<Reader>()
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
    this.#budget = deps.budget.share(this.#reservationBytes)
    this.broken = new Promise((_, reject) => {
      this.#break = reject
    })
    this.broken.catch(() => {}) // observed by the agent; without one, a broken consumer must not be an unhandled rejection
  }

  /** Takes a reader up; its lines go out with `metadata`. `isSaved`: that is on disk already, or a function of the path. */
  add(reader: Reader, metadata: Metadata, isSaved = true): void {
    this.#assign(reader, metadata, this.sink.target(reader.lineage.info, metadata))
    if (!isSaved) this.#decide(reader, metadata)
  }

  /** What the reader's lines go out with now; undefined for a reader that was not added yet. */
  metadataOf(reader: Reader): Metadata | undefined {
    return this.#metadata.get(reader)
  }

  /** Looks whether the reader's lines should go out otherwise, and lets them if it can be now; else after an acknowledgement. */
  refresh(reader: Reader): void {
    const lane = this.#laneOf.get(reader)
    const before = this.#metadata.get(reader)
    if (lane === undefined || before === undefined) return
    const wanted = this.#deps.metadataFor?.(reader, before) ?? null
    if (wanted === null || before === wanted) return
    if (isSameMetadata(before, wanted)) {
      this.#metadata.set(reader, wanted) // one object for all
      return
    }
    if (lane.busy || !reader.isAtFreshLine) {
      reader.wantFreshLine()
      return
    }
    const target = this.sink.target(reader.lineage.info, wanted)
    if (target.key !== lane.key) this.#leave(reader, lane)
    this.#assign(reader, wanted, target)
    // The place from which on it holds was saved before, with the last acknowledgement.
    this.#decide(reader, wanted)
  }

  #assign(reader: Reader, metadata: Metadata, target: Target): void {
    this.#metadata.set(reader, metadata)
    reader.multiline = this.#deps.multilineFor?.(reader, metadata) ?? null
    const present = this.#laneOf.get(reader)?.member(reader)
    if (present !== undefined) {
      present.target = target
      present.selection = this.#deps.selectionFor?.(reader, metadata) ?? null
      return
    }
    let lane = this.lanes.get(target.key)
    if (lane === undefined) {
      lane = new Lane(target.key)
      this.lanes.set(target.key, lane)
    }
    lane.add({ reader, target, selection: this.#deps.selectionFor?.(reader, metadata) ?? null })
    this.#laneOf.set(reader, lane)
  }

  #leave(reader: Reader, lane: Lane): void {
    lane.remove(reader)
    this.#laneOf.delete(reader)
    this.#held.forget(reader)
    if (lane.size > 0) return
    this.lanes.delete(lane.key)
    this.sink.forget(lane.key)
  }

  #decide(reader: Reader, metadata: Metadata): void {
    this.#deps.checkpoints.setMetadata(this.sink.name, reader.lineage.info.key, metadata)
    this.#undurable.add(reader)
  }

  /** Makes all that was decided durable, in one commit. Called once whenever some readers were added or refreshed. */
  async saveDecisions(): Promise<void> {
    if (this.#undurable.size === 0) return
    const decided = [...this.#undurable].map((reader) => ({ reader, metadata: this.#metadata.get(reader) }))
    // A disk that takes nothing does not stop delivery; the store says so.
    await this.#deps.checkpoints.flush().catch(() => {})
    for (const { reader, metadata } of decided) {
      if (this.#metadata.get(reader) === metadata) this.#undurable.delete(reader)
    }
  }

  /** Seconds since something of the reader's lane is unacknowledged; 0 when all is. */
  laggingSeconds(reader: Reader): number {
    const since = this.#laneOf.get(reader)?.laggingSince ?? null
    return since === null ? 0 : (this.#deps.clock.monotonic() - since) / 1000
  }

  /** Whether the reader could let go of its files now. */
  canSleep(reader: Reader): boolean {
    return this.#laneOf.get(reader)?.busy !== true && reader.canSleep
  }

  /** Lets the reader go to sleep at that place, which is saved. */
  sleep(reader: Reader, place: Position | 'start'): void {
    if (place !== 'start' && reader.current !== null) {
      this.#deps.checkpoints.set(this.sink.name, reader.lineage.info.key, place)
    }
    this.#held.forget(reader)
    reader.sleep(place)
  }

  /** Takes a reader out; false while a shipment of its lane is under way. */
  remove(reader: Reader): boolean {
    const lane = this.#laneOf.get(reader)
    if (lane === undefined) return true
    if (lane.busy) return false
    this.#leave(reader, lane)
    this.#metadata.delete(reader)
    this.#undurable.delete(reader)
    reader.close()
    return true
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
    for (const reader of this.#laneOf.keys()) if (reader.lagBytes > 0) files++
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
    for (const reader of this.#laneOf.keys()) {
      if (all ? reader.hasUntoldUnread : reader.hasUntoldFiles) this.#savePosition(reader)
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
      const { first, nextAt } = this.#lookAtLanes(now)
      if (first === null) {
        if (nextAt < Number.POSITIVE_INFINITY) this.#pumpAfter(nextAt - now)
        return
      }
      if (this.#active >= this.sink.concurrency) return
      const waitMs = allowance?.take() ?? 0
      if (waitMs > 0) {
        this.#pumpAfter(waitMs)
        return
      }
      if (!this.#budget.tryTake(this.#reservationBytes, () => this.pump())) return
      this.#start(first)
    }
  }

  #pumpAfter(delayMs: number): void {
    this.#cancelTimer = this.#deps.clock.after(delayMs, () => this.pump())
  }

  /**
   * Of the lanes that are due the one that is closest to losing data, but each time one in AGE_TURNS the one that is due for
   * longest: a quiet log is not late for hours because loud ones are in danger. And when the next of the others will be due.
   * Nothing is made for a lane: there may be thousands, and this is done for each shipment.
   */
  #lookAtLanes(now: number): { first: Lane | null; nextAt: number } {
    const byAge = this.#turns % AGE_TURNS === 0
    let first: Lane | null = null
    let firstAt = Number.POSITIVE_INFINITY
    let firstLossAt = Number.POSITIVE_INFINITY
    let nextAt = Number.POSITIVE_INFINITY
    for (const lane of this.lanes.values()) {
      const at = lane.isStirred || this.hurry ? this.#workOutDue(lane, now) : lane.dueAt
      if (at > now) {
        nextAt = Math.min(nextAt, at)
        continue
      }
      const lossAt = byAge ? 0 : lane.lossAt
      if (first !== null && (lossAt > firstLossAt || (lossAt === firstLossAt && at >= firstAt))) continue
      first = lane
      firstAt = at
      firstLossAt = lossAt
    }
    return { first, nextAt }
  }

  /** Resolves when what is under way is settled; nothing new is started. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelTimer?.()
    await this.#queue.onIdle()
  }

  #workOutDue(lane: Lane, now: number): number {
    lane.dueAt = this.#dueAt(lane, now)
    // What is not known to be at rest may come to have something to do by the passing of time.
    lane.isStirred = !lane.busy && (lane.isParked(now) || (lane.dueAt === Number.POSITIVE_INFINITY && !lane.isAtRest))
    return lane.dueAt
  }

  /** Monotonic ms at which the lane is due; infinite when it is busy or has nothing to do. */
  #dueAt(lane: Lane, now: number): number {
    if (lane.busy) return Number.POSITIVE_INFINITY
    if (!lane.hasWork) {
      lane.waitingSince = null
      return Number.POSITIVE_INFINITY
    }
    if (lane.isParked(now)) return lane.parkedUntil
    lane.waitingSince ??= Math.min(now, lane.wantedSince)
    lane.laggingSince ??= now
    const full = this.hurry || lane.backlog || lane.unreadBytes >= this.sink.batchBytesMax
    return Math.max(lane.retryAt, full ? lane.waitingSince : lane.waitingSince + this.sink.batchAgeMaxMs)
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
      await this.#fill(shipment, first)
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
      for (const [index, segment] of sendable.entries()) {
        this.#settle(segment, results[index] as SegmentResult, startedAt)
      }
    } finally {
      shipment.release()
    }
  }

  async #fill(shipment: Shipment, first: Lane): Promise<void> {
    const { clock } = this.#deps
    const bytesMax = Math.min(this.sink.batchBytesMax, first.bytesMax)
    let turnStartedAt = clock.monotonic()
    const together = this.sink.mayShare(first.key)
    this.#fillLane(shipment, first, bytesMax, together)
    if (!together) return
    const now = turnStartedAt
    for (const lane of this.lanes.values()) {
      if (shipment.roomBytes < 4096) return
      if (lane.dueAt === Number.POSITIVE_INFINITY && !lane.isStirred) continue
      if (lane.busy || lane.retryAt > now || !lane.hasWork || lane.isParked(now)) continue
      if (!this.sink.mayShare(lane.key, first.key)) continue
      if (lane.unreadBytes > shipment.roomBytes) continue
      lane.busy = true
      if (clock.monotonic() - turnStartedAt > TURN_MS_MAX) {
        await clock.yield()
        turnStartedAt = clock.monotonic()
      }
      this.#fillLane(shipment, lane, bytesMax, true)
    }
  }

  #fillLane(shipment: Shipment, lane: Lane, bytesMax: number, together: boolean): void {
    shipment.begin(lane, bytesMax, shipment.records + lane.recordsMax, together)
    lane.backlog = false
    lane.waitingSince = null
    lane.fill(({ reader, target, selection }) => {
      shipment.from(reader, target.encoder)
      const begun = reader.current !== null
      const out = selection === null ? shipment : new SelectingWriter(shipment, selection)
      const end = reader.fill(out, this.#deps.block, 2 * this.sink.batchBytesMax)
      if (!begun) this.#savePosition(reader)
      this.#tellMarks(reader)
      if (selection !== null) this.#tellRedacted(reader, selection)
      if (end === 'full') lane.backlog = true
      return end
    })
    shipment.end()
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
    const isDecided = !readers.some((reader) => this.#undurable.has(reader))
    if (fresh.length === 0 && !outruns && isDecided) return
    for (const reader of fresh) if (this.#savePosition(reader)) reader.decisionsSaved()
    this.sink.checkpointing()
    if (!isDecided) return this.saveDecisions()
    // A disk that takes nothing does not stop delivery; the store says so, and repeats may then be entries of their own.
    await checkpoints.flush().catch(() => {})
  }

  #settle(segment: Segment, result: SegmentResult, startedAt: number): void {
    const { lane } = segment
    const { clock } = this.#deps
    const acked = result.kind === 'acked' ? [0, 1] : result.ackedStreams
    for (const stream of acked as (0 | 1)[]) this.#ackStream(segment, stream, result.refused)
    if (result.kind === 'acked') {
      const hasRecords = recordsOf(segment) > 0
      if (hasRecords) this.lastAckAt = clock.now()
      lane.attempts = 0
      lane.retryAt = Number.NEGATIVE_INFINITY
      for (const { reader } of segment.shares) reader.commit()
      this.#noteDropped(segment, result.refused)
      for (const { reader } of segment.shares) {
        this.#savePosition(reader)
        this.#held.note(reader, lane, clock.monotonic())
      }
      if (!hasRecords && !hasMoved(segment)) lane.retryAt = clock.monotonic() + NOTHING_MS
      lane.bytesMax *= LIMIT_GROWTH
      lane.recordsMax *= LIMIT_GROWTH
      lane.laggingSince =
        lane.lagBytes === 0 ? null : Math.max(lane.laggingSince ?? startedAt, lane.backlog ? 0 : startedAt)
    } else {
      for (const { reader } of segment.shares) {
        for (const stream of acked) reader.ackStream(stream)
        reader.rewind()
        this.#held.forget(reader)
      }
      this.#noteDropped(segment, result.refused)
      lane.backlog = true
      // Without a delay it is no failure: it only has to go another way.
      if (result.delayMs > 0) lane.attempts++
      lane.retryAt = clock.monotonic() + result.delayMs
      if (result.bytesMax !== undefined) lane.bytesMax = result.bytesMax
      if (result.recordsMax !== undefined) lane.recordsMax = result.recordsMax
    }
    lane.busy = false
    if (result.kind === 'acked') for (const { reader } of segment.shares) this.refresh(reader)
  }

  /** Settles one source stream of a segment: everything but what was refused is acknowledged. */
  #ackStream(segment: Segment, stream: 0 | 1, refused: readonly Refused[]): void {
    let bytes = 0
    let lines = 0
    for (const share of segment.shares) {
      bytes += share.bytes[stream]
      lines += share.lines[stream]
      share.reader.settled(share.bytes[stream], share.lines[stream])
      for (const each of share.leftOut) {
        if (each.stream !== stream) continue
        this.ledger.settle(each.kind, each.reason, each.bytes, each.lines)
        share.reader.settled(each.bytes, each.lines)
      }
    }
    for (const each of refused) {
      if (each.stream !== stream) continue
      bytes -= each.bytes
      lines -= each.lines
      this.ledger.settle(each.kind, each.reason, each.bytes, each.lines)
    }
    this.ledger.ack(bytes, lines)
  }

  /** A gap goes in the place of records that were dropped, from the reader that had read them. */
  #noteDropped(segment: Segment, refused: readonly Refused[]): void {
    for (const { hole } of refused) {
      if (hole === undefined) continue
      const share = segment.shares.find(({ files }) => files.some(({ path }) => path === hole.path))
      ;(share ?? segment.shares[0])?.reader.noteDropped(hole)
    }
  }

  #savePosition(reader: Reader): boolean {
    const position = reader.position()
    if (position !== null) this.#deps.checkpoints.set(this.sink.name, reader.lineage.info.key, position)
    return position !== null
  }

  #tellRedacted(reader: Reader, { redacted }: Selection): void {
    const { source } = reader.lineage.info
    for (const [rule, lines] of redacted) this.#deps.events.emit('lines.redacted', { source, rule, lines })
    redacted.clear()
  }

  #tellMarks(reader: Reader): void {
    if (reader.marks.size === 0) return
    const { source } = reader.lineage.info
    const path = reader.current?.path ?? reader.lineage.info.path
    for (const [bit, lines] of reader.marks) {
      const mark = MARK_NAMES.find(([each]) => each === bit)?.[1] ?? String(bit)
      this.#deps.events.emit('lines.marked', { source, path, mark, lines })
    }
    reader.marks.clear()
  }
}

/** Whether any reader is elsewhere than where it began. */
function hasMoved(segment: Segment): boolean {
  return segment.shares.some(
    ({ reader, fromFile, fromOffset }) => reader.current !== fromFile || reader.offset !== fromOffset,
  )
}

function recordsOf(segment: Segment): number {
  return segment.endRecords[0] - segment.firstRecords[0] + segment.endRecords[1] - segment.firstRecords[1]
}
