// What the sink remembers of a lane: its two Loki streams, whether it goes alone, and whether a record of it is suspect
// because the server fails again and again for this lane alone. Bound: two streams, and of audit events one for each stage and verb.
import type { Labels } from '../../core/labels.ts'
import { Suspicion } from '../suspicion.ts'
import type { AuditStreams } from './audit-streams.ts'
import { LokiStream } from './stream.ts'

export class LokiLane {
  readonly key: string
  /** To whom it goes, where that is not the sink's own tenant; null: it is. No push holds lanes of several. */
  readonly tenant: string | null
  /** By source stream. */
  readonly streams: readonly [LokiStream, LokiStream]
  /** Refused in company: it goes alone until it is answered 2xx. */
  solo = false
  /** Failures since the last success. */
  attempts = 0
  /** Of a record, by the server errors (500) to this lane alone. */
  readonly suspicion = new Suspicion()
  /** A record is suspect that has no neighbours in its half hour: what is far from it may go with it. */
  needsNeighbours = false
  /** Of a lane of audit events: its streams, which are pushed one by one. */
  audit: AuditStreams | null = null

  constructor(key: string, labels: Labels, hasSourceStreams: boolean, tenant: string | null = null) {
    this.key = key
    this.tenant = tenant
    const stream = (name: string) => new LokiStream(hasSourceStreams ? { ...labels, stream: name } : labels)
    this.streams = [stream('stdout'), stream('stderr')]
  }

  /** No record could be told from the others: it is the server, for the time being. */
  acquit(): void {
    this.needsNeighbours = true
    this.suspicion.acquit()
  }

  /** Something of the lane was settled. */
  clearServerErrors(): void {
    this.suspicion.clear()
    this.needsNeighbours = false
  }

  /** Judged before a shipment is filled; whether what it got is calm too is judged after. */
  mayShare(now: number): boolean {
    const [out, err] = this.streams
    if (this.audit !== null || this.solo || (out.okAt === null && err.okAt === null)) return false
    return out.isSlow(now) && err.isSlow(now)
  }
}
