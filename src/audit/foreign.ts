// What may be told of a line that is no audit event, under redaction. A line of text is told as it stands unless it holds
// what looks like a credential; other JSON is redacted like a body; of an event that was torn, its part before any
// body, redacted as it would be in the whole event.
import { Edits } from './edits.ts'
import { PADDING_BYTES } from './json/strings.ts'
import { Tape } from './json/tape.ts'
import { missingEnd } from './json/torn.ts'
import { holdsCredential } from './redact/looks.ts'
import type { Mask } from './redact/mask.ts'
import { IS_ANY_BODY, IS_EVENT, IS_SECRET_OBJECT } from './redact/roles.ts'
import { Walk } from './redact/walk.ts'

/** A quoted name before a colon: what is left of some JSON. Also with the quotes escaped. */
const JSON_PIECE = /\\?"\s*:|"\s*[,}\]]/
/** How Kubernetes' own programs begin a line of their logs (klog): I1121 07:51:10.123456       1 server.go:12] */
const KLOG = /^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w./-]+:\d+\] /
/** A member of an object, and not `Get "https://x": dial tcp` or `{Addr: "x", }`. */
const JSON_MEMBER = /\\*"\s*:\s*\\*["{[]/
/** Where the first body may begin, written in any way. */
const BODY =
  /"[^"]{0,80}(?:[Oo]bject|\\u)[^"]{0,40}"\s*:\s*[{[]|"(?:data|stringData|items|spec|status|patch|metadata)"\s*:/
const HEAD = '{"kind":"Event","apiVersion":"audit.k8s.io/'
/** Which request it is about may not be there any more: as if it were one for secrets. */
const SECRET = IS_ANY_BODY | IS_SECRET_OBJECT
/** Longer lines are not looked through. */
const BYTES_MAX = 256 * 1024

/** What of line[start, end) may be told; null: all of it as it stands. */
export function safePart(line: Buffer, start: number, end: number, mask: Mask): string | null {
  if (end - start > BYTES_MAX) return `[redacted: ${end - start} bytes that are no audit event]`
  const whole = redactedJson(line, start, end, mask)
  if (whole !== undefined) return whole
  const text = line.toString('utf8', start, end)
  const isText = KLOG.test(text) ? !JSON_MEMBER.test(text) : !JSON_PIECE.test(text)
  if (isText) return holdsCredential(text) ? mask(text) : null
  // It begins as an event does, with its metadata; a line that begins elsewhere may begin in the middle of a secret.
  if (!text.startsWith(HEAD.slice(0, text.length))) return `[redacted: ${end - start} bytes of a torn line]`
  const body = text.search(BODY)
  const part = redactedHead(body < 0 ? text : text.slice(0, body), mask)
  if (part === null) return `[redacted: ${end - start} bytes of a torn event]`
  return part === text ? null : part
}

/** The beginning of an event, redacted as the event's own members are; null where that cannot be. */
function redactedHead(text: string, mask: Mask): string | null {
  const missing = missingEnd(text)
  if (missing === null) return null
  const bytes = Buffer.from(text + missing)
  const whole = redacted(bytes, 0, bytes.length, IS_EVENT, SECRET, mask)
  if (whole === undefined) return null
  return whole === null ? text : whole.slice(0, whole.length - missing.length)
}

/** The line redacted, where it is JSON: null when that changes nothing, undefined when it is none. */
function redactedJson(line: Buffer, start: number, end: number, mask: Mask): string | null | undefined {
  if (line[start] !== 0x7b && line[start] !== 0x5b) return undefined
  return redacted(line, start, end, 0, 0, mask)
}

/** The same for what `role` says it is; `bodyRole`: what an event's bodies are. */
function redacted(
  line: Buffer,
  start: number,
  end: number,
  role: number,
  bodyRole: number,
  mask: Mask,
): string | null | undefined {
  const bytes = Buffer.alloc(end - start + PADDING_BYTES)
  line.copy(bytes, 0, start, end)
  const tape = new Tape()
  tape.begin(bytes, 0, end - start)
  if (tape.run() !== 'done') return undefined
  const edits = new Edits()
  const options = {
    requestRole: bodyRole,
    responseRole: bodyRole,
    dropsRequest: false,
    dropsResponse: false,
    level: null,
  }
  const walk = new Walk()
  walk.begin(tape, edits, role, { ...options, mask, redacts: true })
  walk.run()
  if (edits.count === 0) return null
  const out = Buffer.alloc(edits.bytesMax(end - start))
  return out.toString('utf8', 0, edits.apply(bytes, 0, end - start, out, 0))
}
