// What a shipment is filled with: the lane that is due, and calm ones beside it as far as there is room. Each reader fills its
// share in one go, within one turn of the event loop, into the one block that all of them use. Bound: the sink's batch, more
// where the lane's records go in several requests and the budget has room, and two batches of a file that are read and passed over in a turn.
import { MARK_NAMES } from '../core/entry.ts'
import type { Events } from '../core/events.ts'
import type { Clock } from '../ports/clock.ts'
import type { Selection } from '../select/selection.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Reader } from '../tail/reader.ts'
import type { FillEnd } from '../tail/reading.ts'
import type { Lane, LaneMember } from './lane.ts'
import type { Pieces } from './pieces.ts'
import { SelectingWriter } from './selecting.ts'
import type { Settlement } from './settlement.ts'
import type { Shipment } from './shipment.ts'

/** Less than so much of a batch is not worth a piece of its own. */
const MORE_ONE_OF = 4

/** So many of one part are within what each shipment has of the budget. */
const BATCHES = 2
/**
 * More of a lane is read by the block, of which a batch has two as a rule: each goes out whole, so that no line is found which then does not
 * fit. So there is room for entries that are longer than their lines, and what is read ends with the block in which so much of a batch is there.
 * (One line in fifteen was found twice, and the last ones of each batch in ever smaller calls: 60 ms of 1,340 for 256 MiB of an audit log.)
 */
const ROOM = 1.25
const READ = 0.75

export interface FillingDeps {
  clock: Clock
  events: Events
  /** Takes bytes of the budget beyond what a shipment has, if they are free; who fills gives them to the shipment. */
  takeMore: (bytes: number) => boolean
  /** Used only within one synchronous fill; shared by all consumers. */
  block: Buffer
}

export class Filling {
  readonly #sink: Sink
  readonly #lanes: ReadonlyMap<string, Lane>
  readonly #settlement: Settlement
  readonly #pieces: Pieces
  readonly #deps: FillingDeps

  constructor(sink: Sink, lanes: ReadonlyMap<string, Lane>, settlement: Settlement, pieces: Pieces, deps: FillingDeps) {
    this.#sink = sink
    this.#pieces = pieces
    this.#lanes = lanes
    this.#settlement = settlement
    this.#deps = deps
  }

  /**
   * Fills a shipment from the lane that is due, which is busy already, and as far as there is room from others that may go
   * with it; they are made busy.
   */
  async fill(shipment: Shipment, first: Lane): Promise<void> {
    const pieces = this.#pieces
    const bytesMax = Math.min(this.#sink.batchBytesMax, first.bytesMax)
    const now = this.#deps.clock.monotonic()
    pieces.begin()
    const together = this.#sink.mayShare(first.key)
    this.#fillLane(shipment, first, bytesMax, together)
    if (!together) await this.#fillMore(shipment, first)
    shipment.end()
    if (!together) return
    for (const lane of this.#lanes.values()) {
      if (shipment.roomBytes < 4096) return
      if (lane.dueAt === Number.POSITIVE_INFINITY && !lane.isStirred) continue
      if (lane.busy || lane.retryAt > now || !lane.hasWork || lane.isParked(now)) continue
      if (!this.#sink.mayShare(lane.key, first.key)) continue
      if (lane.unreadBytes > shipment.roomBytes) continue
      lane.busy = true
      if (pieces.isOver) await pieces.next()
      this.#fillLane(shipment, lane, bytesMax, true)
      shipment.end()
    }
  }

  /**
   * Goes on with a lane whose records go in several requests, as long as none of these is full; each time in a piece of its own. A
   * lane that has failed takes no more than a batch.
   */
  async #fillMore(shipment: Shipment, lane: Lane): Promise<void> {
    const [member, other] = lane.members
    while (lane.backlog && lane.attempts === 0 && member !== undefined && other === undefined && shipment.records > 0) {
      const { batchBytesMax } = this.#sink
      const bytes = Math.min(this.#sink.moreBytes?.(lane.key, shipment) ?? 0, batchBytesMax)
      if (bytes < batchBytesMax / MORE_ONE_OF) return
      const room = ROOM * bytes
      if (shipment.bytes + room > BATCHES * batchBytesMax + shipment.moreBytes) {
        if (!this.#deps.takeMore(room)) return
        shipment.moreBytes += room
      }
      await this.#pieces.next()
      shipment.extend(room)
      const { records } = shipment
      lane.backlog = this.#read(shipment, member, READ * bytes) === 'full'
      if (shipment.records === records) return
    }
  }

  #fillLane(shipment: Shipment, lane: Lane, bytesMax: number, together: boolean): void {
    shipment.begin(lane, bytesMax, shipment.records + lane.recordsMax, together)
    lane.backlog = false
    lane.waitingSince = null
    lane.fill((member) => {
      shipment.from(member.reader, member.target.encoder)
      const end = this.#read(shipment, member)
      if (end === 'full') lane.backlog = true
      return end
    })
  }

  #read(shipment: Shipment, { reader, selection }: LaneMember, bytesMax = 2 * this.#sink.batchBytesMax): FillEnd {
    const begun = reader.current !== null
    const out = selection === null ? shipment : new SelectingWriter(shipment, selection)
    const end = reader.fill(out, this.#deps.block, bytesMax)
    if (!begun) this.#settlement.savePosition(reader)
    this.#tellMarks(reader)
    if (selection !== null) this.#tellRedacted(reader, selection)
    return end
  }

  #tellRedacted(reader: Reader, { redacted }: Selection): void {
    const { source } = reader.lineage.info
    for (const [rule, lines] of redacted) this.#deps.events.emit('lines.redacted', { source, rule, lines })
    redacted.clear()
  }

  #tellMarks(reader: Reader): void {
    const marks = reader.takeMarks()
    if (marks === null) return
    const { source } = reader.lineage.info
    const path = reader.current?.path ?? reader.lineage.info.path
    for (const [bit, lines] of marks) {
      const mark = MARK_NAMES.find(([each]) => each === bit)?.[1] ?? String(bit)
      this.#deps.events.emit('lines.marked', { source, path, mark, lines })
    }
  }
}
