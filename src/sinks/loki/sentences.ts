// Reads Loki's sentences about what it refused (HTTP 400) into findings. The sentences are those of grafana/loki,
// pkg/validation/validate.go (distributor: one sentence a kind, or `3 errors like: …; 1 errors like: …`) and
// pkg/ingester/stream.go (a line for each of the first ten entries, then the sums), in all wordings since 2.4. What is
// not recognised is left out: no finding is ever made of a sentence that was not understood. Pure; linear in the text.
// Bounds: NAMED_MAX, CHECKS_MAX. Whoever takes a finding looks through all that was pushed, and what is not told of here is
// refused again when the rest is pushed.

/** A time as Loki told it. `nanos` is null where the text is cut to whole seconds: the entry lies somewhere in that second. */
export interface LokiTime {
  seconds: number
  nanos: number | null
}

/**
 * Entries that a stream's ingester named, `oldestAcceptable[i]` (what the stream would still have taken; null where Loki
 * does not say) belonging to `timestamps[i]`. `ignored` and `total` count the whole answer over all its findings and are
 * null where it does not say: when more were ignored than named, the others are not known. The rest was stored.
 */
export type ListedFinding = { [R in ListedReason]: Listed<R> }[ListedReason]

export type ListedReason = 'too_far_behind' | 'out_of_order' | 'per_stream_rate_limited' | 'other'

interface Listed<R> {
  scope: 'entry'
  reason: R
  timestamps: LokiTime[]
  oldestAcceptable: (LokiTime | null)[]
  ignored: number | null
  total: number | null
  stream: string | null
}

/**
 * Entries that the distributor refused. `entries` says how many are meant by the same sentence; null: Loki did not say,
 * and there may be others that it does not mention at all. The rest of the stream was stored.
 */
export type CheckFinding = { scope: 'entry'; stream: string; entries: number | null } & (
  | { reason: 'too_old'; timestamp: LokiTime; oldestAcceptable: LokiTime | null }
  | { reason: 'too_new'; timestamp: LokiTime }
  | { reason: 'line_too_long'; lengthBytes: number; limitBytes: number }
  | { reason: 'metadata_too_large'; bytes: number; limit: number }
  | { reason: 'metadata_too_many'; count: number; limit: number }
)

/** A stream refused for its labels, with all its entries. `stream` is null where Loki does not name it. */
export interface StreamFinding {
  scope: 'stream'
  reason:
    | 'too_many_labels'
    | 'label_name_too_long'
    | 'label_value_too_long'
    | 'duplicate_label'
    | 'missing_labels'
    | 'invalid_labels'
  stream: string | null
}

/** Some stream's label set cannot be parsed: nothing of the push was stored, and Loki does not say whose it is. */
export interface PushFinding {
  scope: 'push'
  reason: 'invalid_labels'
}

export type LokiFinding = ListedFinding | CheckFinding | StreamFinding | PushFinding

/** Times that are kept of a list; Loki names about ten. */
const NAMED_MAX = 32
/** The distributor has one sentence for a push, and some for several. */
const CHECKS_MAX = 8

type Make = (match: RegExpExecArray, entries: number | null) => LokiFinding | null

