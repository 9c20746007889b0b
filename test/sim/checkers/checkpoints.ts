// A checkpoint is never past what was acknowledged; what the store calls durable is there after a kill and a power cut,
// and becomes durable in time; and nothing is sent again that a process found checkpointed when it began.
import type { Agent } from '../../../src/agent.ts'
import type { Position } from '../../../src/checkpoint/position.ts'
import type { AgentEvents, EventName } from '../../../src/core/events.ts'
import { digest, WITNESS_BYTES } from '../../../src/tail/file.ts'
import type { Checker, CheckerDeps, SavedPosition } from '../checker.ts'
import type { Life } from '../life.ts'
import type { Inode, SimDisk } from '../sim-disk.ts'
import type { StoredRecord } from '../sink.ts'
import { type Content, heldBytesOf, isSettled, nameOf, type TruthLine, type TruthLog } from '../truth.ts'

/** The promise is 250 ms; a disk that is well takes some of its own. */
const DURABLE_MS_MAX = 250 + 100
/** Of a container's row, up to its nanoseconds. */
const TIME_BYTES = 30

interface KnownPlace {
  content: Content
  offset: number
  /** How many lines of its log lie before it. */
  before: number
  head: Pick<Position, 'head' | 'headBytes'>
}

export class Checkpoints implements Checker {
  readonly name = 'checkpoints'
  readonly #deps: CheckerDeps
  readonly #disk: SimDisk
  readonly #logs = new Map<string, TruthLog>()
  readonly #places = new Map<string, KnownPlace>()
  /** By log: lines before the last checkpoint set; those before the last that the store called durable. */
  #set = new Map<string, number>()
  #durable = new Map<string, number>()
  /** The same of what was found at the start, until it is written anew: it may lie in the page cache only, which a kill leaves alone. */
  #found: Map<string, number> | null = null
  /** Since the last start. */
  #wasPowerCut = false
  /** By log: the least lines before any checkpoint set since then: it may go back, where a place is not found again. */
  #least = new Map<string, number>()
  /** By log: the checkpoint that the process began with. */
  #begun = new Map<TruthLog, KnownPlace>()
  readonly #settled = new Map<TruthLog, number>()

  constructor(deps: CheckerDeps, disk: SimDisk) {
    this.#deps = deps
    this.#disk = disk
  }

