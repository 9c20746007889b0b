// A lineage with readers on the machine's file system, driven by hand: the test does to the files what a runtime does,
// lets time pass, and looks at what was delivered. Clock: `monotonic` moves when the test says so; `now` is the
// machine's, because files carry its times. Invariants checked on the way: the ledgers balance, a reader that says that
// it has work moves, and at the end nothing is left open.
import { appendFileSync, mkdirSync, readFileSync, realpathSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import type { Position } from '../../src/checkpoint/position.ts'
import { type Entry, MARK_CUT, MARK_FUTURE_TIME, MARK_NAMES } from '../../src/core/entry.ts'
import type { AgentEvents, EventName, Events } from '../../src/core/events.ts'
import { Ledger } from '../../src/core/ledger.ts'
import { Directories } from '../../src/discover/directory.ts'
import { ContainerListing, GenericListing } from '../../src/discover/listings.ts'
import type { MultilineConfig } from '../../src/parse/multiline.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { ReadFileSystem } from '../../src/ports/fs.ts'
import { realGunzip } from '../../src/ports/gunzip.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { Lineage } from '../../src/tail/lineage.ts'
import { Reader } from '../../src/tail/reader.ts'
import type { FillEnd } from '../../src/tail/reading.ts'
import type { EntryWriter } from '../../src/tail/writer.ts'
import { WatchedReads } from './watched-reads.ts'

/** Fills in a row that a reader that moves nothing may ask for. */
const IDLE_FILLS_MAX = 20
const STEP_MS = 100

export class RigClock implements Clock {
  monotonicMs = 0
  /** Added to the machine's time. */
  stepMs = 0
  /** When set, the wall clock stands still there. */
  wallMs: number | null = null
  now(): number {
    return this.wallMs ?? Date.now() + this.stepMs
  }
  monotonic(): number {
    return this.monotonicMs
  }
  after(): () => void {
    throw new Error('nothing here sets timers')
  }
  async sleep(): Promise<void> {}
  async yield(): Promise<void> {}
}

/** An entry as it was written, with its own copy of the bytes. */
export interface Delivered {
  text: string
  stream: 'stdout' | 'stderr'
  /** Nanoseconds since the epoch. */
  time: bigint
  marks: string[]
  offset: number
  sourceBytes: number
  sourceLines: number
  originalBytes: number
  originalSha256: string
  originalTime: string
  bytes: Buffer
}

export interface SinkOptions {
  name?: string
  format?: 'container' | 'plain'
  startAt?: 'beginning' | 'end'
  startAgeMax?: number | null
  lineBytesMax?: number
  once?: boolean
  blockBytes?: number
  multiline?: MultilineConfig | null
}

/** What a sink is made for. */
export interface SinkDeps {
  fs: ReadFileSystem
  clock: Clock
  events: Events
  lineage: Lineage
}

/** One sink: a reader, and what became of what it wrote. */
export class RigSink implements EntryWriter {
  readonly ledger = new Ledger()
  reader!: Reader
  /** Acknowledged, in order. */
  readonly delivered: Delivered[] = []
  /** Written since the last `ack` or `again`. */
  pending: Delivered[] = []
  position: Position | undefined
  /** Of each entry that was written, repeats too: offset, and head and restart of the file that it begins in. */
  readonly begun: string[] = []
  woken = false
  recordsMax = Number.POSITIVE_INFINITY
  bytesMax = 256 * 1024
  readonly options: Required<SinkOptions>
  readonly block: Buffer
  #bytes = 0
  readonly #rig: SinkDeps

  constructor(rig: SinkDeps, options: SinkOptions) {
    this.#rig = rig
    const defaults = { name: 'sink', format: 'container', startAt: 'beginning', startAgeMax: null } as const
    this.options = {
      ...defaults,
      lineBytesMax: 65_536,
      once: false,
      blockBytes: 512 * 1024,
      multiline: null,
      ...options,
    }
    this.block = Buffer.alloc(this.options.blockBytes)
    this.open()
  }

  open(): void {
    const { name, format, startAt, startAgeMax, lineBytesMax, once } = this.options
    const wake = () => {
      this.woken = true
    }
    const options = { sink: name, format, startAt, startAgeMax, lineBytesMax, ledger: this.ledger, once, wake }
    const { fs, clock, events, lineage } = this.#rig
    this.reader = new Reader(lineage, this.position, options, { fs, clock, gunzip: realGunzip, events })
    this.reader.multiline = this.options.multiline
  }

  get roomBytes(): number {
    return Math.max(0, this.bytesMax - this.#bytes)
  }

  fits(_entry: Entry, messageBytes: number): boolean {
    if (this.pending.length === 0) return true
    return this.pending.length < this.recordsMax && this.#bytes + messageBytes <= this.bytesMax
  }

  write(entry: Entry): void {
    const bytes = Buffer.from(entry.buffer.subarray(entry.messageStart, entry.messageEnd))
    const isCut = (entry.marks & MARK_CUT) !== 0
    this.#bytes += bytes.length
    this.begun.push(`${entry.offset} ${entry.file?.head.hash} ${entry.file?.order.restart}`)
    this.pending.push({
      text: bytes.toString(),
      stream: entry.stream === 0 ? 'stdout' : 'stderr',
      time: BigInt(entry.seconds) * 1_000_000_000n + BigInt(entry.nanos),
      marks: MARK_NAMES.filter(([bit]) => (entry.marks & bit) !== 0).map(([, name]) => name),
      offset: entry.offset,
      sourceBytes: entry.sourceBytes,
      sourceLines: entry.sourceLines,
      originalBytes: isCut ? entry.originalBytes : 0,
      originalSha256: isCut ? entry.originalSha256 : '',
      originalTime: (entry.marks & MARK_FUTURE_TIME) !== 0 ? entry.originalTime : '',
      bytes,
    })
  }

  /** Reads once, and saves what has to be saved before anything is sent, as the consumer does it. */
  fill(): FillEnd {
    const begun = this.reader.current !== null
    const end = this.reader.fill(this, this.block, 2 * 1024 * 1024)
    if (!begun || this.reader.hasFreshDecisions) this.savePosition()
    this.reader.decisionsSaved()
    this.check()
    return end
  }

  /** All that was written is acknowledged, as the consumer does it. */
  ack(): void {
    this.#settle([0, 1])
    this.reader.commit()
    this.savePosition()
    this.check()
  }

  /** Reads so many records, and acknowledges them. */
  take(records: number): void {
    this.recordsMax = records
    this.fill()
    this.ack()
    this.recordsMax = Number.POSITIVE_INFINITY
  }

  /** Refused, to be sent again, but for what went to these streams. */
  again(ackedStreams: (0 | 1)[] = []): void {
    this.#settle(ackedStreams)
    for (const stream of ackedStreams) this.reader.ackStream(stream)
    this.reader.rewind()
    this.pending = []
    this.#bytes = 0
    this.check()
  }

  savePosition(): void {
    const position = this.reader.position()
    if (position !== null) this.position = JSON.parse(JSON.stringify(position)) as Position
  }

  check(): void {
    const { bytes, lines } = this.ledger.imbalance()
    if (bytes !== 0 || lines !== 0) throw new Error(`the ledger is off by ${bytes} bytes and ${lines} lines`)
    const { inFlight } = this.ledger
    const reader = this.reader
    if (inFlight.bytes !== reader.unsettled.bytes || inFlight.lines !== reader.unsettled.lines) {
      throw new Error(
        `in flight ${JSON.stringify(inFlight)}, unsettled ${reader.unsettled.bytes}, ${reader.unsettled.lines}`,
      )
    }
    if (inFlight.bytes < 0 || inFlight.lines < 0) throw new Error(`in flight ${JSON.stringify(inFlight)}`)
  }

  /** Reads and acknowledges until there is nothing more to do now. */
  async drain(): Promise<void> {
    let idle = 0
    while (this.reader.hasWork || idle === 0) {
      if (++idle > IDLE_FILLS_MAX) throw new Error('the reader says that it has work, and does not move')
      const before = `${this.reader.current?.sequence} ${this.reader.offset}`
      const end = this.fill()
      const moved = this.pending.length > 0 || before !== `${this.reader.current?.sequence} ${this.reader.offset}`
      if (moved) idle = 1
      this.ack()
      if (end !== 'wait') continue
      await this.#untilWoken()
      idle = 1
    }
  }

  get texts(): string[] {
    return this.delivered.map((each) => each.text)
  }

  async #untilWoken(): Promise<void> {
    for (let i = 0; !this.woken; i++) {
      if (i > 5000) throw new Error('the reader waits, and nothing wakes it')
      await new Promise((resolve) => setTimeout(resolve, i > 100 ? 1 : 0))
    }
    this.woken = false
  }

  #settle(streams: (0 | 1)[]): void {
    const names = streams.map((stream) => (stream === 0 ? 'stdout' : 'stderr'))
    for (const stream of names) {
      const mine = this.pending.filter((each) => each.stream === stream)
      const bytes = mine.reduce((sum, each) => sum + each.sourceBytes, 0)
      const lines = mine.reduce((sum, each) => sum + each.sourceLines, 0)
      this.ledger.ack(bytes, lines)
      this.reader.settled(bytes, lines)
    }
    this.delivered.push(...this.pending.filter((each) => names.includes(each.stream)))
    this.pending = this.pending.filter((each) => !names.includes(each.stream))
    if (streams.length === 2) this.#bytes = 0
  }
}

