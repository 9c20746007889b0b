// The map of the house: builds the rooms from a Config and the ports, and keeps them going: scan, look, pump, sweep. It
// is the only file that knows every room.
import { readFileSync } from 'node:fs'
import { type AuditSource, openAudits } from './audit/open.ts'
import { Consumer, reservationBytes } from './batch/consumer.ts'
import type { CheckpointStore } from './checkpoint/checkpoints.ts'
import type { Position } from './checkpoint/position.ts'
import type { Config, SinkConfig, SourceConfig } from './config/config.ts'
import { ByteBudget } from './core/budget.ts'
import { CpuAllowance } from './core/cpu-allowance.ts'
import type { Events } from './core/events.ts'
import type { LineageInfo } from './core/lineage-info.ts'
import { type Metadata, pathMetadata } from './core/metadata.ts'
import type { AgentStatus, AnnotationProblem } from './core/status.ts'
import type { DeadLetters } from './deliver/dead-letter.ts'
import { Directories } from './discover/directory.ts'
import { type Discovered, Discovery, readsContainers } from './discover/discover.ts'
import { infoFromKey } from './discover/lineage-key.ts'
import type { ApiAccess } from './enrich/api-server.ts'
import { type Directives, directivesOf, tenantsFor } from './enrich/directives.ts'
import { Enrichment } from './enrich/enrichment.ts'
import { agentStatus } from './observe/snapshot.ts'
import type { MultilineConfig } from './parse/multiline.ts'
import type { Clock } from './ports/clock.ts'
import type { CpuTime } from './ports/cpu.ts'
import type { FileSystem } from './ports/fs.ts'
import type { Gunzip } from './ports/gunzip.ts'
import type { Hints, WatchDirectories, WatchFile } from './ports/hints.ts'
import type { HttpClientFactory } from './ports/http.ts'
import type { Output } from './ports/output.ts'
import type { Random } from './ports/random.ts'
import { isLike, Selection } from './select/selection.ts'
import { ElasticsearchSink } from './sinks/elasticsearch/elasticsearch.ts'
import { LokiSink } from './sinks/loki/loki.ts'
import { createRowsAtOnce, type RowsAtOnce } from './sinks/loki/rows.ts'
import type { Sink } from './sinks/sink.ts'
import { StdoutSink } from './sinks/stdout/stdout.ts'
import {
  DESCRIPTORS_MIN,
  Descriptors,
  givers,
  type Rationed,
  RESERVED_DESCRIPTORS,
  waiting,
} from './tail/descriptors.ts'
import { HoldLimits } from './tail/hold.ts'
import { Lineage, type Listing } from './tail/lineage.ts'
import { Reader } from './tail/reader.ts'
import { KUBELET_HABIT, type RotationHabit } from './tail/rotation.ts'

/** Everything that the agent does not make itself. */
export interface AgentPorts {
  fs: FileSystem
  clock: Clock
  random: Random
  gunzip: Gunzip
  createHttpClient: HttpClientFactory
  watchDirectories: WatchDirectories
  /** Left out: quiet files are looked at now and then like the others. */
  watchFile?: WatchFile
  output: Output
  /** How many more files the process may open; left out: as many as it wants. */
  descriptors?: number
  /** Left out: no allowance is kept to. */
  cpuTime?: CpuTime
  events: Events
  checkpoints: CheckpointStore
  deadLetters: DeadLetters
  /** How the API server is reached; null: not at all. Left out: the same. Throws a TaffrailError for what cannot be used. */
  apiAccess?: (kubernetes: Config['kubernetes']) => ApiAccess | null
  /** Reads policies and keys of redaction; left out: the real one. */
  readFile?: (path: string) => Buffer
}

export interface AgentOptions {
  version: string
  /** Read all there is to the end, take every file as finished, deliver, and be done. */
  once: boolean
}

/** One lineage with all that belongs to it. */
export interface Tailed extends Rationed {
  source: SourceConfig
  lineage: Lineage
  readers: Map<string, Reader>
  /** Monotonic ms. */
  lookAt: number
  wokenAt: number
  /** Bytes, of all readers, when it was woken. */
  ackedAtWake: number
  /** Ends the watch on its live file; null while it is looked at instead. */
  unwatch: (() => void) | null
}

const DIRECTORIES_MS = 1000
const SWEEP_MS = 5000
/** Looks at thousands of files are spread over turns of so long, with a breath for everything else between them. */
const LOOK_TURN_MS = 4
const LOOKS_TIMED = 16
const BREATH_MS = 2
/** A file that nobody looks at may vanish unseen: looks wait for the CPU allowance for so long and no longer. */
const BREATH_MS_MAX = 50
const LOOK_MS_MIN = 25
const LOOK_MS = 200
const LOOK_MS_MAX = 2000
/** A lineage that was quiet for so long is watched, and looked at rarely. */
const QUIET_MS = 4000
const WATCHED_LOOK_MS = 30_000
const BLOCK_BYTES = 512 * 1024
const HINT_MS = 50
const FINISH_LOOK_MS = 20
/** How often somebody's turn may come while some wait for descriptors. */
const RATION_MS = 50
/** How often the sizes of what lies unread are saved. */
const UNREAD_MS = 30_000
/**
 * The checkpoint of a lineage that vanished is kept for so long: it may come back with its volume. What it says of bytes that
 * nobody has delivered is taken for lost sooner, when other files of its source are there.
 */
