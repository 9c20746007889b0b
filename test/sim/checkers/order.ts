// Within a log and a source stream, lines are first stored in the order in which they were written, and the times under
// which they are stored ascend wherever their own times do.
import type { AgentEvents, EventName } from '../../../src/core/events.ts'
import type { Checker, CheckerDeps } from '../checker.ts'
import type { Life } from '../life.ts'
import type { StoredRecord } from '../sink.ts'
import { lastHole, nameOf, type TruthLine, type TruthLog } from '../truth.ts'

export class Order implements Checker {
  readonly name = 'order'
  readonly #deps: CheckerDeps
  /** By log: the last process that something of it came from. */
  readonly #sender = new Map<TruthLog, number>()
  readonly #last = new Map<TruthLog, [number, number]>()
  /** Of damaged logs, the last hole before a line when that was first stored (`lastHole`). */
  readonly #holes = new Map<TruthLine, number>()
  /** docs/guarantees.md names what may come out of order: what is late, and the neighbours of what is divided. */
  #mayBeMixed = false

  constructor(deps: CheckerDeps) {
    this.#deps = deps
    const { on } = deps.faults
    // A store that orders by time is sent again alone what it had no room for (and so is not asked for order of arrival).
    if (!deps.sink.keepsOrder) this.#mayBeMixed = true
    // The names of rotated files tell their order; a clock that goes back makes them lie. A file that cannot be opened
    // for long is read when it can be.
    this.#mayBeMixed ||= on.has('clockBack') || on.has('noDescriptors') || on.has('readErrors')
  }

  event(_life: Life, name: EventName, _detail: AgentEvents[EventName]): void {
    if (name === 'sink.split' || name === 'records.late' || name === 'records.deadLettered') this.#mayBeMixed = true
  }

  stored(record: StoredRecord, line: TruthLine | null, isRepeat: boolean): void {
    if (line === null || isRepeat) return
    if (line.log.damaged) this.#holes.set(line, lastHole(line))
    if (record.late || this.#mayBeMixed) return
    const sender = Math.max(record.sender, this.#sender.get(line.log) ?? 0)
    this.#sender.set(line.log, sender)
    // A push that outlives its process arrives when it does; the next process sends its lines first, if they are there.
    if (record.sender < sender && this.#deps.endOf(line).fate !== null) return
    const last = this.#last.get(line.log) ?? [-1, -1]
    this.#last.set(line.log, last)
    if (line.seq < last[line.stream]) {
      this.#deps.fail(`${nameOf(line)} was stored after number ${last[line.stream]} of its stream`)
    }
    last[line.stream] = line.seq
  }

  ended(): void {
    for (const log of this.#deps.truth.logs) for (const stream of [0, 1] as const) this.#checkTimes(log, stream)
  }

  #checkTimes(log: TruthLog, stream: 0 | 1): void {
    let before: { line: TruthLine; timestampNs: bigint } | null = null
    for (const line of log.lines) {
      const { accepted } = this.#deps.endOf(line)
      if (line.stream !== stream || accepted === null || line.timeNs === null) continue
      if (accepted.metadata.includes('taffrail_original_time')) continue
      if (before !== null && line.timeNs >= (before.line.timeNs as bigint) && line.seq > before.line.seq) {
        // A row that is torn by damage has the time of those around it, as the record of a hole has, and a line that is behind
        // one of them keeps its own.
        const isHoled = (this.#holes.get(line) ?? -1) >= (before.line.rows[0] ?? before.line).content.order
        const isKept = isHoled && (accepted.timestampNs === line.timeNs || accepted.timestampNs === before.timestampNs)
        if (!isKept && accepted.timestampNs <= before.timestampNs)
          this.#deps.fail(`${nameOf(line)} has no later time than number ${before.line.seq}, which it follows`)
      }
      before = { line, timestampNs: accepted.timestampNs }
    }
  }
}