export interface RigOptions {
  /** `container`: a container's directory; else the base name of the file in the directory. */
  kind?: 'container' | string
  roots?: string[]
  /** The directory of the lineage below the root. */
  directory?: string
}

type Emitted = { [Name in EventName]: { name: Name; detail: AgentEvents[Name] } }[EventName]

const rootsMade = new WeakMap<Test, { path: string; count: number }>()

/** A directory without links, another one for every rig of a test. */
function newRoot(t: Test): string {
  let made = rootsMade.get(t)
  if (made === undefined) {
    made = { path: realpathSync(t.testdir()), count: 0 }
    rootsMade.set(t, made)
  }
  const root = `${made.path}/${++made.count}`
  mkdirSync(root)
  return root
}

export class TailRig {
  /** The test's directory, without links. */
  readonly root: string
  /** The lineage's directory. */
  readonly directory: string
  readonly clock = new RigClock()
  readonly fs = new WatchedReads(realFileSystem.reads)
  readonly counters = { rotations: 0, truncations: 0, filesRefused: 0, fileErrors: 0 }
  readonly emitted: Emitted[] = []
  readonly events: Events = {
    emit: (name, detail) => void this.emitted.push({ name, detail } as Emitted),
  }
  readonly sinks: RigSink[] = []
  lineage!: Lineage
  readonly #options: Required<RigOptions>