const FORGET_MS = 3_600_000
const GONE_MS = 60_000
/** Of annotations that are not understood; the others are counted. */
const PROBLEMS_SHOWN = 20

export class Agent {
  readonly config: Config
  readonly budget: ByteBudget
  readonly consumers: readonly Consumer[]
  readonly tailed = new Map<string, Tailed>()
  readonly counters = { rotations: 0, truncations: 0, filesRefused: 0, fileErrors: 0 }
  readonly startedAt: number
  phase: AgentStatus['phase'] = 'running'
  scanned = false
  /** Rejects with the first broken invariant; the process must end then. */
  readonly broken: Promise<never>
  readonly #ports: AgentPorts
  readonly options: AgentOptions
  readonly #directories: Directories
  readonly #discoveries: readonly Discovery[]
  /** What is kept of each audit source, by its name; not there: it was stopped. */
  readonly #audits: ReadonlyMap<string, AuditSource>
  readonly #holdLimits: HoldLimits
  readonly descriptors: Descriptors
  readonly #allowance: CpuAllowance | null
  /** By source. */
  readonly #habits = new Map<string, RotationHabit>()
  readonly #forgotten = new Map<string, number>()
  readonly #enrichment: Enrichment | null
  /** What was made of the annotations in a Metadata, which never changes: the status asks for all of them. */
  readonly #directives = new WeakMap<Metadata, Directives>()
  /** Readers whose lines wait until their pod is known, and since when (monotonic ms). */
  readonly #undecided = new Map<Reader, { tailed: Tailed; consumer: Consumer; since: number }>()
  /** Pods (their UIDs in paths) whose metadata changed since the last round; null among them: any may have. */
  readonly #changedPods = new Set<string | null>()
  #hints: Hints | null = null
  #scanAt = Number.NEGATIVE_INFINITY
  #directoriesAt = Number.NEGATIVE_INFINITY
  #sweepAt = Number.NEGATIVE_INFINITY
  #unreadAt = Number.NEGATIVE_INFINITY
  /** The checkpoints of lineages that were not found were looked for. */
  #strayed = false
  /** A round of looks that is not through yet. */
  #round: { left: MapIterator<Tailed>; next: number } | null = null
  /** The last round of the ration was ended before all who could have their turn had it. */
  #isCut = false
  #cancelTick: (() => void) | null = null
  #stopped = false
  #finishing = false
  /** After the stop: what is not acknowledged, by sink. */
  left: { sink: string; bytes: number; files: number }[] = []
  #ending: Promise<boolean> | null = null
  #onTick: (() => void) | null = null