  checkpoint(_life: Life, lineage: string, position: Position): void {
    const log = this.#log(lineage)
    const place = log === null ? null : this.#placeIn(log, position)
    if (log === null || place === null) return
    const { before } = place
    this.#places.set(placeOf(lineage, position), place)
    this.#set.set(lineage, before)
    this.#least.set(lineage, Math.min(before, this.#least.get(lineage) ?? before))
    let index = this.#settled.get(log) ?? 0
    for (; index < before; index++) {
      const line = log.lines[index] as TruthLine
      if (isSettled(this.#deps.endOf(line)) || this.#isBuried(line)) continue
      this.#deps.fail(
        `the checkpoint at ${position.offset} of ${position.path} is past ${nameOf(line)}, which is nowhere`,
      )
      return
    }
    this.#settled.set(log, Math.max(index, this.#settled.get(log) ?? 0))
  }

  event(_life: Life, name: EventName, detail: AgentEvents[EventName]): void {
    if (name !== 'lineage.gone') return
    const { lineage } = detail as AgentEvents['lineage.gone']
    this.#set.delete(lineage)
    this.#durable.delete(lineage)
    this.#found?.delete(lineage)
  }

  killed(_life: Life, isPowerCut: boolean): void {
    this.#wasPowerCut ||= isPowerCut
  }

  tick(life: Life, agent: Agent): void {
    const { pending, ageSeconds, failing } = agent.ports.checkpoints.status()
    if (pending === 0 && failing === null && (this.#least.size > 0 || this.#found !== null)) {
      this.#durable = new Map(this.#set)
      this.#least.clear()
      this.#found = null
    }
    const { clock, faults } = this.#deps
    const isDiskWell = !(['fullDisk', 'badDisk', 'slowDisk'] as const).some((kind) => faults.on.has(kind))
    const isPaused = clock.monotonic() - life.stalledUntil < 1000
    if (isDiskWell && !isPaused && failing === null && ageSeconds * 1000 > DURABLE_MS_MAX) {
      this.#deps.fail(`a checkpoint was not durable ${Math.round(ageSeconds * 1000)} ms after its acknowledgement`)
    }
  }

  opened(_life: Life, positions: readonly SavedPosition[]): void {
    const found = new Map<string, number>()
    const untold = new Set<string>()
    this.#begun = new Map()
    for (const { lineage, position } of positions) {
      const place = this.#places.get(placeOf(lineage, position))
      if (place === undefined) untold.add(lineage)
      else {
        found.set(lineage, place.before)
        this.#begun.set(place.content.log, place)
      }
    }
    for (const [lineage, before] of this.#wasPowerCut ? this.#durable : (this.#found ?? this.#durable)) {
      if (untold.has(lineage)) continue
      if ((found.get(lineage) ?? -1) >= Math.min(before, this.#least.get(lineage) ?? before)) continue
      const has = found.get(lineage) ?? 'none'
      this.#deps.fail(`the checkpoint of ${lineage} was durable with ${before} lines before it; now it has ${has}`)
    }
    this.#set = found
    this.#found = new Map(found)
    this.#wasPowerCut = false
    for (const [lineage, before] of this.#durable) {
      if (!found.has(lineage)) this.#durable.delete(lineage)
      else if (this.#least.has(lineage)) this.#durable.set(lineage, Math.min(before, found.get(lineage) as number))
    }
    this.#least.clear()
  }

  stored({ sender }: StoredRecord, line: TruthLine | null, isRepeat: boolean, life: Life | null): void {
    if (line === null || !isRepeat || life === null || sender !== life.number) return
    // A file that could not be read when its place was looked for is begun again: harmless, and said.
    if (life.files.errorCount > 0) return
    const begun = this.#begun.get(line.log)
    // Neither is one found again that was destroyed meanwhile.
    if (begun !== undefined && heldBytesOf(begun.content) < begun.offset) return
    // Nor is one that had hardly begun told from others by its compressed form.
    if (begun !== undefined && isHardlyBegun(begun) && !isPlain(begun)) return
    if (line.index < (begun?.before ?? 0)) {
      this.#deps.fail(`${nameOf(line)} was sent again, although the process began with a checkpoint behind it`)
    } else if (line.index < (this.#set.get(line.log.key) ?? 0)) {
      this.#deps.fail(`${nameOf(line)} was sent again, although the checkpoint is behind it`)
    }
  }

  #log(lineage: string): TruthLog | null {
    const known = this.#logs.get(lineage)
    if (known !== undefined) return known
    const log = this.#deps.truth.logs.find(({ key }) => key === lineage)
    if (log !== undefined) this.#logs.set(lineage, log)
    return log ?? null
  }

  /** The place in the log; null when it cannot be told. */
  #placeIn(log: TruthLog, position: Position): KnownPlace | null {
    const { ino, offset } = position
    const inode = this.#disk.byNumber(ino)
    if (inode === null || !isOf(inode, position)) return null
    const content = this.#deps.truth.contentOf(inode)
    if (content === null || content.log !== log) return null
    let low = 0
    let high = log.lines.length
    while (low < high) {
      const middle = (low + high) >> 1
      const line = log.lines[middle] as TruthLine
      const isBefore = line.content.order < content.order || (line.content === content && line.end <= offset)
      if (isBefore) low = middle + 1
      else high = middle
    }
    const { head, headBytes } = position
    return { content, offset, before: low, head: { head, headBytes } }
  }

  #isBuried(line: TruthLine): boolean {
    const { truth, deadLetters, endOf } = this.#deps
    for (const { line: text } of deadLetters()) {
      const buried = truth.find(text)
      if (buried !== null) endOf(buried).buried = true
    }
    return endOf(line).buried
  }
}

/** Whether its file was known by less than a time: others begin alike. */
function isHardlyBegun({ head: { headBytes } }: KnownPlace): boolean {
  return headBytes < TIME_BYTES
}

/** Whether the file of a place is there as it was written. */
function isPlain({ content: { holders }, head: { head, headBytes } }: KnownPlace): boolean {
  return [...holders.keys()].some(
    ({ bytes, size }) => size >= headBytes && digest(bytes.subarray(0, headBytes)) === head,
  )
}

/** Whether the inode holds what the place is in: it may have been cut since, and hold something else. */
function isOf({ bytes, size }: Inode, { path, head, headBytes, offset, witness, gone }: Position): boolean {
  if (gone === 'truncated' || headBytes === 0) return false
  if (path.endsWith('.gz')) return true
  if (size < offset || digest(bytes.subarray(0, Math.min(headBytes, size))) !== head) return false
  return digest(bytes.subarray(Math.max(0, offset - WITNESS_BYTES), offset)) === witness
}

function placeOf(lineage: string, { ino, offset, head, witness }: Position): string {
  return `${lineage} ${ino} ${offset} ${head} ${witness}`
}
