// What was really written, line by line, and where its bytes are: the other side of the account. The node's writers tell
// it what they write and what becomes of the bytes; the receiver tells it what was stored. Checkers only read it.
// Every sink of a world has an end of its own for each line.
// Terms: a *content* is what one file of a log held from its creation to its end; inodes hold it, whole (the file
// itself) or in part (a copy, a compressed sibling), and when none does any more its unread lines are destroyed.
import type { Inode } from './sim-disk.ts'

/** An entry as a sink took it. */
export interface Accepted {
  stream: string
  timestampNs: bigint
  metadata: string
  /** Number of the process that sent it. */
  life: number
  late: boolean
}

/**
 * Why a line may be missing. `seen`: its bytes had been shown to the process that lives, so that it must tell of their
 * loss. `unseen`: nobody looked in time.
 */
export type Fate = 'seen' | 'unseen'

/** What became of a line at one sink. */
export interface End {
  line: TruthLine
  /** Its number. */
  sink: number
  accepted: Accepted | null
  /** A dead letter of it is on the disk. */
  buried: boolean
  /** It could have been given up at the moment when a record was, because the disk took no dead letters. */
  mayBeDropped: boolean
  fate: Fate | null
  /** Where the row ends that was destroyed. */
  fateEnd: number
}

export interface TruthLine {
  log: TruthLog
  /** In order of completion. */
  index: number
  stream: 0 | 1
  seq: number
  text: Buffer
  poison: boolean
  /** Where it was complete: its last row's end, or where its program died. */
  content: Content
  end: number
  /** All of its rows. */
  rows: readonly Row[]
  /** Monotonic ms. */
  writtenAt: number
  /** Its own time; null when it has none. */
  timeNs: bigint | null
  /** By sink. */
  ends: readonly End[]
}

/** A row, by where it ends. */
export interface Row {
  content: Content
  end: number
  /** How much of its line's text is written with it. */
  textEnd: number
}

export interface Content {
  log: TruthLog
  /** Ascends in the order of writing. */
  order: number
  /** The complete lines that have a row in it, and where that ends. */
  rows: { line: TruthLine; end: number }[]
  /** Where its last row ends, whether the line of that is complete or not. */
  bytes: number
  /** Bytes of it that each inode has. */
  holders: Map<Inode, number>
  /** Its compressed form is cut off, though all rows may be in it: no line goes on behind it. */
  isCutOff: boolean
}

export interface TruthLog {
  /** The agent's key for the lineage. */
  key: string
  /** Begins every line. */
  id: string
  /** In order of completion; and by stream and number. */
  lines: TruthLine[]
  byNumber: Map<number, TruthLine>
  /** Number of the next line of each stream. */
  seqs: [number, number]
  contents: Content[]
  /** Some of its bytes were destroyed unread: pieces of lines may come alone. */
  damaged: boolean
}

const NAME = /^w(\d+)\.([oe])\.(\d+) /
const BANNER = /^(?:banner =+|heartbeat) w(\d+)\.([oe])\.(\d+)$/

export class Truth {
  readonly logs: TruthLog[] = []
  /** Poisonous records that may still be written. */
  poisonLeft = 2
  /** Called for each line of which a row, that ends there, is destroyed; says what may be expected of it. */
  judge: (end: number, inode: Inode) => Fate = () => 'unseen'
  /** Called when an inode has lost what it held. */
  onDropped: (inode: Inode) => void = () => {}
  readonly #contentOf = new Map<Inode, Content>()
  readonly #sinks: number

  constructor(sinks: number) {
    this.#sinks = sinks
  }

  newLog(key: string): TruthLog {
    const id = `w${this.logs.length}`
    const log: TruthLog = { key, id, lines: [], byNumber: new Map(), seqs: [0, 0], contents: [], damaged: false }
    this.logs.push(log)
    return log
  }

  /** A new file of the log, which `inode` holds. */
  newContent(log: TruthLog, inode: Inode): Content {
    const content: Content = {
      log,
      order: log.contents.length,
      rows: [],
      bytes: 0,
      holders: new Map(),
      isCutOff: false,
    }
    log.contents.push(content)
    this.hold(content, inode, Number.POSITIVE_INFINITY)
    return content
  }

  /** `inode` has the first `bytes` of the content too. */
  hold(content: Content, inode: Inode, bytes: number): void {
    content.holders.set(inode, bytes)
    this.#contentOf.set(inode, content)
  }

  contentOf(inode: Inode): Content | null {
    return this.#contentOf.get(inode) ?? null
  }

  /** A row of a line has just been written. */
  row(content: Content, end: number, textEnd: number): Row {
    content.bytes = end
    return { content, end, textEnd }
  }

