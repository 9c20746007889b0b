// Rows as a table that a person reads. Columns are as wide as what has been shown needs, up to a limit of each; a cell that is
// longer is cut, but for the last column and in the wide form. Colour only says again what a word says. Pure.
import { isChange, isDenied, objectOf, type Row, resourceOf, timeText, userOf } from './row.ts'
import { clipped, visible, word } from './text.ts'

/** Rows that are looked at before the first is shown, so that most tables have one width throughout. */
const AHEAD_ROWS = 2000
const CELL_LENGTH_MAX = 60
const WIDE_LENGTH_MAX = 4096
const DETAIL_LENGTH_MAX = 160

const RESET = '\x1b[0m'
const DIM = '\x1b[2m'
const BOLD = '\x1b[1m'
const RED = '\x1b[31m'
const YELLOW = '\x1b[33m'
const GREEN = '\x1b[32m'

export interface Cell {
  text: string
  /** An escape sequence of ours; empty for none. */
  style: string
}

/** Cells in columns. What is in a cell must be visible already. */
export class Columns {
  readonly #hasColor: boolean
  readonly #widths: number[]
  readonly #right: ReadonlySet<number>
  #ahead: Cell[][] = []
  #hasHead = false
  readonly #head: readonly string[]

  /** `right`: columns of numbers. */
  constructor(head: readonly string[], right: readonly number[], hasColor: boolean) {
    this.#head = head
    this.#widths = head.map((title) => title.length)
    this.#right = new Set(right)
    this.#hasColor = hasColor
  }

  /** Text that can be shown now. */
  add(cells: Cell[]): string {
    for (const [column, { text }] of cells.entries()) {
      this.#widths[column] = Math.max(this.#widths[column]!, lengthOf(text))
    }
    this.#ahead.push(cells)
    return this.#hasHead || this.#ahead.length >= AHEAD_ROWS ? this.flush() : ''
  }

  /** What waits. */
  flush(): string {
    if (this.#ahead.length === 0) return ''
    let text = this.#hasHead ? '' : this.#line(this.#head.map((title) => ({ text: title, style: DIM })))
    this.#hasHead = true
    for (const cells of this.#ahead) text += this.#line(cells)
    this.#ahead = []
    return text
  }

  #line(cells: readonly Cell[]): string {
    let line = ''
    for (const [column, { text, style }] of cells.entries()) {
      const padding = ' '.repeat(Math.max(0, this.#widths[column]! - lengthOf(text)))
      const shown = this.#hasColor && style !== '' && text !== '' ? `${style}${text}${RESET}` : text
      const isLast = column === cells.length - 1
      if (column > 0) line += '  '
      line += this.#right.has(column) ? padding + shown : isLast ? shown : shown + padding
    }
    return `${line.trimEnd()}\n`
  }
}

const HEAD = ['TIME', 'USER', 'SOURCE', 'VERB', 'RESOURCE', 'OBJECT', 'RESULT', 'LATENCY', 'DETAIL']
const WIDE_HEAD = [...HEAD.slice(0, -1), 'STAGE', 'LEVEL', 'AUDIT-ID', 'AGENT', 'URI', 'DECISION', 'DETAIL']

export class Table {
  readonly #columns: Columns
  readonly #isWide: boolean

  constructor(isWide: boolean, hasColor: boolean) {
    this.#isWide = isWide
    this.#columns = new Columns(isWide ? WIDE_HEAD : HEAD, [HEAD.indexOf('LATENCY')], hasColor)
  }

  add(row: Row): string {
    const lengthMax = this.#isWide ? WIDE_LENGTH_MAX : CELL_LENGTH_MAX
    const cell = (text: string, style = '') => ({ text: clipped(word(text), lengthMax), style })
    const source = row.forwardedFor === '' ? row.source : `${row.source} for ${row.forwardedFor}`
    const cells = [
      { text: timeText(row.timeMicros, this.#isWide), style: DIM },
      { text: clipped(people(row), lengthMax), style: '' },
      { text: clipped(source === '' ? '-' : visible(source), lengthMax), style: '' },
      cell(row.verb, isChange(row) ? BOLD : ''),
      cell(resourceOf(row)),
      cell(objectOf(row)),
      { text: result(row, lengthMax), style: styleOf(row) },
      { text: latencyText(row.latencyMicros), style: '' },
    ]
    if (this.#isWide) {
      cells.push(cell(row.stage), cell(row.level), cell(row.auditId), cell(row.agent), cell(row.uri))
      cells.push({ text: clipped(visible(`${row.decision} ${row.decisionReason}`.trim()), lengthMax), style: '' })
    }
    cells.push({ text: clipped(visible(detail(row)), this.#isWide ? WIDE_LENGTH_MAX : DETAIL_LENGTH_MAX), style: '' })
    return this.#columns.add(cells)
  }

  flush(): string {
    return this.#columns.flush()
  }
}

/** Who, as whom, each a word of its own: nobody's name can look like both. */
export function people(row: Row): string {
  return row.as === '' ? word(userOf(row)) : `${word(userOf({ ...row, as: '' }))} as ${word(row.as)}`
}

function result({ code, reason, stage }: Row, lengthMax: number): string {
  const words = [code === 0 ? '-' : String(code)]
  if (reason !== '') words.push(clipped(word(reason), lengthMax))
  if (stage === 'Panic') words.push('panic')
  if (stage === 'ResponseStarted' && code < 400) words.push('open')
  return words.join(' ')
}

function styleOf(row: Row): string {
  if (isDenied(row) || row.code >= 500 || row.stage === 'Panic') return RED
  return row.code >= 400 ? YELLOW : row.code >= 100 ? GREEN : ''
}

/** What it ran, or what the server said. */
function detail({ command, message }: Row): string {
  return command === '' ? message : message === '' ? `$ ${command}` : `$ ${command}  (${message})`
}

/** `0.8ms`, `13ms`, `2.50s`, `1h2m`. */
export function latencyText(micros: number): string {
  if (!Number.isFinite(micros) || micros < 0) return '-'
  const ms = micros / 1000
  if (ms < 10) return `${ms.toFixed(1)}ms`
  if (ms < 1000) return `${Math.round(ms)}ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${seconds.toFixed(2)}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m${Math.floor(seconds % 60)}s`
  return `${Math.floor(minutes / 60)}h${minutes % 60}m`
}

/** In characters, which is near enough to columns. */
function lengthOf(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) length--
  return length
}
