// Every line that was written is stored once, as it was written; or it is a dead letter for a reason that holds; or its
// bytes were destroyed, and if the agent had seen them it has told so, in an event and in a record of the same log.
import type { AgentEvents, EventName } from '../../../src/core/events.ts'
import type { Checker, CheckerDeps, DeadLetterOnDisk } from '../checker.ts'
import type { Life } from '../life.ts'
import type { StoredRecord } from '../sink.ts'
import { type Accepted, type End, isDestroyed, mayBeJoined, nameOf, type TruthLine } from '../truth.ts'

/** What stands for bytes that are no character. */
const REPLACEMENT = Buffer.from('\ufffd')

/** What may stand between two pieces: both of a character's parts, or the signs that stand for them. */
const SEAM_BYTES_MAX = 4 * REPLACEMENT.length

/** More than any burst has lines. */
const MOVED_NS_MAX = 1000n

/** A dead letter does not say how its text came to end. */
const ANY_MARKS = ['cut', 'partial_open']

type Loss = AgentEvents['bytes.lost'] & { life: number }

export class Completeness implements Checker {
  readonly name = 'completeness'
  readonly #deps: CheckerDeps
  readonly #losses: Loss[] = []
  /** The lines of records of holes that were stored. */
  readonly #gaps = new Set<string>()

  constructor(deps: CheckerDeps) {
    this.#deps = deps
  }

  stored(record: StoredRecord, line: TruthLine | null): void {
    const { truth, fail } = this.#deps
    const marks = (record.metadata.taffrail_mark ?? '').split(',')
    if (marks.includes('gap')) {
      this.#gaps.add(record.line.toString())
      return
    }
    // What is sent beside a record that stands alone, and is none of the log's.
    if (marks.includes('probe')) return
    if (line === null) {
      // A piece of a line of which the rest was destroyed.
      if (truth.logs.some(({ damaged }) => damaged)) return
      fail(`stored what nobody wrote: ${shown(record.line)}`)
      return
    }
    if (!isSame(record, this.#deps.endOf(line), marks)) {
      fail(`${nameOf(line)} was stored as ${shown(record.line)} [${marks}], written as ${shown(line.text)}`)
      return
    }
    const { accepted } = this.#deps.endOf(line)
    if (accepted !== null && !isTwin(record, accepted)) {
      if (this.#mayDiffer(record, line, marks)) return
      const first = `${accepted.timestampNs} in ${accepted.stream} ${accepted.metadata}`
      const second = `${record.timestampNs} in ${record.stream} ${JSON.stringify(record.metadata)}`
      fail(`${nameOf(line)} is stored twice: ${first}; ${second}`)
    }
  }

  hidden(record: StoredRecord, behind: StoredRecord): void {
    this.#deps.fail(`${shown(record.line)} was taken for a repeat of ${shown(behind.line)}`)
  }

  event(life: Life, name: EventName, detail: AgentEvents[EventName]): void {
    if (name === 'records.dropped') this.#noteDropped((detail as AgentEvents['records.dropped']).reason)
    if (name !== 'bytes.lost') return
    const loss = detail as AgentEvents['bytes.lost']
    const { truth, fail } = this.#deps
    const log = truth.logs.find(({ key }) => key === loss.lineage)
    // Until its record is stored the next process tells it, too.
    const isToldBefore = this.#losses.some(
      ({ path, fromOffset }) => path === loss.path && fromOffset === loss.fromOffset,
    )
    this.#losses.push({ ...loss, life: life.number })
    if (log?.damaged === false && !isToldBefore)
      fail(`the loss of a part of ${loss.path} was told, and nothing was lost`)
  }

  /** A record was given up: only where the disk takes no dead letters, and only one that the sink refuses for its own sake. */
  #noteDropped(reason: string): void {
    const { fail, faults, sink, endOf } = this.#deps
    const { on } = faults
    if (!on.has('fullDisk') && !on.has('badDisk') && !on.has('slowDisk'))
      fail('a record was dropped, and the disk is well')
    for (const line of this.#lines()) {
      const end = endOf(line)
      if (end.accepted === null && sink.mayRefuse(line, reason)) end.mayBeDropped = true
    }
  }

