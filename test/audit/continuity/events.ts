// Audit events as an API server writes them, for what the course of a log is judged by.
import { Continuity, type LogFile } from '../../../src/audit/continuity/continuity.ts'
import type { Finding } from '../../../src/audit/continuity/finding.ts'
import { EventFacts } from '../../../src/audit/event.ts'

/** 2026-11-21T08:00:00Z */
export const START = 1_795_248_000

export interface Said {
  id?: string
  stage?: string
  verb?: string
  user?: string
  resource?: string
  subresource?: string
  code?: number
  uri?: string
}

let count = 0

export function newId(): string {
  return `0d9f6c1e-5a1b-4a53-9c1b-${String(++count).padStart(12, '0')}`
}

/** A line, without its newline. `at` in seconds since START. */
export function event(at: number, said: Said = {}): string {
  const { id = newId(), stage = 'ResponseComplete', verb = 'get', user = 'system:apiserver', code = 200 } = said
  const { resource = 'leases', subresource, uri = '/apis/x' } = said
  return JSON.stringify({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: id,
    stage,
    requestURI: uri,
    verb,
    user: { username: user, groups: ['system:masters'] },
    sourceIPs: ['127.0.0.1'],
    userAgent: 'kube-apiserver/v1.36.3 (linux/amd64)',
    objectRef: { resource, apiVersion: 'v1', ...(subresource !== undefined && { subresource }) },
    responseStatus: { metadata: {}, code },
    requestReceivedTimestamp: time(at),
    stageTimestamp: time(at),
  })
}

export function time(at: number): string {
  return new Date((START + at) * 1000).toISOString().replace('Z', '000Z')
}

export const file = (rank = '\uffff'): LogFile => ({ order: { rank } })

/** A log that is read as it is written, unless the test moves the clock by itself. */
export class Log {
  monotonicMs = 0
  file = file()
  /** Seconds since START. */
  at = 0
  written = 0
  continuity: Continuity
  readonly found: Finding[] = []
  readonly #facts = new EventFacts()
  readonly #isSpool: boolean

  constructor(isSpool = false) {
    this.#isSpool = isSpool
    this.continuity = new Continuity(() => this.monotonicMs, undefined, isSpool)
  }

  /** Written and read at `at`. */
  note(said: Said = {}, at = this.at, isKept = true): void {
    const line = Buffer.from(event(at, said))
    if (!this.#facts.read(line, 0, line.length)) throw new Error('no event')
    this.written += line.length
    this.continuity.note(this.#facts, this.file, isKept)
  }

  /** An event every `step` seconds for `seconds`, and a look after each; all of it is acknowledged at once. */
  beat(seconds: number, step = 2): this {
    for (const end = this.at + seconds; this.at < end; ) {
      this.at += step
      this.monotonicMs += step * 1000
      this.note()
      this.look()
    }
    return this
  }

  /** Nothing is written; looks go on. */
  wait(seconds: number, step = 10): this {
    for (const end = this.at + seconds; this.at < end; ) {
      this.at += step
      this.monotonicMs += step * 1000
      this.look()
    }
    return this
  }

  look(end: number | null = this.written): void {
    this.continuity.look(end, this.written)
    this.found.push(...this.continuity.take())
  }

  /** What the next process would go on with, as a checkpoint gives it back. */
  restart(): this {
    const saved = JSON.parse(JSON.stringify(this.continuity.save()))
    this.continuity = new Continuity(() => this.monotonicMs, saved, this.#isSpool)
    return this
  }

  get told(): string[] {
    return this.found.map(({ kind, confidence }) => `${confidence} ${kind}`)
  }
}