  constructor(config: Config, ports: AgentPorts, options: AgentOptions) {
    this.config = config
    this.#ports = ports
    this.options = options
    this.startedAt = ports.clock.now()
    const { fs, clock, events } = ports
    const rowsAtOnce = config.sinks.some(({ type }) => type === 'loki') ? createRowsAtOnce(BLOCK_BYTES) : null
    const sinks = config.sinks.map((sink) => createSink(sink, config.clusterName, ports, rowsAtOnce))
    // Bytes between read and ack: a quarter of the memory limit, the rest is the runtime's; enough for each sink to go on.
    const budgetBytesMin = sinks.reduce((sum, sink) => sum + reservationBytes(sink), 0)
    this.budget = new ByteBudget(Math.max(config.limits.memory / 4, budgetBytesMin))
    this.#directories = new Directories(fs.reads, clock)
    this.#audits = openAudits(config, sinks, { readFile: ports.readFile ?? readFileSync, events })
    const discoveries = config.sources.map((source) => new Discovery(source, fs.reads, this.#directories, events))
    const auditing = discoveries.filter(({ source }) => source.type === 'audit')
    for (const each of discoveries) if (!auditing.includes(each)) each.leavesTo = auditing
    // An audit source that was stopped keeps its files to itself all the same.
    this.#discoveries = discoveries.filter(({ source }) => source.type !== 'audit' || this.#audits.has(source.name))
    this.#holdLimits = new HoldLimits(clock, fs.reads)
    const reserved = sinks.reduce((sum, sink) => sum + sink.concurrency, RESERVED_DESCRIPTORS)
    const { descriptors = Number.POSITIVE_INFINITY } = ports
    this.descriptors = new Descriptors(Math.max(DESCRIPTORS_MIN, descriptors - reserved))
    const block = rowsAtOnce?.block ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
    const { checkpoints } = ports
    const { cpu } = config.limits
    const { cpuTime } = ports
    this.#allowance =
      cpu === null || cpuTime === undefined ? null : new CpuAllowance(cpu, () => clock.monotonic(), cpuTime)
    const access = config.kubernetes.metadata === 'off' ? null : (ports.apiAccess?.(config.kubernetes) ?? null)
    this.#enrichment = access === null ? null : new Enrichment(config, access, ports)
    const metadataFor = (reader: Reader, before: Metadata) => this.#metadataFor(reader, before)
    const shared = { clock, events, budget: this.budget, allowance: this.#allowance, checkpoints, block, metadataFor }
    this.consumers = sinks.map(
      (sink) =>
        new Consumer(sink, {
          ...shared,
          multilineFor: (reader, metadata) => this.#multilineFor(reader, metadata),
          selectionFor: (reader, metadata) => this.#selectionFor(sink, reader, metadata),
        }),
    )
    for (const consumer of this.consumers) consumer.hurry = options.once
    ports.deadLetters.onEvicted = ({ sink, reason, bytes, rows }) => {
      this.consumers.find((each) => each.sink.name === sink)?.ledger.evict(reason, bytes, rows)
    }
    this.broken = Promise.race(this.consumers.map((consumer) => consumer.broken))
    this.broken.catch(() => {}) // for whoever does not wait for it
  }

  get ports(): AgentPorts {
    return this.#ports
  }

  /** Begins to discover, read and deliver. The checkpoint store must be open. */
  start(): void {
    const { version } = this.options
    const { sources, sinks, nodeName } = this.config
    this.#ports.events.emit('agent.started', { version, node: nodeName, sources: sources.length, sinks: sinks.length })
    if (!this.options.once) this.#watch()
    this.#enrichment?.start((podUid) => {
      this.#changedPods.add(podUid)
      if (this.#changedPods.size === 1) this.#schedule(LOOK_MS_MIN)
    })
    this.#tick()
  }

  /** Resolves when all that is in the files now has been delivered (or `signal` aborts: false). */
  async drain(signal?: AbortSignal): Promise<boolean> {
    this.phase = 'draining'
    for (const consumer of this.consumers) consumer.hurry = true
    this.#scanAt = Number.NEGATIVE_INFINITY
    for (let quiet = 0; quiet < 2; ) {
      if (signal?.aborted || this.#stopped) return false
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#onTick = resolve
      signal?.addEventListener('abort', () => resolve(), { once: true })
      for (const each of this.tailed.values()) if (!this.#isFixed(each)) each.lookAt = Number.NEGATIVE_INFINITY
      this.#round = null
      this.#tick()
      await promise
      const idle =
        !this.#hasUndecidedLines &&
        !this.#hasWaiting &&
        this.consumers.every((consumer) => consumer.idle) &&
        this.#inLastFiles()
      quiet = idle ? quiet + 1 : 0
      if (!idle) await this.#ports.clock.sleep(20, signal)
    }
    return true
  }

  /**
   * Delivers what is in the files now, and looks at them no more: for an end, not for a pause. False when `signal` aborts
   * before, or when all that is left has failed again and again: a slow sink is waited for, a dead one is not. `isLast`:
   * nobody goes on from here, so files are looked for once more, too, and a line without an end goes out as it stands.
   */
  async finish(signal: AbortSignal, isLast = false): Promise<boolean> {
    if (this.#stopped) return this.stop(signal) // it ends already, for another reason
    this.phase = 'draining'
    this.#finishing = true
    this.#cancelTick?.()
    this.#lookAtAll(isLast)
    for (const consumer of this.consumers) consumer.hurry = true
    let isAtEnd = !isLast
    for (;;) {
      this.#ration(this.#ports.clock.monotonic())
      this.#decide(this.#ports.clock.monotonic())
      for (const consumer of this.consumers) consumer.pump()
      const isIdle = this.consumers.every((consumer) => consumer.idle) && !this.#hasWaiting
      if (isIdle && this.#inLastFiles() && !this.#hasUndecidedLines) {
        if (isAtEnd) return this.scanned
        isAtEnd = true
        this.#lookAtAll(true)
        for (const { readers } of this.tailed.values()) for (const reader of readers.values()) reader.finish()
        continue
      }
      const isHopeless = this.consumers.some((consumer) => consumer.isFailing)
      const isAlone = this.consumers.every((consumer) => consumer.isFailing || consumer.idle)
      if (signal.aborted || (isHopeless && isAlone)) return false
      await this.#ports.clock.sleep(FINISH_LOOK_MS, signal)
    }
  }

  /** Looks at the files, and with `scan` for others. */
  #lookAtAll(scan: boolean): void {
    if (scan) {
      for (const discovery of this.#discoveries) if (discovery.changed()) this.#scan(discovery)
    }
    for (const { lineage, readers } of this.tailed.values()) {
      // Of one that sleeps, a line without an end may be left.
      const isLeft = () => scan && [...readers.values()].some((reader) => reader.lagBytes > 0)
      if (!lineage.asleep) lineage.look()
      else if (lineage.stirs() || isLeft()) lineage.waitingSince ??= this.#ports.clock.monotonic()
    }
  }

  /**
   * Stops reading and waits for what is under way until `signal` aborts. Says whether all that is in the files now is
   * acknowledged. Another call waits for the first one's end.
   */
  stop(signal?: AbortSignal): Promise<boolean> {
    this.#ending ??= this.#end(signal)
    return this.#ending
  }

  async #end(signal?: AbortSignal): Promise<boolean> {
    this.#stopped = true
    this.phase = 'draining'
    this.#cancelTick?.()
    const settled = Promise.all(this.consumers.map((consumer) => consumer.stop()))
    const { promise: gaveUp, resolve } = Promise.withResolvers<void>()
    if (signal?.aborted) resolve()
    signal?.addEventListener('abort', () => resolve(), { once: true })
    await Promise.race([settled, gaveUp])
    await Promise.all(this.consumers.map((consumer) => consumer.sink.close()))
    await this.#hints?.close()
    await this.#enrichment?.stop()
    for (const { lineage } of this.tailed.values()) if (!lineage.asleep) lineage.look()
    for (const consumer of this.consumers) consumer.noteUnread(true)
    this.left = this.consumers.flatMap(({ sink, lagBytes: bytes, laggingFiles: files }) =>
      bytes > 0 ? [{ sink: sink.name, bytes, files }] : [],
    )
    const drained =
      this.scanned && !this.#hasUndecidedLines && this.consumers.every((consumer) => consumer.lagBytes === 0)
    for (const tailed of this.tailed.values()) {
      this.#unwatch(tailed)
      tailed.lineage.close()
    }
    this.phase = 'stopped'
    return drained
  }

  status(): AgentStatus {
    return agentStatus(this)
  }

  /** Looks at once at everything that is known, and for what is not. */
  wake(): void {
    this.#scanAt = Number.NEGATIVE_INFINITY
    this.#schedule(HINT_MS)
  }

  /** False while a reader waits for the end of a file that has a successor: it has nothing to do, but more to come. */
  #inLastFiles(): boolean {
    for (const { lineage, readers } of this.tailed.values()) {
      for (const { current } of readers.values()) if (current !== null && lineage.next(current) !== null) return false
    }
    return true
  }

  #watch(): void {
    const { events, watchDirectories } = this.#ports
    // Only where links lie: a watch on a directory with log files in it would tell of every line that is written.
    const containers = this.#discoveries.filter((each) => readsContainers(each.source))
    const directories = containers.flatMap((each) => each.directories)
    if (directories.length === 0) return
    this.#hints = watchDirectories(
      directories,
      () => this.wake(),
      (error) => events.emit('hints.failed', { path: directories.join(', '), error }),
    )
  }

  #schedule(delayMs: number): void {
    this.#cancelTick?.()
    this.#cancelTick = this.#stopped || this.#finishing ? null : this.#ports.clock.after(delayMs, () => this.#tick())
  }

