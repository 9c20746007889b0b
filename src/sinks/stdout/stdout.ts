// The stdout sink: `raw`, the line as it is, or `json`, one object a line. What the descriptor took is delivered.
// A closed pipe is the one failure that ends the process: `ship` rejects with STDOUT_CLOSED.
import type { Part } from '../../batch/part.ts'
import type { Shipment } from '../../batch/shipment.ts'
import type { StdoutSinkConfig } from '../../config/config.ts'
import { type Entry, STDERR } from '../../core/entry.ts'
import { errorCode, errorMessage, TaffrailError } from '../../core/errors.ts'
import type { Events } from '../../core/events.ts'
import { type LabelContext, type Labels, labelsOf } from '../../core/labels.ts'
import { withMarks } from '../../core/marks.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { LineageInfo } from '../../discover/lineage-info.ts'
import type { Clock } from '../../ports/clock.ts'
import { type Output, takenBytes } from '../../ports/output.ts'
import type { EntryEncoder, SegmentResult, Sink, SinkState, Target } from '../sink.ts'

const RETRY_MS = 1000

export interface StdoutSinkDeps {
  output: Output
  clock: Clock
  events: Events
  context: Pick<LabelContext, 'clusterName'>
}

export class StdoutSink implements Sink {
  readonly name: string
  readonly type = 'stdout'
  readonly batchBytesMax = 256 * 1024
  readonly batchAgeMaxMs = 0
  readonly concurrency = 1
  readonly lineBytesMax: number
  readonly separateStreams = false
  readonly #config: StdoutSinkConfig
  readonly #deps: StdoutSinkDeps
  readonly #closing = new AbortController()
  #lastError: string | null = null

  constructor(config: StdoutSinkConfig, deps: StdoutSinkDeps) {
    this.name = config.name
    this.lineBytesMax = config.lineBytesMax
    this.#config = config
    this.#deps = deps
  }

  target(info: LineageInfo, metadata: Metadata): Target {
    if (this.#config.format === 'raw') return { key: info.key, encoder: rawEncoder }
    const labels = labelsOf(info, metadata, { ...this.#deps.context, labels: this.#config.labels })
    const pairs: Labels = {}
    if (metadata.podUid !== '') pairs.pod_uid = metadata.podUid
    if (metadata.mark !== '') pairs.metadata = metadata.mark
    return { key: info.key, encoder: new JsonEncoder(labels, pairs, info.sourceType === 'containers') }
  }

  mayShare(): boolean {
    return true
  }

  beginSegment(): void {}
  endSegment(): void {}
  forget(): void {}
  checkpointing(): void {}

  outrunsCheckpoint(): boolean {
    return false
  }

  async ship(shipment: Shipment): Promise<SegmentResult[]> {
    const [part] = shipment.parts
    const segments = shipment.segments.filter((segment) => segment.endRecords[0] > segment.firstRecords[0])
    const written = await this.#write(part.buffer.subarray(0, part.end))
    if (written) return segments.map(() => ({ kind: 'acked', refused: [] }))
    return segments.map(() => ({ kind: 'again', delayMs: RETRY_MS, ackedStreams: [], refused: [] }))
  }

  /** False: nothing was taken. What was begun is brought to its end, so that no line is torn and none is there twice. */
  async #write(data: Buffer): Promise<boolean> {
    const { output, clock, events } = this.#deps
    let rest = data
    for (;;) {
      try {
        await output.write(rest)
        this.#lastError = null
        return true
      } catch (error) {
        // No reader comes back to a pipe: to go on trying would be to hang for ever, and to say so once a minute.
        if (errorCode(error) === 'EPIPE') {
          throw new TaffrailError('STDOUT_CLOSED', 'standard output: its reader has closed it', error)
        }
        this.#lastError = errorMessage(error)
        const message = `standard output: ${this.#lastError}`
        events.emit('sink.halted', { sink: this.name, status: 0, message, delayMs: RETRY_MS })
        rest = rest.subarray(takenBytes(error))
      }
      if (rest.length === data.length) return false
      await clock.sleep(RETRY_MS, this.#closing.signal)
      if (this.#closing.signal.aborted) return false
    }
  }

  status(): SinkState {
    return {
      state: this.#lastError === null ? 'ok' : 'halted',
      lastError: this.#lastError,
      requestsInFlight: 0,
      requests: {},
      retries: {},
      requestSeconds: { bounds: [Number.POSITIVE_INFINITY], counts: [0], sum: 0 },
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }
}

const rawEncoder: EntryEncoder = {
  sizeMax: (_entry, messageBytes) => messageBytes + 1,
  write(part, entry) {
    part.reserve(entry.messageEnd - entry.messageStart + 1)
    part.end += entry.buffer.copy(part.buffer, part.end, entry.messageStart, entry.messageEnd)
    part.buffer[part.end++] = 10
  },
}

class JsonEncoder implements EntryEncoder {
  readonly #labels: readonly [string, string]
  readonly #metadata: Labels
  readonly #metadataText: string

  constructor(labels: Labels, metadata: Labels, hasSourceStreams: boolean) {
    const text = (stream: string) => JSON.stringify(hasSourceStreams ? { ...labels, stream } : labels)
    this.#labels = [text('stdout'), text('stderr')]
    this.#metadata = metadata
    this.#metadataText = JSON.stringify(metadata)
  }

  // An escaped byte takes six at most.
  sizeMax(_entry: Entry, messageBytes: number): number {
    return 6 * messageBytes + this.#labels[0].length * 3 + this.#metadataText.length * 3 + 1024
  }

  write(part: Part, entry: Entry): void {
    const line = JSON.stringify(entry.buffer.toString('utf8', entry.messageStart, entry.messageEnd))
    const labels = this.#labels[entry.stream === STDERR ? 1 : 0]
    const metadata =
      entry.marks === 0 ? this.#metadataText : JSON.stringify(withMarks(this.#metadata, entry, entry.marks))
    const time = `${new Date(entry.seconds * 1000).toISOString().slice(0, 19)}.${String(entry.nanos).padStart(9, '0')}Z`
    const text = `{"time":"${time}","labels":${labels},"metadata":${metadata},"line":${line}}\n`
    part.reserve(text.length * 3)
    part.end += part.buffer.write(text, part.end)
  }
}