  killed(): void {
    // What it had seen and did not come to tell, nobody knows any more.
    for (const line of this.#lines()) {
      const end = this.#deps.endOf(line)
      if (end.fate === 'seen' && !this.#isTold(line)) end.fate = 'unseen'
    }
  }

  ended(life: Life | null): void {
    const { fail, truth, deadLetters, endOf } = this.#deps
    const letters = deadLetters()
    for (const letter of letters) this.#checkLetter(letter)
    const buried = new Set(letters.map(({ line }) => truth.find(line)))
    for (const line of this.#lines()) {
      const end = endOf(line)
      const { accepted, mayBeDropped, fate } = end
      if (accepted !== null || mayBeDropped || buried.has(line) || mayBeJoined(end)) continue
      if (fate === null) fail(`${nameOf(line)} is missing, and its bytes are still there`)
      else if (fate === 'seen' && !this.#isTold(line)) fail(`${nameOf(line)} was seen and is lost without a word`)
    }
    for (const { line } of letters) this.#gaps.add(line.toString())
    for (const loss of this.#losses) if (loss.life === life?.number) this.#checkRecord(loss)
  }

  /** A hole that is told in an event is told in a record, too. */
  #checkRecord({ path, fromOffset: from, toOffset: to, lineage }: Loss): void {
    const range = to === null ? `from offset ${from}` : `${to - from} bytes [${from}, ${to})`
    const beginning = `taffrail: lost ${range} of ${path}`
    for (const line of this.#gaps) if (line.startsWith(beginning)) return
    this.#deps.fail(`the loss of ${range} of ${path}, of ${lineage}, was told in an event, and in no record`)
  }

  #lines(): TruthLine[] {
    return this.#deps.truth.logs.flatMap(({ lines }) => lines)
  }

  #isTold(line: TruthLine): boolean {
    const { fateEnd: end } = this.#deps.endOf(line)
    return this.#losses.some(
      ({ lineage, fromOffset, toOffset }) =>
        lineage === line.log.key && fromOffset < end && (toOffset === null || end <= toOffset),
    )
  }

  /** Where docs/guarantees.md says that a repeat may be another entry. */
  #mayDiffer(record: StoredRecord, line: TruthLine, marks: readonly string[]): boolean {
    const { sender, late } = record
    const { on } = this.#deps.faults
    const { accepted } = this.#deps.endOf(line)
    // The cut form of a file that was read before it was compressed is not always known for it.
    if (marks.includes('partial_open') && on.has('cutGzip')) return true
    // Where a stream takes less than the usual hour, what was stored may be behind its own successors when it is repeated.
    if (late && on.has('behind')) return true
    if (accepted?.life === sender) return false
    if (marks.includes('future_time') || accepted?.metadata.includes('future_time') === true) return true
    // How often a time was taken already, the lines before it tell, and those may be gone by the next process.
    if (line.log.damaged && accepted !== null && isMovedBit(record, accepted)) return true
    if (line.timeNs !== null) return false
    // Where the file of a checkpoint's place is destroyed, what is left is read from its start.
    return line.log.damaged || on.has('fullDisk') || on.has('badDisk')
  }

  #checkLetter({ reason, line: text }: DeadLetterOnDisk): void {
    const { truth, fail, sink } = this.#deps
    const line = truth.find(text)
    if (line === null) {
      if (!truth.logs.some(({ damaged }) => damaged)) fail(`a dead letter of what nobody wrote: ${shown(text)}`)
      return
    }
    // What was left to be read of several lines is refused for what it is together.
    const end = this.#deps.endOf(line)
    const isJoined = end.fate !== null && isMended(text, end, ANY_MARKS)
    if (!sink.mayRefuse(line, reason) && !(isJoined && sink.mayRefuse({ ...line, text }, reason)))
      fail(`${nameOf(line)} is a dead letter for no good reason: ${reason}`)
  }
}

function isSame({ line: text }: StoredRecord, end: End, marks: readonly string[]): boolean {
  const { line } = end
  const repaired = Buffer.from(line.text.toString())
  if (text.equals(line.text) || text.equals(repaired)) return true
  const sound = text.subarray(0, soundBytes(text))
  const isBeginning = text.length < line.text.length && repaired.subarray(0, sound.length).equals(sound)
  // Where the rest was destroyed before anybody saw it, nobody can tell that there was more.
  if (isBeginning && (marks.includes('cut') || line.log.damaged)) return true
  return end.fate !== null && isMended(text, end, marks)
}