  /** One round: scan when it is time, look at the lineages that are due, let the consumers send. */
  #tick(): void {
    if (this.#stopped) return
    const now = this.#ports.clock.monotonic()
    if (now >= this.#directoriesAt) {
      this.#directoriesAt = now + DIRECTORIES_MS
      for (const discovery of this.#discoveries) if (discovery.changed()) this.#scanAt = Number.NEGATIVE_INFINITY
    }
    if (now >= this.#scanAt) {
      this.#scanAt = Number.POSITIVE_INFINITY
      for (const discovery of this.#discoveries) this.#scanAt = Math.min(this.#scanAt, now + this.#scan(discovery))
      this.scanned = true
    }
    const next = this.#lookRound(now)
    if (next === null) {
      this.#schedule(Math.max(BREATH_MS, Math.min(BREATH_MS_MAX, this.#allowance?.take() ?? 0)))
      return
    }
    const due = Math.min(next, this.#decide(now), this.#ration(now))
    if (now >= this.#sweepAt) {
      this.#sweepAt = now + SWEEP_MS
      this.#sweep(now)
    }
    for (const consumer of this.consumers) consumer.pump()
    this.#schedule(this.#isCut ? BREATH_MS : Math.max(LOOK_MS_MIN, due - now))
    const onTick = this.#onTick
    this.#onTick = null
    onTick?.()
  }

  /**
   * Looks at the lineages that are due, for no longer than a turn may take; null when some of them are left for the next
   * one, which goes on there. Else monotonic ms when some lineage is due again.
   */
  #lookRound(now: number): number | null {
    const { clock } = this.#ports
    const round = (this.#round ??= { left: this.tailed.values(), next: now + DIRECTORIES_MS })
    let looks = 0
    for (let each = round.left.next(); !each.done; each = round.left.next()) {
      const tailed = each.value
      if (tailed.lookAt <= now) this.#look(tailed, now)
      round.next = Math.min(round.next, tailed.lookAt)
      if (++looks % LOOKS_TIMED === 0 && clock.monotonic() - now > LOOK_TURN_MS) return null
    }
    this.#round = null
    return round.next
  }

  /** With `once`, what there is now is all there is: a file that goes on growing is read as far as it reached when it was seen. */
  #isFixed({ lineage }: Tailed): boolean {
    return this.options.once && lineage.settled
  }

  #look(tailed: Tailed, now: number): void {
    const { lineage } = tailed
    if (lineage.asleep || this.#mustWait(lineage, now)) {
      if (lineage.stirs() && !this.options.once) lineage.waitingSince ??= now
      const interval = lineage.waitingSince === null ? lookInterval(lineage, now) : LOOK_MS_MAX
      tailed.lookAt = now + (tailed.unwatch === null ? interval : WATCHED_LOOK_MS)
      return
    }
    lineage.look()
    if (lineage.starved) lineage.waitingSince ??= now
    for (const reader of tailed.readers.values()) reader.foresee(now)
    if (this.#isFixed(tailed)) {
      tailed.lookAt = Number.POSITIVE_INFINITY
      return
    }
    const quietMs = now - lineage.activeAt
    if (quietMs < QUIET_MS) this.#unwatch(tailed)
    else if (tailed.unwatch === null && this.#watchLive(tailed)) {
      // What happened just before the watch began is seen by one more look.
      lineage.look()
    }
    tailed.lookAt = now + (tailed.unwatch === null ? lookInterval(lineage, now) : WATCHED_LOOK_MS)
  }

  /** Whether a lineage that is new has to wait for descriptors; then it sleeps. */
  #mustWait(lineage: Lineage, now: number): boolean {
    if (lineage.looked || lineage.files.length > 0 || this.#room > lineage.listedFiles) return false
    lineage.sleep()
    lineage.waitingSince ??= now
    return true
  }

  get #room(): number {
    return this.descriptors.max - this.descriptors.open
  }

