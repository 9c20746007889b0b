// Which lines go out, and what is hidden in them: the rules of a source and a sink, as far as they concern one container.
// What a rule says of namespace, labels and container is settled once, when its metadata is; only rules about the stream or
// the line itself are asked for each line, and only rules about its text make a string of it. Pure.
import type { RedactRule, SelectConfig, SelectRule } from '../config/config.ts'
import { type Entry, MARK_GAP, STDERR } from '../core/entry.ts'
import type { Metadata } from '../core/metadata.ts'
import { Matcher } from './matcher.ts'

/** A pattern looks at the beginning of a long line only. */
const LINE_CHARS_MAX = 16 * 1024
/** How much longer redaction may make a line. */
export const REDACTED_BYTES_MORE_MAX = 16 * 1024
/** The rule under which a line is skipped that no `include` wants. */
const NOT_INCLUDED = 'include'
/** The rule under which lines are skipped whose pod has opted out. */
const OPTED_OUT: LineRule = { name: 'annotation', stream: null, line: null }
/** What `ruleFor` says of lines that are too many in their second: these are dropped, not skipped. */
export const RATE_LIMIT = Symbol('rateLimit')

/** A rule of which only the line is still to be asked; null fields match all. */
interface LineRule {
  name: string
  stream: number | null
  line: Matcher | null
}

interface Choice {
  /** null: all are included; empty: none. */
  include: LineRule[] | null
  exclude: LineRule[]
}

export class Selection {
  readonly #choices: readonly Choice[]
  readonly #redact: readonly { name: string; pattern: Matcher; replacement: string }[]
  /** Lines changed by redaction, by rule, since they were cleared. */
  readonly redacted = new Map<string, number>()
  #text: string | null = null
  readonly #linesPerSecond: number
  /** Lines of the second that the last line was of. */
  #second = 0
  #lines = 0

  private constructor(choices: readonly Choice[], redact: readonly RedactRule[], linesPerSecond: number) {
    this.#choices = choices
    this.#linesPerSecond = linesPerSecond
    this.#redact = redact.map(({ name, pattern, replacement }) => ({
      name,
      pattern: new Matcher(pattern, 'g'),
      replacement,
    }))
  }

  /** The selection for a container; null when all of its lines go out as they are. `asked`: what its pod asks for. */
  static of(
    configs: readonly (SelectConfig | undefined)[],
    redact: readonly RedactRule[],
    metadata: Metadata,
    asked: { exclude: boolean; linesPerSecond: number | null } = { exclude: false, linesPerSecond: null },
  ): Selection | null {
    const choices = configs.flatMap((config) => (config === undefined ? [] : [choiceOf(config, metadata)]))
    if (asked.exclude) choices.unshift({ include: null, exclude: [OPTED_OUT] })
    const linesPerSecond = asked.linesPerSecond ?? Number.POSITIVE_INFINITY
    const active = choices.filter(({ include, exclude }) => include !== null || exclude.length > 0)
    const isIdle = active.length === 0 && redact.length === 0 && asked.linesPerSecond === null
    return isIdle ? null : new Selection(active, redact, linesPerSecond)
  }

  get redacts(): boolean {
    return this.#redact.length > 0
  }

  /** The name of the rule by which the entry is left out; null when it goes out. A hole always does. */
  ruleFor(entry: Entry): string | typeof RATE_LIMIT | null {
    this.#text = null
    if ((entry.marks & MARK_GAP) !== 0) return null
    for (const { include, exclude } of this.#choices) {
      if (include !== null && !include.some((rule) => this.#matches(rule, entry))) return NOT_INCLUDED
      for (const rule of exclude) if (this.#matches(rule, entry)) return rule.name
    }
    return this.#isTooMany(entry) ? RATE_LIMIT : null
  }

  /** By the line's own time: so a backlog is not cut for being read fast. A repeat may let more through, never less. */
  #isTooMany({ seconds }: Entry): boolean {
    if (this.#linesPerSecond === Number.POSITIVE_INFINITY) return false
    if (seconds !== this.#second) {
      this.#second = seconds
      this.#lines = 0
    }
    return ++this.#lines > this.#linesPerSecond
  }

  /** The entry's message with everything hidden that is to be, or null when nothing is. The Buffer is the caller's. */
  redact(entry: Entry): Buffer | null {
    if ((entry.marks & MARK_GAP) !== 0) return null
    const before = entry.buffer.toString('utf8', entry.messageStart, entry.messageEnd)
    let text = before
    for (const { name, pattern, replacement } of this.#redact) {
      // Whether there is something to hide cannot be said then.
      const replaced = pattern.replace(text, replacement) ?? `[hidden: the rule ${name} took too long for this line]`
      if (replaced === text) continue
      text = replaced
      this.redacted.set(name, (this.redacted.get(name) ?? 0) + 1)
    }
    if (text === before) return null
    const bytes = Buffer.from(text)
    const bytesMax = entry.messageEnd - entry.messageStart + REDACTED_BYTES_MORE_MAX
    return bytes.length <= bytesMax ? bytes : bytes.subarray(0, cutAt(bytes, bytesMax))
  }

  #matches({ stream, line }: LineRule, entry: Entry): boolean {
    if (stream !== null && stream !== (entry.stream === STDERR ? 1 : 0)) return false
    if (line === null) return true
    // Bytes, not characters: a character that is cut off there is cut off in all rules alike.
    const end = Math.min(entry.messageEnd, entry.messageStart + LINE_CHARS_MAX)
    this.#text ??= entry.buffer.toString('utf8', entry.messageStart, end)
    return line.test(this.#text)
  }
}

function choiceOf({ include = [], exclude = [] }: SelectConfig, metadata: Metadata): Choice {
  const wanted = include.filter((rule) => concerns(rule, metadata, true)).flatMap(lineRules)
  return {
    include: include.length === 0 || wanted.some(isAll) ? null : wanted,
    exclude: exclude.filter((rule) => concerns(rule, metadata, false)).flatMap(lineRules),
  }
}

/** Whether the rule is about this container. Labels that are not known are taken for those that let lines go out. */
function concerns({ namespaces, containers, podLabels = {} }: SelectRule, metadata: Metadata, ifUnknown: boolean) {
  if (namespaces !== undefined && !namespaces.some((glob) => isLike(glob, metadata.namespace))) return false
  if (containers !== undefined && !containers.some((glob) => isLike(glob, metadata.container))) return false
  const labels = Object.entries(podLabels)
  if (labels.length > 0 && metadata.mark === 'path') return ifUnknown
  return labels.every(([name, glob]) => name in metadata.labels && isLike(glob, metadata.labels[name] ?? ''))
}

function lineRules({ name, streams, line }: SelectRule): LineRule[] {
  const pattern = line === undefined ? null : new Matcher(line)
  if (streams === undefined) return [{ name, stream: null, line: pattern }]
  return streams.map((stream) => ({ name, stream: stream === 'stderr' ? 1 : 0, line: pattern }))
}

function isAll({ stream, line }: LineRule): boolean {
  return stream === null && line === null
}

/** Whether a value is like a glob, in which `*` stands for anything. */
export function isLike(glob: string, value: string): boolean {
  if (!glob.includes('*')) return glob === value
  const parts = glob.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's').test(value)
}

/** The last place at or before `bytesMax` that is not within a character. */
function cutAt(bytes: Buffer, bytesMax: number): number {
  let at = bytesMax
  while (at > 0 && ((bytes[at] as number) & 0xc0) === 0x80) at--
  return at
}