  /** A line is complete with the bytes that were just written. */
  add(line: Omit<TruthLine, 'index' | 'ends'>): TruthLine {
    const { log, rows, end: fateEnd } = line
    // Its beginning may be destroyed before it is complete.
    const isWhole =
      !rows.some(isDestroyed) && !log.contents.some((content) => content.isCutOff && goesOver(rows, content))
    const fate = isWhole ? null : 'unseen'
    const ends: End[] = []
    const made: TruthLine = { ...line, index: log.lines.length, ends }
    for (let sink = 0; sink < this.#sinks; sink++) {
      ends.push({ line: made, sink, accepted: null, buried: false, mayBeDropped: false, fate, fateEnd })
    }
    log.lines.push(made)
    log.byNumber.set(2 * made.seq + made.stream, made)
    for (const row of rows) row.content.rows.push({ line: made, end: row.end })
    return made
  }

  /** The compressed form of the content is cut off: what its end may have said is lost. */
  cutOff(content: Content): void {
    content.isCutOff = true
    content.log.damaged = true
    const over = content.log.lines.filter(({ rows }) => goesOver(rows, content))
    for (const end of over.flatMap(({ ends }) => ends)) if (!isSettled(end)) end.fate = 'unseen'
  }

  /** The inode has nothing of its content any more. */
  drop(inode: Inode): void {
    this.#drop(inode)
    this.onDropped(inode)
  }

  #drop(inode: Inode): void {
    const content = this.#contentOf.get(inode)
    if (content === undefined) return
    this.#contentOf.delete(inode)
    content.holders.delete(inode)
    const heldBytes = heldBytesOf(content)
    for (const { line, end } of content.rows) if (end > heldBytes) this.#destroy(line, end, inode)
    if (heldBytes === 0) content.log.damaged = true
  }

  #destroy(line: TruthLine, end: number, inode: Inode): void {
    line.log.damaged = true
    for (const each of line.ends) {
      if (each.accepted !== null || each.buried || each.fate !== null) continue
      each.fate = this.judge(end, inode)
      each.fateEnd = end
    }
  }

  /** The line whose name a text begins with, or ends with if it is a banner; null for none. */
  find(text: Buffer): TruthLine | null {
    const match = NAME.exec(text.toString('latin1', 0, 40)) ?? BANNER.exec(text.toString('latin1'))
    if (match === null) return null
    return this.logs[Number(match[1])]?.byNumber.get(2 * Number(match[3]) + (match[2] === 'o' ? 0 : 1)) ?? null
  }
}

/** Whether nothing is to be done about the line any more, at that sink. */
export function isSettled(end: End): boolean {
  const { accepted, buried, mayBeDropped, fate } = end
  return accepted !== null || buried || mayBeDropped || fate !== null || mayBeJoined(end)
}

/**
 * Whether the line may have come as the end of another: of one whose last rows were destroyed, and all lines of the source
 * stream between the two as well, before anybody saw them. Nobody can tell that there was more.
 */
export function mayBeJoined({ line: { log, stream, seq }, sink }: End): boolean {
  if (!log.damaged) return false
  for (let before = seq - 1; before >= 0; before--) {
    const line = log.byNumber.get(2 * before + stream)
    if (line === undefined || (line.ends[sink] as End).fate === null) return false
    if (line.rows.length > 1) return true
  }
  return false
}

export function nameOf(line: TruthLine): string {
  const { log, stream, seq, content, end } = line
  return `${log.id}.${stream === 0 ? 'o' : 'e'}.${seq} (${log.key}, file ${content.order}, ends at ${end})`
}

/** Whether a line begins in the content, or before it, and goes on behind it. */
function goesOver(rows: readonly Row[], { order, log }: Content): boolean {
  const first = rows[0]?.content
  const last = rows.at(-1)?.content
  return first?.log === log && last !== undefined && first.order <= order && order < last.order
}

/** Whether nobody can read the row any more. */
export function isDestroyed({ content, end }: Row): boolean {
  return end > heldBytesOf(content)
}

/**
 * The last content, from that of the line backward, of which some bytes before the line's end are destroyed now, by its number; -1: there is none.
 */
export function lastHole({ log, content: own, end }: TruthLine): number {
  for (let order = own.order; order >= 0; order--) {
    const content = log.contents[order] as Content
    if (heldBytesOf(content) < (content === own ? end : content.bytes)) return order
    if (content !== own && content.isCutOff) return order
  }
  return -1
}

/** How much of a content is left. */
export function heldBytesOf({ holders }: Content): number {
  return Math.max(0, ...holders.values())
}