  constructor(t: Test, options: RigOptions = {}) {
    this.root = newRoot(t)
    this.#options = { kind: 'container', roots: [this.root], directory: 'pods/ns_pod_uid/app', ...options }
    this.directory = `${this.root}/${this.#options.directory}`
    mkdirSync(this.directory, { recursive: true })
    this.open()
    t.teardown(() => this.close())
  }

  open(): void {
    const { fs, clock, events, counters } = this
    const { kind, roots } = this.#options
    const directories = new Directories(fs, clock)
    const container = kind === 'container'
    const listing = container
      ? new ContainerListing(directories, this.directory, roots, fs)
      : new GenericListing(directories, `${this.directory}/${kind}`, fs)
    const info = {
      source: 'test',
      sourceType: container ? ('containers' as const) : ('files' as const),
      key: 'test:key',
      path: this.directory,
      namespace: 'ns',
      pod: 'pod',
      podUid: container ? 'uid' : '',
      container: 'app',
    }
    this.lineage = new Lineage(info, listing, roots, { fs, clock, gunzip: realGunzip, events, counters })
  }

  sink(options: SinkOptions = {}): RigSink {
    const format = this.#options.kind === 'container' ? 'container' : 'plain'
    const sink = new RigSink(this, { format, name: `sink${this.sinks.length}`, ...options })
    this.sinks.push(sink)
    return sink
  }