/** How much there is before the signs that stand for a character that a text was cut in the middle of. */
function soundBytes(text: Buffer): number {
  let bytes = text.length
  while (text.subarray(0, bytes).subarray(-REPLACEMENT.length).equals(REPLACEMENT)) bytes -= REPLACEMENT.length
  return bytes
}

/**
 * Whether a text is what was left to be read of a line and of those after it in its source stream: with all rows that are
 * still there, and with or without each of those that were destroyed, which may have ended some of the lines. Where nobody
 * saw them, nobody can tell that there was more.
 */
function isMended(text: Buffer, { line: { log, stream, seq } }: End, marks: readonly string[]): boolean {
  const isCut = marks.includes('cut')
  const isOpen = marks.includes('partial_open')
  // Where the next row may begin: a row that was destroyed, and looks like the one behind it, leaves two places.
  let places = new Set([0])
  for (let next = seq; places.size > 0; next++) {
    const line = log.byNumber.get(2 * next + stream)
    if (line === undefined) return false
    let from = 0
    for (const [index, row] of line.rows.entries()) {
      const piece = line.text.subarray(from, row.textEnd)
      from = row.textEnd
      const isLast = index === line.rows.length - 1
      const behind = new Set<number>()
      for (const at of places) {
        if (isCut && endsWithin(text, at, piece)) return true
        const end = endOfPiece(text, at, piece)
        if (end >= 0 && isLast && isOnlyReplacement(text, end)) return true
        if (end >= 0 && !isLast) behind.add(end)
        const mayMiss = isDestroyed(row)
        if (mayMiss) behind.add(at)
        // What is open at a hole is ended there, whatever of the line comes behind it.
        if (isOpen && (mayMiss || end < 0) && isOnlyReplacement(text, at)) return true
      }
      places = behind
    }
    for (const at of places) if (isOnlyReplacement(text, at)) return true
  }
  return false
}

/** Where a piece of a line ends in a text, if it is there at `at`; what it was cut through is not looked at. -1: it is not there. */
function endOfPiece(text: Buffer, at: number, piece: Buffer): number {
  let start = 0
  let end = piece.length
  while (start < end && isWithinCharacter(piece[start])) start++
  for (let cut = end - 1; cut >= start && cut > end - 4; cut--) {
    if (!isWithinCharacter(piece[cut])) {
      if ((piece[cut] as number) >= 0xc0) end = cut
      break
    }
  }
  const core = piece.subarray(start, end)
  // Up to there nothing but parts of characters, or the signs that stand for them.
  let found = at
  while (found < at + SEAM_BYTES_MAX && (text[found] ?? 0) >= 0x80 && !startsWith(text, found, core)) found++
  return startsWith(text, found, core) ? found + core.length : -1
}

/** Whether the text was cut within a piece that begins at `at`. */
function endsWithin(text: Buffer, at: number, piece: Buffer): boolean {
  const isWhole = (byte: number) => byte < 0x80
  const rest = text.subarray(at)
  const kept = rest.subarray(Math.max(0, rest.findIndex(isWhole)), rest.findLastIndex(isWhole) + 1)
  return (
    kept.length > 0 && kept.length < piece.length && piece.indexOf(kept) >= 0 && piece.indexOf(kept) < SEAM_BYTES_MAX
  )
}

function startsWith(text: Buffer, at: number, piece: Buffer): boolean {
  return text.subarray(at, at + piece.length).equals(piece)
}

function isWithinCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

/** Whether nothing follows but what a character that was cut leaves. */
function isOnlyReplacement(text: Buffer, at: number): boolean {
  const rest = text.subarray(at)
  return rest.length <= SEAM_BYTES_MAX && rest.every((byte) => byte >= 0x80)
}

function isTwin(record: StoredRecord, accepted: Accepted): boolean {
  const { timestampNs, stream, metadata } = record
  return (
    timestampNs === accepted.timestampNs && stream === accepted.stream && JSON.stringify(metadata) === accepted.metadata
  )
}

/** Whether nothing but some nanoseconds is between the two. */
function isMovedBit({ timestampNs, metadata }: StoredRecord, accepted: Accepted): boolean {
  const byNs = timestampNs - accepted.timestampNs
  return byNs > -MOVED_NS_MAX && byNs < MOVED_NS_MAX && JSON.stringify(metadata) === accepted.metadata
}

function shown(text: Buffer): string {
  return JSON.stringify(text.length > 80 ? `${text.toString('utf8', 0, 80)}… (${text.length} bytes)` : text.toString())
}
