// The stdout sink: `raw`, the line as it is, perhaps behind a prefix, or `json`, one object a line. A shipment is one write of
// whole lines. What the descriptor took is delivered.
// A closed pipe is the one failure that ends the process: `ship` rejects with STDOUT_CLOSED.
import { basename } from 'node:path'
import type { Part } from '../../batch/part.ts'
import type { Shipment } from '../../batch/shipment.ts'
import type { EntryEncoder, Target } from '../../batch/target.ts'
import type { StdoutSinkConfig } from '../../config/config.ts'
import { type Entry, STDERR } from '../../core/entry.ts'
import { errorCode, errorMessage, TaffrailError } from '../../core/errors.ts'
import type { Events } from '../../core/events.ts'
import { type LabelContext, type Labels, labelsOf } from '../../core/labels.ts'
import type { LineageInfo } from '../../core/lineage-info.ts'
import { withMarks } from '../../core/marks.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { Clock } from '../../ports/clock.ts'
import { type Output, takenBytes } from '../../ports/output.ts'
import { jsonTextBytesMax, writeJsonText } from '../json-text.ts'
import type { SegmentResult, Sink, SinkState } from '../sink.ts'
import { SECONDS_LETTERS, secondsText, writeNanos } from '../time-text.ts'

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
    const { format, prefix = '' } = this.#config
    if (format === 'raw') {
      return { key: info.key, encoder: prefix === '' ? rawEncoder : new PrefixEncoder(prefixOf(prefix, info.path)) }
    }
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

/** `{file}` and `{path}` in `prefix` filled in. */
function prefixOf(prefix: string, path: string): Buffer {
  return Buffer.from(prefix.replace(/\{(file|path)\}/g, (_, what) => (what === 'file' ? basename(path) : path)))
}

/** The prefix before each line of the record: a reader that takes them one by one sees whose each is. */
class PrefixEncoder implements EntryEncoder {
  readonly #prefix: Buffer

  constructor(prefix: Buffer) {
    this.#prefix = prefix
  }

  // What further lines of a record add is reserved when it is written.
  sizeMax(_entry: Entry, messageBytes: number): number {
    return messageBytes + this.#prefix.length + 1
  }

  write(part: Part, { buffer, messageStart, messageEnd }: Entry): void {
    const prefix = this.#prefix
    for (let at = messageStart; at <= messageEnd; ) {
      const newline = buffer.indexOf(10, at)
      const end = newline < 0 || newline > messageEnd ? messageEnd : newline
      part.reserve(prefix.length + end - at + 1)
      part.end += prefix.copy(part.buffer, part.end)
      part.end += buffer.copy(part.buffer, part.end, at, end)
      part.buffer[part.end++] = 10
      at = end + 1
    }
  }
}

const TIME = '{"time":"'
const SECONDS_AT = TIME.length
const NANOS_AT = SECONDS_AT + SECONDS_LETTERS + 1
const END = Buffer.from('"}\n')

/** What stands before a line, with room for its time. */
class JsonHead {
  readonly bytes: Buffer
  #seconds = 0

  constructor(labels: string, metadata: string) {
    const room = `${secondsText(0)}.000000000Z`
    this.bytes = Buffer.from(`${TIME}${room}","labels":${labels},"metadata":${metadata},"line":"`)
  }

  at(seconds: number): Buffer {
    if (seconds !== this.#seconds) this.bytes.write(secondsText(seconds), SECONDS_AT, 'latin1')
    this.#seconds = seconds
    return this.bytes
  }
}

class JsonEncoder implements EntryEncoder {
  readonly #labels: readonly [string, string]
  readonly #metadata: Labels
  /** By source stream. */
  readonly #heads: readonly [JsonHead, JsonHead]

  constructor(labels: Labels, metadata: Labels, hasSourceStreams: boolean) {
    const text = (stream: string) => JSON.stringify(hasSourceStreams ? { ...labels, stream } : labels)
    this.#labels = [text('stdout'), text('stderr')]
    this.#metadata = metadata
    const head = (stream: 0 | 1) => new JsonHead(this.#labels[stream], JSON.stringify(metadata))
    this.#heads = [head(0), head(1)]
  }

  // An escaped byte takes six at most.
  sizeMax(_entry: Entry, messageBytes: number): number {
    return 6 * messageBytes + this.#heads[1].bytes.length + 1024
  }

  write(part: Part, entry: Entry): void {
    const { buffer, messageStart, messageEnd, marks } = entry
    const stream = entry.stream === STDERR ? 1 : 0
    const head =
      marks === 0
        ? this.#heads[stream]
        : new JsonHead(this.#labels[stream], JSON.stringify(withMarks(this.#metadata, entry, marks)))
    const bytes = head.at(entry.seconds)
    // The line itself by bytes: as a string, one of a megabyte would take several times that.
    part.reserve(bytes.length + jsonTextBytesMax(buffer, messageStart, messageEnd) + END.length + 8)
    bytes.copy(part.buffer, part.end)
    writeNanos(part.view, part.end + NANOS_AT, entry.nanos)
    part.end += bytes.length
    writeJsonText(part, buffer, messageStart, messageEnd)
    part.end += END.copy(part.buffer, part.end)
  }
}
