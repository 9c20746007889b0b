// Requests counted by what they have in common. Bound: GROUPS_MAX groups; requests of further ones are counted together.
// With a window, each group keeps the times of its last requests within it, at most PEAK_MAX.
import { objectOf, type Row, resourceOf, timeText, userOf } from './row.ts'
import { Columns, people } from './table.ts'
import { clipped, visibleJson, word } from './text.ts'

const GROUPS_MAX = 100_000
const PEAK_MAX = 10_000
const CELL_LENGTH_MAX = 80

/** What requests can be counted by. */
export const FIELDS = {
  user: userOf,
  source: (row: Row) => row.source,
  agent: (row: Row) => row.agent,
  verb: (row: Row) => row.verb,
  resource: resourceOf,
  object: objectOf,
  namespace: (row: Row) => row.namespace,
  name: (row: Row) => row.name,
  code: (row: Row) => (row.code === 0 ? '' : String(row.code)),
  reason: (row: Row) => row.reason,
  decision: (row: Row) => row.decision,
  stage: (row: Row) => row.stage,
  level: (row: Row) => row.level,
  command: (row: Row) => row.command,
  minute: (row: Row) => timeText(row.timeMicros).slice(0, 16),
  hour: (row: Row) => timeText(row.timeMicros).slice(0, 13),
  day: (row: Row) => timeText(row.timeMicros).slice(0, 10),
} satisfies Record<string, (row: Row) => string>

export type Field = keyof typeof FIELDS

export interface SummaryOptions {
  fields: readonly Field[]
  /** Groups that are shown, the largest first. */
  limit: number
  /** Groups with fewer requests are not shown; with a window, fewer within it. */
  atLeast: number
  /** 0: none. */
  windowMs: number
}

interface Group {
  values: string[]
  /** The same to be shown. */
  cells: string[]
  count: number
  /** The most requests within a window. */
  peak: number
  /** Of the requests of the last window, ascending, in microseconds. */
  times: number[]
  first: number
  last: number
}

export class Summary {
  readonly #options: SummaryOptions
  readonly #groups = new Map<string, Group>()
  #total = 0
  /** Requests of groups for which there was no room. */
  #others = 0

  constructor(options: SummaryOptions) {
    this.#options = options
  }

  add(row: Row): void {
    this.#total++
    const values = this.#options.fields.map((field) => FIELDS[field](row))
    const key = values.length === 1 ? values[0]! : JSON.stringify(values)
    let group = this.#groups.get(key)
    if (group === undefined) {
      if (this.#groups.size >= GROUPS_MAX) {
        this.#others++
        return
      }
      const cells = values.map((value, index) => (this.#options.fields[index] === 'user' ? people(row) : word(value)))
      group = { values, cells, count: 0, peak: 0, times: [], first: Number.NaN, last: Number.NaN }
      this.#groups.set(key, group)
    }
    group.count++
    const time = row.timeMicros
    if (Number.isNaN(time)) return
    if (!(group.first <= time)) group.first = time
    if (!(group.last >= time)) group.last = time
    if (this.#options.windowMs > 0) notePeak(group, time, this.#options.windowMs * 1000)
  }

  /** The groups to show, the largest first. */
  #shown(): Group[] {
    const { atLeast, limit, windowMs } = this.#options
    const size = (group: Group) => (windowMs > 0 ? group.peak : group.count)
    return [...this.#groups.values()]
      .filter((group) => size(group) >= atLeast)
      .sort((a, b) => size(b) - size(a) || b.count - a.count || compare(a.values, b.values))
      .slice(0, limit)
  }

  table(hasColor: boolean): string {
    const { fields, windowMs } = this.#options
    const counts = windowMs > 0 ? ['COUNT', 'PEAK'] : ['COUNT']
    const head = [...counts, ...fields.map((field) => field.toUpperCase()), 'FIRST', 'LAST']
    const columns = new Columns(head, [...counts.keys()], hasColor)
    const shown = this.#shown()
    let text = ''
    for (const group of shown) {
      const { count, peak, first, last } = group
      const cells = [String(count), ...(windowMs > 0 ? [String(peak)] : [])]
      cells.push(...group.cells.map((cell) => clipped(cell, CELL_LENGTH_MAX)))
      cells.push(timeText(first), timeText(last))
      text += columns.add(cells.map((cell) => ({ text: cell, style: '' })))
    }
    text += columns.flush()
    const hidden = this.#groups.size - shown.length
    const left = hidden > 0 || this.#others > 0 ? `${shown.length} of ${this.#groups.size} groups` : ''
    const others = this.#others > 0 ? `; ${this.#others} requests of more groups than can be counted` : ''
    return `${text}${this.#total} requests${left === '' ? '' : `, ${left}`}${others}\n`
  }

  json(): string {
    const { fields, windowMs } = this.#options
    let text = ''
    for (const { values, count, peak, first, last } of this.#shown()) {
      const group: Record<string, unknown> = { count }
      if (windowMs > 0) group.peak = peak
      for (const [index, field] of fields.entries()) group[field] = values[index]
      group.first = Number.isNaN(first) ? null : timeText(first, true)
      group.last = Number.isNaN(last) ? null : timeText(last, true)
      text += `${visibleJson(JSON.stringify(group))}\n`
    }
    return text
  }
}

/** Logs are nearly in order: what comes late finds its place from the end. */
function notePeak(group: Group, time: number, windowMicros: number): void {
  const { times } = group
  const newest = times.at(-1) ?? time
  if (time <= newest - windowMicros) {
    group.peak = Math.max(group.peak, 1)
    return
  }
  let at = times.length
  while (at > 0 && times[at - 1]! > time) at--
  times.splice(at, 0, time)
  const oldest = times.at(-1)! - windowMicros
  let gone = 0
  while (times[gone]! <= oldest) gone++
  if (times.length - gone > PEAK_MAX) gone = times.length - PEAK_MAX
  if (gone > 0) times.splice(0, gone)
  group.peak = Math.max(group.peak, times.length)
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (const [index, value] of a.entries()) {
    const other = b[index]!
    if (value !== other) return value < other ? -1 : 1
  }
  return 0
}
