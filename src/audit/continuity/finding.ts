// What may be found missing in an audit log, and the words for it. Pure.

export type Confidence = 'certain' | 'likely' | 'possible'
/** hole: a stretch of the log is not there; silence: nothing was written; unended: requests without their end. */
export type FindingKind = 'hole' | 'silence' | 'unended'

export interface Finding {
  kind: FindingKind
  confidence: Confidence
  /** What is missing, as a part of a sentence. */
  text: string
}

const NAMED_MAX = 4

/** Between two files, or behind one that is gone, there was more. `from` and `to` are seconds since the epoch. */
export function hole(confidence: Confidence, from: number, to: number, why: string): Finding {
  return { kind: 'hole', confidence, text: `events between ${time(from)} and ${time(to)} are missing: ${why}` }
}

/** `to` null: it goes on. */
export function silence(confidence: Confidence, from: number, to: number | null, usual: number): Finding {
  const span = to === null ? `no event since ${time(from)}` : `no event between ${time(from)} and ${time(to)}`
  const why = `the longest usual pause is ${usual} s`
  const doubt = to === null ? '' : '; the clock of the API server may have been set'
  return { kind: 'silence', confidence, text: `${span}, where ${why}${doubt}` }
}

export interface Unended {
  /** auditID, of plain characters. */
  id: string
  /** Seconds since the epoch. */
  seconds: number
  /** Verb and resource. */
  what: string
}

export function unended(confidence: Confidence, requests: readonly Unended[]): Finding {
  const isOne = requests.length === 1
  const count = isOne ? '1 request' : `${requests.length} requests`
  const named = requests.slice(0, NAMED_MAX).map(({ id, what }) => `${what} (auditID ${id})`)
  const others = requests.length > NAMED_MAX ? [`${requests.length - NAMED_MAX} more`] : []
  const since = time(requests.reduce((min, { seconds }) => Math.min(min, seconds), Number.POSITIVE_INFINITY))
  const doubt = confidence === 'possible' ? ', and may still be open' : ''
  return {
    kind: 'unended',
    confidence,
    text: `${count} begun since ${since} ${isOne ? 'has' : 'have'} no end in the log after an hour${doubt}: ${[...named, ...others].join(', ')}`,
  }
}

function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