  get #hasWaiting(): boolean {
    for (const { lineage } of this.tailed.values()) if (lineage.waitingSince !== null) return true
    return false
  }

  /** Lets those who wait for descriptors have some, as far as others can do without. Returns monotonic ms of the next time. */
  #ration(now: number): number {
    const { clock } = this.#ports
    this.#isCut = false
    const begunAt = clock.monotonic()
    const queue = waiting(this.tailed.values())
    if (queue.length === 0) return Number.POSITIVE_INFINITY
    let from: Tailed[] | null = null
    for (const tailed of queue) {
      const { lineage } = tailed
      const wanted = lineage.asleep ? Math.min(lineage.listedFiles + 1, this.descriptors.max) : 1
      while (this.#room < wanted) {
        from ??= givers(this.tailed.values(), now)
        const giver = from.shift()
        this.#isCut = clock.monotonic() - begunAt > LOOK_TURN_MS
        if (giver === undefined || this.#isCut) return now + RATION_MS
        if (giver !== tailed) this.#sleep(giver, now)
      }
      lineage.wake()
      tailed.wokenAt = now
      tailed.ackedAtWake = ackedBytes(tailed)
      tailed.lookAt = now
      this.#isCut = clock.monotonic() - begunAt > LOOK_TURN_MS
      if (this.#isCut) break
    }
    return now + RATION_MS
  }

  /** Closes the files of a lineage, if all of its readers can find their places again. */
  #sleep({ lineage, readers }: Tailed, now: number): void {
    const members = this.consumers.flatMap((consumer) => {
      const reader = readers.get(consumer.sink.name)
      return reader === undefined ? [] : [{ consumer, reader }]
    })
    for (const { reader } of members) reader.findPlace()
    const canSleep = () => lineage.canSleep && members.every(({ consumer, reader }) => consumer.canSleep(reader))
    if (!canSleep()) return
    lineage.look() // what was renamed or deleted since is known before it is let go
    if (!canSleep()) return
    const places = members.map(({ reader }) => reader.placeToSleep())
    if (places.includes(null)) return
    const hasUnread = members.some(({ reader }) => reader.lagBytes > 0)
    for (const [i, { consumer, reader }] of members.entries()) consumer.sleep(reader, places[i] as Position | 'start')
    lineage.sleep()
    if (hasUnread) lineage.waitingSince = now
  }

  /** Watches the live file of a quiet lineage; false when it cannot be watched, or there is more to look after than its end. */
  #watchLive(tailed: Tailed): boolean {
    const { watchFile, events } = this.#ports
    const [file, ...more] = tailed.lineage.files
    if (watchFile === undefined || file === undefined || more.length > 0 || !file.linked) return false
    try {
      tailed.unwatch = watchFile(file.path, () => {
        this.#unwatch(tailed)
        tailed.lookAt = Number.NEGATIVE_INFINITY
        this.#schedule(LOOK_MS_MIN)
      })
      return true
    } catch (error) {
      events.emit('hints.failed', { path: file.path, error })
      return false
    }
  }

  #unwatch(tailed: Tailed): void {
    tailed.unwatch?.()
    tailed.unwatch = null
  }

  /** Takes up what a source has that is not known yet; returns the milliseconds after which it should be scanned again. */
  #scan(discovery: Discovery): number {
    let rescanMs = discovery.rescanMs
    for (const [key, found] of discovery.scan()) {
      if (this.tailed.has(key)) continue
      const listing = found.listing()
      try {
        listing.version()
      } catch (error) {
        const { source, path } = found.info
        this.#ports.events.emit('file.error', { source, path, operation: 'readdir', error })
        continue
      }
      // A link whose files are gone already, or not there yet.
      if (listing.candidates().length === 0) rescanMs = DIRECTORIES_MS
      else this.#add(discovery.source, key, found, listing)
    }
    return rescanMs
  }

  #add(source: SourceConfig, key: string, found: Discovered, listing: ReturnType<Discovered['listing']>): void {
    this.#forgotten.delete(key)
    this.#read(source, this.#lineage(found.info, listing, found.roots))
  }

  #lineage(info: LineageInfo, listing: Listing, roots: readonly string[]): Lineage {
    const { fs, clock, gunzip, events } = this.#ports
    let habit = this.#habits.get(info.source)
    if (habit === undefined) {
      habit = info.sourceType === 'containers' ? { ...KUBELET_HABIT } : { sizeBytes: null, filesMax: null }
      this.#habits.set(info.source, habit)
    }
    const { counters, descriptors } = this
    const deps = { fs: fs.reads, clock, gunzip, events, habit, counters, descriptors }
    return new Lineage(info, listing, roots, deps)
  }

  /** Lets every sink that takes the source read the lineage. */
  #read(source: SourceConfig, lineage: Lineage): void {
    const { fs, clock, gunzip, events, checkpoints } = this.#ports
    const { key } = lineage.info
    const readers = new Map<string, Reader>()
    const tailed: Tailed = {
      source,
      lineage,
      readers,
      lookAt: Number.NEGATIVE_INFINITY,
      wokenAt: this.#ports.clock.monotonic(),
      unwatch: null,
      ackedAtWake: 0,
      get hasUnread() {
        for (const reader of readers.values()) if (reader.current === null || reader.lagBytes > 0) return true
        return false
      },
      get hasMoved() {
        return ackedBytes(this) !== this.ackedAtWake
      },
    }
    const audit = this.#audits.get(source.name)
    for (const consumer of this.consumers) {
      const config = this.config.sinks.find((sink) => sink.name === consumer.sink.name) as SinkConfig
      if (config.sources !== null && !config.sources.includes(source.name)) continue
      const options = {
        sink: config.name,
        format: readsContainers(source) ? ('container' as const) : ('plain' as const),
        ...(audit !== undefined && { audit }),
        // What comes later is new from its first line on.
        startAt: this.scanned ? ('beginning' as const) : source.startAt,
        startAgeMax: source.startAgeMax,
        lineBytesMax: config.lineBytesMax,
        ledger: consumer.ledger,
        once: this.options.once,
        endsAtRestart: this.#enrichment?.needs.containers ?? false,
        decidedBefore: this.#enrichment !== null && checkpoints.metadata(config.name, key) !== undefined,
        wake: () => consumer.pump(),
      }
      const reader = new Reader(lineage, checkpoints.get(config.name, key), options, {
        fs: fs.reads,
        clock,
        gunzip,
        events,
      })
      readers.set(config.name, reader)
      this.#introduce(tailed, consumer, reader)
    }
    this.tailed.set(key, tailed)
  }

  /** Hands a reader to its consumer, with the metadata that was decided; else it waits for the decision. */
  #introduce(tailed: Tailed, consumer: Consumer, reader: Reader): void {
    const { info } = tailed.lineage
    if (this.#enrichment === null || info.podUid === '') {
      consumer.add(reader, pathMetadata(info, this.config.nodeName))
      return
    }
    const saved = this.#ports.checkpoints.metadata(consumer.sink.name, info.key)
    const isOfThisLife = saved !== undefined && (saved.restartCount < 0 || saved.restartCount === reader.restart)
    if (isOfThisLife) {
      consumer.add(reader, saved)
      this.#changedPods.add(info.podUid) // it may be out of date
    } else this.#undecided.set(reader, { tailed, consumer, since: this.#ports.clock.monotonic() })
  }

  /**
   * Decides with which metadata lines go out, where that is open or something changed, and makes it durable in one
   * commit. Returns when (monotonic ms) the wait of the next one ends.
   */
  #decide(now: number): number {
    const enrichment = this.#enrichment
    let next = Number.POSITIVE_INFINITY
    if (enrichment === null) return next
    const { metadataWait } = this.config.kubernetes
    for (const [reader, { tailed, consumer, since }] of this.#undecided) {
      const { info, files } = tailed.lineage
      // A container that has not said a word costs no decision.
      if (files.length > 0 && reader.lagBytes === 0) continue
      const isOver = now - since >= metadataWait
      let metadata = enrichment.metadata(info, reader.restart, isOver)
      if (metadata === null && !isOver) {
        next = Math.min(next, since + metadataWait)
        continue
      }
      if (metadata === null) {
        metadata = pathMetadata(info, this.config.nodeName, 'path')
        const { source, key: lineage } = info
        this.#ports.events.emit('metadata.missing', { source, lineage, waitedMs: now - since })
      }
      this.#undecided.delete(reader)
      consumer.add(reader, metadata, false)
    }
    this.#refresh()
    for (const consumer of this.consumers) void consumer.saveDecisions()
    return next
  }

  /** What a reader's next lines should go out with; null: as before. */
  #metadataFor(reader: Reader, before: Metadata): Metadata | null {
    const { restart } = reader
    const known = this.#enrichment?.metadata(reader.lineage.info, restart, true) ?? null
    // Of a pod that nobody remembers the next instance is another one all the same.
    const isOther = known === null && before.restartCount >= 0 && before.restartCount !== restart
    const after = isOther ? { ...before, restartCount: restart, containerId: '' } : (known ?? before)
    if (after.tenant === undefined || this.#mayName(after, after.tenant)) return after
    // Decided under another configuration, and nobody knows the pod any more.
    const { tenant, ...rest } = after
    return rest
  }

  #mayName({ namespace }: Metadata, tenant: string): boolean {
    const { honour, tenants } = this.config.kubernetes.annotations
    return honour && tenantsFor(namespace, tenants).includes(tenant)
  }

  /** What the reader's pod asks for; null where it has nothing to say: what was audited goes out as it is, whatever it happened in. */
  #askedBy(reader: Reader, metadata: Metadata): Directives | null {
    if (reader.lineage.info.sourceType === 'audit') return null
    let asked = this.#directives.get(metadata)
    if (asked === undefined) {
      const { namespace, container, directives = {} } = metadata
      asked = directivesOf(directives, container, tenantsFor(namespace, this.config.kubernetes.annotations.tenants))
      this.#directives.set(metadata, asked)
    }
    return asked
  }

  /** Which of its lines are one record, by its source or by its pod. */
  #multilineFor(reader: Reader, metadata: Metadata): MultilineConfig | null {
    const source = this.config.sources.find(({ name }) => name === reader.lineage.info.source)
    if (source?.type === 'files' && source.multiline !== undefined) return source.multiline
    return this.#askedBy(reader, metadata)?.multiline ?? null
  }

  #selectionFor(sink: Sink, reader: Reader, metadata: Metadata): Selection | null {
    const { source: name, key: lineage } = reader.lineage.info
    const source = this.config.sources.find((each) => each.name === name)
    const own = this.config.sinks.find((each) => each.name === sink.name)
    const asked = this.#askedBy(reader, metadata)
    for (const each of asked?.problems ?? []) this.#ports.events.emit('annotation.invalid', { lineage, ...each })
    const { exemptNamespaces } = this.config.kubernetes.annotations
    const isExempt = asked === null || exemptNamespaces.some((glob) => isLike(glob, metadata.namespace))
    return Selection.of([source?.select, own?.select], source?.redact ?? [], metadata, isExempt ? undefined : asked)
  }

  #refresh(): void {
    const changed = this.#changedPods
    if (changed.size === 0) return
    for (const { lineage, readers } of this.tailed.values()) {
      const { podUid } = lineage.info
      if (podUid === '' || !(changed.has(null) || changed.has(podUid))) continue
      for (const consumer of this.consumers) {
        const reader = readers.get(consumer.sink.name)
        if (reader !== undefined) consumer.refresh(reader)
      }
    }
    changed.clear()
  }

  get #hasUndecidedLines(): boolean {
    return [...this.#undecided.keys()].some((reader) => reader.lagBytes > 0)
  }

  /** What is known from the API server; null when it is not asked. */
  get kubernetes(): AgentStatus['kubernetes'] {
    if (this.#enrichment === null) return null
    const isUnknown = ({ readers }: Tailed) =>
      this.consumers.some((consumer) => {
        const reader = readers.get(consumer.sink.name)
        return reader !== undefined && consumer.metadataOf(reader)?.mark === 'path'
      })
    const problems = new Map<string, AnnotationProblem>()
    for (const consumer of this.consumers) {
      for (const { readers } of this.tailed.values()) {
        const reader = readers.get(consumer.sink.name)
        const metadata = reader && consumer.metadataOf(reader)
        if (metadata?.directives === undefined) continue
        for (const { annotation, problem } of this.#askedBy(reader as Reader, metadata)?.problems ?? []) {
          const { namespace, pod } = metadata
          problems.set(`${namespace}/${pod} ${annotation}`, { pod: `${namespace}/${pod}`, annotation, problem })
        }
      }
    }
    const annotations = { invalid: problems.size, first: [...problems.values()].slice(0, PROBLEMS_SHOWN) }
    const waiting = new Set([...this.#undecided.values()].map(({ tailed }) => tailed)).size
    return {
      ...this.#enrichment.status(),
      annotations,
      waiting,
      unknown: [...this.tailed.values()].filter(isUnknown).length,
    }
  }

  /** Lets go of lineages that are gone and read, and of files that are held for too long. */
  #sweep(now: number): void {
    this.#holdLimits.apply([...this.tailed.values()].map((each) => each.lineage))
    for (const [key, tailed] of this.tailed) {
      const { lineage, readers } = tailed
      if (!lineage.gone || [...readers.values()].some((reader) => reader.hasWork || reader.lagBytes > 0)) continue
      const removed = this.consumers.every((consumer) => {
        const reader = readers.get(consumer.sink.name)
        return reader === undefined || consumer.remove(reader)
      })
      if (!removed) continue
      for (const reader of readers.values()) this.#undecided.delete(reader)
      lineage.close()
      this.#unwatch(tailed)
      this.tailed.delete(key)
      this.#forgotten.set(key, now)
      this.#ports.events.emit('lineage.gone', { source: lineage.info.source, lineage: key })
    }
    const used = new Set([...this.tailed.values()].map(({ lineage }) => lineage.info.podUid))
    this.#enrichment?.sweep((podUid) => used.has(podUid))
    const all = now >= this.#unreadAt
    if (all) this.#unreadAt = now + UNREAD_MS
    for (const consumer of this.consumers) consumer.noteUnread(all)
    if (!this.#strayed) this.#noteStrays(now)
    for (const [key, since] of this.#forgotten) this.#forget(key, now - since)
  }

  /** Checkpoints without a lineage: its files were deleted while nobody looked, or are not there yet. */
  #noteStrays(now: number): void {
    this.#strayed = true
    for (const { sink, lineage } of this.#ports.checkpoints.entries()) {
      const isOurs = this.#sourceOf(lineage) !== undefined && this.config.sinks.some(({ name }) => name === sink)
      if (isOurs && !this.tailed.has(lineage)) this.#forgotten.set(lineage, now)
    }
  }

  #sourceOf(key: string): SourceConfig | undefined {
    return this.config.sources.find(({ name }) => key.startsWith(`${name}:`))
  }

  /** Tells what is lost of a lineage that vanished, or forgets it, when it is time. */
  #forget(key: string, goneMs: number): void {
    const { checkpoints } = this.#ports
    const positions = this.consumers.map(({ sink }) => checkpoints.get(sink.name, key))
    const lost = positions.find((position) => position !== undefined && hasUnread(position))
    const source = this.#sourceOf(key)
    const isThere = [...this.tailed.values()].some((each) => each.source === source)
    if (goneMs < (lost !== undefined && isThere ? GONE_MS : FORGET_MS)) return
    this.#forgotten.delete(key)
    if (lost !== undefined && source !== undefined) {
      const lineage = this.#lineage(infoFromKey(key, source), NO_LISTING, [])
      lineage.standIn(lost.path)
      this.#read(source, lineage)
    } else for (const { sink } of this.consumers) checkpoints.delete(sink.name, key)
  }
}