  /** Path of a file of the lineage. */
  path(name: string): string {
    return `${this.directory}/${name}`
  }

  append(name: string, content: string | Buffer): void {
    appendFileSync(this.path(name), content)
  }

  write(name: string, content: string | Buffer): void {
    writeFileSync(this.path(name), content)
  }

  rename(from: string, to: string): void {
    renameSync(this.path(from), this.path(to))
  }

  unlink(name: string): void {
    unlinkSync(this.path(name))
  }

  /** Writes `name.gz` by way of `name.tmp`, and deletes `name`, as the kubelet does it. */
  compress(name: string): void {
    writeFileSync(this.path(`${name}.tmp`), gzipSync(readFileSync(this.path(name))))
    this.rename(`${name}.tmp`, `${name}.gz`)
    this.unlink(name)
  }

  look(): void {
    this.lineage.look()
  }

  /** Looks, and lets every sink read and acknowledge all there is. */
  async step(): Promise<void> {
    this.look()
    for (const sink of this.sinks) await sink.drain()
  }

  /** Lets time pass in steps, with a look and a drain after each. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      this.clock.monotonicMs += STEP_MS
      await this.step()
    }
  }

  /** The process ends, without a word (what was written and not acknowledged is forgotten), and another one begins. */
  restart(): void {
    for (const sink of this.sinks) sink.again()
    this.stop()
    this.open()
    for (const sink of this.sinks) sink.open()
  }

  stop(): void {
    for (const { reader } of this.sinks) reader.close()
    this.lineage.close()
    const left = [...this.fs.openFiles.values()]
    if (left.length > 0) throw new Error(`left open: ${left.join(', ')}`)
    if (this.fs.misuses.length > 0) throw new Error(this.fs.misuses[0])
  }

  close(): void {
    this.fs.fault = () => null
    for (const sink of this.sinks) sink.check()
    this.stop()
  }

  /** Details of the events of one name. */
  told<Name extends EventName>(name: Name): AgentEvents[Name][] {
    return this.emitted.filter((each) => each.name === name).map((each) => each.detail as AgentEvents[Name])
  }
}

/** A CRI row without its newline, `at` nanoseconds (or more, as text) after 2026-11-21T08:00:00Z. */
export function row(at: number, message: string, tag = 'F', stream = 'stdout'): string {
  const seconds = String(Math.floor(at / 1e9) % 60).padStart(2, '0')
  const minutes = String(Math.floor(at / 60e9)).padStart(2, '0')
  return `2026-11-21T08:${minutes}:${seconds}.${String(at % 1e9).padStart(9, '0')}Z ${stream} ${tag} ${message}`
}

/** CRI rows with the messages `PREFIX FROM` to `PREFIX TO - 1`, at as many nanoseconds. */
export function rows(from: number, to: number, prefix = 'line'): string {
  let text = ''
  for (let i = from; i < to; i++) text += `${row(i, `${prefix} ${i}`)}\n`
  return text
}

/** What `rows` should be delivered as. */
export function messages(from: number, to: number, prefix = 'line'): string[] {
  return Array.from({ length: to - from }, (_, i) => `${prefix} ${from + i}`)
}

/** `messages` as a program writes them into a file of its own. */
export function lines(from: number, to: number): string {
  return messages(from, to)
    .map((message) => `${message}\n`)
    .join('')
}

/** The lines of `messages` among texts: what is delivered beside them are records of gaps, and lines of another kind. */
export function numbered(texts: readonly string[]): string[] {
  return texts.filter((text) => text.startsWith('line'))
}

/** A log of one file, without times of its own. */
export function plainRig(t: Test): { rig: TailRig; sink: RigSink } {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  return { rig, sink: rig.sink() }
}

/** What was told as lost: from where to where. */
export function losses(rig: TailRig): [number, number | null][] {
  return rig.told('bytes.lost').map((each) => [each.fromOffset, each.toOffset])
}

/** The same texts without the time spans that the records of gaps name. */
export function withoutSpans(texts: readonly string[]): string[] {
  return texts.map((text) => text.replace(/, written(?: (?:after|before) \S+Z)+(?=:)/, ''))
}
