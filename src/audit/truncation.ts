// An event that is over a sink's limit loses its bodies, the response's first, and says so: its length and hash are told in its
// annotations. It stays valid JSON and is never cut.
import { Edits } from './edits.ts'
import { ANNOTATIONS, type EventFacts, REQUEST_OBJECT, RESPONSE_OBJECT } from './event.ts'

/** What the annotation of a truncated event adds. */
const TRUNCATION_BYTES = 256

/**
 * What is left of the event b[start, end), over `bytesMax`, whose hash is `sha256`; null where it is none or has no body to lose.
 * `facts` are what it is read with.
 */
export function truncated(
  facts: EventFacts,
  b: Buffer,
  start: number,
  end: number,
  bytesMax: number,
  sha256: string,
): Buffer | null {
  if (!facts.read(b, start, end)) return null
  const { buffer } = facts
  const bytes = end - start
  const from = buffer === b ? start : 0
  let left = bytes
  const dropped: [number, number][] = []
  for (const fact of [RESPONSE_OBJECT, REQUEST_OBJECT]) {
    if (!facts.has(fact) || left <= bytesMax - TRUNCATION_BYTES) continue
    const place = memberPlace(buffer, facts.startOf(fact), facts.endOf(fact))
    dropped.push(place)
    left -= place[1] - place[0]
  }
  if (dropped.length === 0) return null
  const edits = new Edits()
  const note =
    `"audit.k8s.io/truncated":"true","taffrail/original-bytes":"${bytes}",` + `"taffrail/original-sha256":"${sha256}"`
  const changes = dropped.map(([start, end]) => ({ start, end, text: '' }))
  if (facts.has(ANNOTATIONS)) {
    const at = facts.startOf(ANNOTATIONS) + 1
    const isEmpty = /^\s*\}/.test(buffer.toString('latin1', at, at + 8))
    changes.push({ start: at, end: at, text: isEmpty ? note : `${note},` })
  } else {
    const at = from + bytes - 1 - trailingSpace(buffer, from + bytes)
    changes.push({ start: at, end: at, text: `,"annotations":{${note}}` })
  }
  changes.sort((a, b) => a.start - b.start)
  for (const { start, end, text } of changes) edits.add(start, end, text)
  const out = Buffer.allocUnsafeSlow(edits.bytesMax(left) + dropped.length) // two may share a comma
  const outEnd = edits.apply(buffer, from, from + bytes, out, 0)
  facts.release()
  return out.subarray(0, outEnd)
}

/** The place of a member with the value [start, end), with one comma beside it. */
export function memberPlace(b: Buffer, start: number, end: number): [number, number] {
  let from = start
  while (b[from] !== 0x3a) from--
  while (b[from] !== 0x22) from--
  do from--
  while (b[from] !== 0x22)
  let before = from - 1
  while (b[before]! <= 0x20) before--
  if (b[before] === 0x2c) return [before, end]
  let after = end
  while (b[after]! <= 0x20) after++
  return [from, b[after] === 0x2c ? after + 1 : end]
}

function trailingSpace(b: Buffer, end: number): number {
  let space = 0
  while (b[end - 1 - space] !== 0x7d) space++
  return space
}