// Each is anchored and has one `.*`, so that no text, however made, takes more than linear time.
const checks: readonly (readonly [RegExp, Make])[] = [
  [/^entry for stream '(.*)' has timestamp too old: ([^,]{1,64}), oldest acceptable timestamp is: (.{1,64})$/i, tooOld],
  [/^entry for stream '(.*)' has timestamp too new: (.{1,64})$/i, tooNew],
  [
    /^max entry size '(\d{1,15})' bytes exceeded for stream '(.*)' while adding an entry with length '(\d{1,15})' bytes$/i,
    lineTooLong,
  ],
  [
    /^stream '(.*)' has structured metadata too large: '(\d{1,15})' bytes, limit: '(\d{1,15})' bytes/i,
    metadataTooLarge,
  ],
  [/^stream '(.*)' has too many structured metadata labels: '(\d{1,15})', limit: '(\d{1,15})'/i, metadataTooMany],
  [/^entry for stream '(.*)' has \d{1,15} label names; limit \d{1,15}$/i, ofStream('too_many_labels')],
  [/^stream '(.*)' has label name too long: '/i, ofStream('label_name_too_long')],
  [/^stream '(.*)' has label value too long: '/i, ofStream('label_value_too_long')],
  [/^stream '(.*)' has duplicate label name: '/i, ofStream('duplicate_label')],
  [/^missing required labels [^{]{1,4000}(\{.*\})/i, ofStream('missing_labels')],
  [/^error at least one label pair is required per stream$/i, ofStream('missing_labels')],
  [/^error parsing labels '(.*)' with error: /i, ofStream('invalid_labels')],
  [
    /^(?:couldn't parse labels: |\d{1,9}:\d{1,9}: parse error|parse error at line \d)/i,
    () => ({ scope: 'push', reason: 'invalid_labels' }),
  ],
]

/** What Loki says it refused; empty when there is no sentence that is known. Never throws. */
export function readRefusals(text: string): LokiFinding[] {
  const findings: LokiFinding[] = []
  const lists = new Map<ListedReason, Listed<ListedReason>>()
  let sums: Sums | null = null
  for (const line of text.split('\n')) {
    const named = readNamed(line)
    if (named === null) {
      const read = readSums(line)
      if (read !== null) sums = read
      else readChecks(line, findings)
      continue
    }
    const list = lists.get(named.reason) ?? newList(named.reason)
    if (list.timestamps.length === NAMED_MAX) continue
    list.timestamps.push(named.timestamp)
    list.oldestAcceptable.push(named.oldestAcceptable)
    list.stream ??= named.stream
    lists.set(named.reason, list)
  }
  if (sums !== null && lists.size === 0) lists.set('other', newList('other'))
  for (const list of lists.values()) {
    findings.push({ ...list, ...sums, stream: sums?.stream ?? list.stream } as ListedFinding)
  }
  return findings
}

function newList(reason: ListedReason): Listed<ListedReason> {
  return { scope: 'entry', reason, timestamps: [], oldestAcceptable: [], ignored: null, total: null, stream: null }
}

interface Named {
  reason: ListedReason
  timestamp: LokiTime
  oldestAcceptable: LokiTime | null
  stream: string | null
}

/** `entry with timestamp T ignored, reason: 'R',`, before 2.8 `… 'R' for stream: {…},`. */
function readNamed(line: string): Named | null {
  const match = /^entry with timestamp (.{1,64}?) ignored, reason: '/i.exec(line)
  if (match === null) return null
  let words = line.slice(match[0].length).replace(/,$/, '')
  let stream: string | null = null
  const suffix = words.lastIndexOf("' for stream: {")
  if (suffix >= 0 && words.endsWith('}')) {
    stream = words.slice(suffix + "' for stream: ".length)
    words = words.slice(0, suffix + 1)
  }
  const timestamp = parseLokiTime(match[1]!)
  // Without its closing quote the line is not whole.
  if (timestamp === null || !words.endsWith("'")) return null
  const oldest = /oldest acceptable timestamp is: ([^,']{1,64})'$/i.exec(words)
  return { reason: listedReason(words), timestamp, oldestAcceptable: parseLokiTime(oldest?.[1] ?? ''), stream }
}

interface Sums {
  ignored: number
  total: number
  stream: string | null
}

/** `user 'U', total ignored: N out of M for stream: {…}`; user and stream came with 2.8. */
function readSums(line: string): Sums | null {
  const match =
    /^(?:user '.{0,200}?', )?total ignored: (\d{1,15}) out of (\d{1,15})(?: for stream: (\{.*\}))?,?$/i.exec(line)
  if (match === null) return null
  return { ignored: Number(match[1]), total: Number(match[2]), stream: match[3] ?? null }
}

/** `3 errors like: A; 1 errors like: B`, or a lone sentence. A label's value may hold a semicolon, hence the long separator. */
function readChecks(line: string, findings: LokiFinding[]): void {
  if (findings.length === CHECKS_MAX) return
  for (const part of line.split(/; (?=\d{1,15} errors like: )/)) {
    const times = /^(\d{1,15}) errors like: /.exec(part)
    const finding = readCheck(part.slice(times?.[0].length ?? 0), times === null ? null : Number(times[1]))
    if (finding !== null && findings.push(finding) === CHECKS_MAX) return
  }
}

function readCheck(sentence: string, entries: number | null): LokiFinding | null {
  for (const [pattern, make] of checks) {
    const match = pattern.exec(sentence)
    if (match !== null) return make(match, entries)
  }
  return null
}

function listedReason(words: string): ListedReason {
  if (/^entry too far behind/i.test(words)) return 'too_far_behind'
  if (/^entry out of order/i.test(words)) return 'out_of_order'
  if (/^per stream rate limit exceeded/i.test(words)) return 'per_stream_rate_limited'
  return 'other'
}

function tooOld([, stream, at, oldest]: RegExpExecArray, entries: number | null): LokiFinding | null {
  const timestamp = parseLokiTime(at!)
  if (timestamp === null) return null
  const oldestAcceptable = parseLokiTime(oldest!)
  return { scope: 'entry', reason: 'too_old', stream: stream!, entries, timestamp, oldestAcceptable }
}

function tooNew([, stream, at]: RegExpExecArray, entries: number | null): LokiFinding | null {
  const timestamp = parseLokiTime(at!)
  return timestamp && { scope: 'entry', reason: 'too_new', stream: stream!, entries, timestamp }
}

function lineTooLong([, limit, stream, length]: RegExpExecArray, entries: number | null): LokiFinding {
  const sizes = { lengthBytes: Number(length), limitBytes: Number(limit) }
  return { scope: 'entry', reason: 'line_too_long', stream: stream!, entries, ...sizes }
}

function metadataTooLarge([, stream, bytes, limit]: RegExpExecArray, entries: number | null): LokiFinding {
  const sizes = { bytes: Number(bytes), limit: Number(limit) }
  return { scope: 'entry', reason: 'metadata_too_large', stream: stream!, entries, ...sizes }
}

function metadataTooMany([, stream, count, limit]: RegExpExecArray, entries: number | null): LokiFinding {
  const sizes = { count: Number(count), limit: Number(limit) }
  return { scope: 'entry', reason: 'metadata_too_many', stream: stream!, entries, ...sizes }
}

function ofStream(reason: StreamFinding['reason']): Make {
  return ([, stream]) => ({ scope: 'stream', reason, stream: stream ?? null })
}

/**
 * Reads `2026-11-21 05:00:06.5 +0000 UTC` (Go's Time.String, never cut: without a fraction the nanoseconds are 0) and
 * `2026-11-21T05:00:06Z` (RFC 3339, which Loki writes cut to seconds); null for anything else.
 */
export function parseLokiTime(text: string): LokiTime | null {
  const match = /^(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? ?(?:Z|([+-])(\d\d):?(\d\d))(?: \w+)?$/.exec(
    text,
  )
  if (match === null) return null
  const [, date, separator, time, fraction, sign, hours, minutes] = match
  const ms = Date.parse(`${date}T${time}Z`)
  if (Number.isNaN(ms)) return null
  const offset = sign === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60)
  const cut = separator === 'T' && fraction === undefined
  return { seconds: ms / 1000 - offset, nanos: cut ? null : Number((fraction ?? '').padEnd(9, '0')) }
}