/** The sink that a configuration speaks of. `rowsAtOnce`: with the block that its lines are read into. */
export function createSink(
  config: SinkConfig,
  clusterName: string,
  ports: Pick<AgentPorts, 'clock' | 'random' | 'events' | 'deadLetters' | 'createHttpClient' | 'output'>,
  rowsAtOnce: RowsAtOnce | null = null,
): Sink {
  const { clock, random, events, deadLetters, createHttpClient, output } = ports
  const context = { clusterName }
  if (config.type === 'stdout') return new StdoutSink(config, { output, clock, events, context })
  if (config.type === 'elasticsearch') {
    return new ElasticsearchSink(config, { clock, random, events, deadLetters, createHttpClient, context })
  }
  return new LokiSink(config, { clock, random, events, deadLetters, createHttpClient, context, rowsAtOnce })
}

/** Bytes that the readers of a lineage have had acknowledged, together. */
function ackedBytes({ readers }: Pick<Tailed, 'readers'>): number {
  let bytes = 0
  for (const reader of readers.values()) bytes += reader.ackedBytes
  return bytes
}

/** For a lineage of which nothing is left. */
const NO_LISTING: Listing = { version: () => 0, candidates: () => [] }

/** Whether a checkpoint speaks of bytes, or holes, that are not delivered. */
function hasUnread({ offset, sizeSeen, gaps = [], later = [] }: Position): boolean {
  return sizeSeen > offset || gaps.length > 0 || later.length > 0
}

/** How long a lineage may go unlooked at: the quieter it is, the longer; while it rotates fast, a part of a rotation. */
function lookInterval(lineage: Lineage, now: number): number {
  const quiet = Math.min(LOOK_MS_MAX, Math.max(LOOK_MS, (now - lineage.activeAt) / 8))
  const { rotatedAt, rotationIntervalMs } = lineage
  if (now - rotatedAt > 10 * rotationIntervalMs) return quiet
  return Math.min(quiet, Math.max(LOOK_MS_MIN, rotationIntervalMs / 4))
}
