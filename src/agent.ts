// The map of the house: builds the rooms from a Config and the ports, and keeps them going: scan, look, pump, sweep. It
// is the only file that knows every room.
import { readFileSync } from 'node:fs'
import { Decisions } from './agent/decisions.ts'
import { Departures } from './agent/departures.ts'
import { Lineages } from './agent/lineages.ts'
import { LOOK_MS_MIN, Looks } from './agent/looks.ts'
import type { AgentOptions, AgentPorts } from './agent/ports.ts'
import { Ration } from './agent/ration.ts'
import { Rules } from './agent/rules.ts'
import { createSink } from './agent/sinks.ts'
import type { Tailed } from './agent/tailed.ts'
import { openWebhooks, stopWebhooks } from './agent/webhooks.ts'
import { openAudits } from './audit/open.ts'
import { DurableReads } from './audit/webhook/durable-reads.ts'
import { spoolSource } from './audit/webhook/spool.ts'
import type { Webhook } from './audit/webhook/webhook.ts'
import { Consumer, reservationBytes } from './batch/consumer.ts'
import type { Config, FileSourceConfig } from './config/config.ts'
import { ByteBudget } from './core/budget.ts'
import { CpuAllowance } from './core/cpu-allowance.ts'
import type { Metadata } from './core/metadata.ts'
import { patiently } from './core/patience.ts'
import type { AgentStatus } from './core/status.ts'
import { Directories } from './discover/directory.ts'
import { type Discovered, type Discovery, discoveriesFor, readsContainers } from './discover/discover.ts'
import { isSpool } from './discover/lineage-key.ts'
import { Enrichment } from './enrich/enrichment.ts'
import { agentStatus } from './observe/snapshot.ts'
import type { Hints } from './ports/hints.ts'
import { createRowsAtOnce } from './sinks/loki/rows.ts'
import { DESCRIPTORS_MIN, Descriptors, RESERVED_DESCRIPTORS } from './tail/descriptors.ts'
import type { TailedFile } from './tail/file.ts'
import { HoldLimits } from './tail/hold.ts'
import type { Lineage } from './tail/lineage.ts'
import type { Reader } from './tail/reader.ts'

const DIRECTORIES_MS = 1000
const SWEEP_MS = 5000
const BREATH_MS = 2
/** A file that nobody looks at may vanish unseen: looks wait for the CPU allowance for so long and no longer. */
const BREATH_MS_MAX = 50
const BLOCK_BYTES = 512 * 1024
const HINT_MS = 50
const FINISH_LOOK_MS = 20
/** How often the sizes of what lies unread are saved. */
const UNREAD_MS = 30_000

export class Agent {
  readonly config: Config
  readonly budget: ByteBudget
  readonly consumers: Consumer[] = []
  readonly tailed = new Map<string, Tailed>()
  readonly counters = { rotations: 0, truncations: 0, filesRefused: 0, fileErrors: 0 }
  readonly startedAt: number
  phase: AgentStatus['phase'] = 'running'
  scanned = false
  /** Rejects with the first broken invariant; the process must end then. */
  readonly broken: Promise<never>
  readonly #ports: AgentPorts
  readonly options: AgentOptions
  readonly #discoveries: readonly Discovery[]
  /** What there is to tail, in the order of the configuration: of a webhook its spool. */
  readonly #sources: readonly FileSourceConfig[]
  /** Of those that were not stopped. */
  readonly webhooks: readonly Webhook[]
  readonly #holdLimits: HoldLimits
  readonly descriptors: Descriptors
  readonly #allowance: CpuAllowance | null
  readonly #looks: Looks
  readonly #ration: Ration
  readonly #decisions: Decisions
  readonly #departures: Departures
  readonly #lineages: Lineages
  #hints: Hints | null = null
  #scanAt = Number.NEGATIVE_INFINITY
  #directoriesAt = Number.NEGATIVE_INFINITY
  #sweepAt = Number.NEGATIVE_INFINITY
  #unreadAt = Number.NEGATIVE_INFINITY
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
    const directories = new Directories(fs.reads, clock)
    // What is kept of each audit source, by its name; not there: it was stopped.
    const audits = openAudits(config, sinks, { readFile: ports.readFile ?? readFileSync, events })
    this.#sources = config.sources.map((source) =>
      source.type === 'auditWebhook' ? spoolSource(source, config.stateDir) : source,
    )
    const discoveries = discoveriesFor(this.#sources, fs.reads, directories, events)
    // An audit source that was stopped keeps its files to itself all the same.
    this.#discoveries = discoveries.filter(({ source }) => source.type !== 'audit' || audits.has(source.name))
    this.#holdLimits = new HoldLimits(clock, fs.reads)
    const reserved = sinks.reduce((sum, sink) => sum + sink.concurrency, RESERVED_DESCRIPTORS)
    const { descriptors = Number.POSITIVE_INFINITY } = ports
    this.descriptors = new Descriptors(Math.max(DESCRIPTORS_MIN, descriptors - reserved))
    const block = rowsAtOnce?.block ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
    const { checkpoints, cpuTime, watchFile } = ports
    const { cpu } = config.limits
    this.#allowance =
      cpu === null || cpuTime === undefined ? null : new CpuAllowance(cpu, () => clock.monotonic(), cpuTime)
    const access = config.kubernetes.metadata === 'off' ? null : (ports.apiAccess?.(config.kubernetes) ?? null)
    const enrichment = access === null ? null : new Enrichment(config, access, ports)
    const { tailed, consumers } = this
    const rules = new Rules(config, events)
    this.#decisions = new Decisions(config, enrichment, { clock, events, checkpoints, rules, tailed, consumers })
    const metadataFor = (reader: Reader, before: Metadata) => this.#decisions.metadataFor(reader, before)
    const shared = { clock, events, budget: this.budget, allowance: this.#allowance, checkpoints, block, metadataFor }
    const multilineFor = (reader: Reader, metadata: Metadata) => rules.multilineFor(reader, metadata)
    for (const sink of sinks) {
      const selectionFor = (reader: Reader, metadata: Metadata) => rules.selectionFor(sink.name, reader, metadata)
      consumers.push(new Consumer(sink, { ...shared, multilineFor, selectionFor }))
    }
    const readAudits = { audits, durable: new DurableReads(fs.reads) }
    const { counters } = this
    const isScanned = () => this.scanned
    const parts = { ports, consumers, tailed, decisions: this.#decisions, descriptors: this.descriptors, counters }
    this.#lineages = new Lineages(config, { ...readAudits, ...parts, once: options.once, isScanned })
    this.#ration = new Ration(tailed, consumers, this.descriptors, clock)
    const onChange = () => this.#schedule(LOOK_MS_MIN)
    const looking = { ration: this.#ration, allowance: this.#allowance, once: options.once, onChange }
    this.#looks = new Looks(tailed, { clock, events, watchFile, ...looking })
    this.#departures = new Departures(this.#sources, config.sinks, {
      events,
      checkpoints,
      consumers,
      tailed,
      onGone: (gone) => {
        for (const reader of gone.readers.values()) this.#decisions.forget(reader)
        this.#looks.forget(gone)
      },
      isWhole: (source) => this.#discoveries.find((each) => each.source === source)?.isWhole !== false,
      mourn: (source, key, path) => this.#lineages.standIn(source, key, path),
    })
    this.webhooks = openWebhooks(config, ports, { ...readAudits, onJournal: () => this.wake() })
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
    // With `once` the spool is delivered, and nothing new is taken.
    for (const webhook of this.webhooks) webhook.start(!this.options.once)
    this.#decisions.start(() => this.#schedule(LOOK_MS_MIN))
    this.#tick()
  }

  /** Resolves when all that is in the files now has been delivered (or `signal` aborts: false). */
  async drain(signal?: AbortSignal): Promise<boolean> {
    this.phase = 'draining'
    for (const consumer of this.consumers) consumer.hurry = true
    await Promise.all(this.webhooks.map(({ opened }) => opened))
    this.#scanAt = Number.NEGATIVE_INFINITY
    for (let quiet = 0; quiet < 2; ) {
      if (signal?.aborted || this.#stopped) return false
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#onTick = resolve
      signal?.addEventListener('abort', () => resolve(), { once: true })
      this.#looks.begin()
      this.#tick()
      await promise
      const idle =
        !this.#decisions.hasUndecidedLines &&
        !this.#ration.hasWaiting &&
        this.consumers.every((consumer) => consumer.idle) &&
        this.#haveReached(this.#lastFiles())
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
    // First of all nothing more is taken.
    await stopWebhooks(this.webhooks, signal)
    this.#lookAtAll(isLast)
    // Whatever rotates on from here on is the next start's: there may be no end to it.
    let ends = this.#lastFiles()
    for (const consumer of this.consumers) consumer.hurry = true
    let isAtEnd = !isLast
    for (;;) {
      this.#ration.share(this.#ports.clock.monotonic())
      this.#decisions.decide(this.#ports.clock.monotonic())
      for (const consumer of this.consumers) consumer.pump()
      const isIdle = this.consumers.every((consumer) => consumer.idle) && !this.#ration.hasWaiting
      const hasReached = isIdle && this.#haveReached(ends)
      if (hasReached && !this.#decisions.hasUndecidedLines) {
        if (isAtEnd) return this.scanned
        isAtEnd = true
        this.#lookAtAll(true)
        ends = this.#lastFiles()
        for (const { readers } of this.tailed.values()) for (const reader of readers.values()) reader.finish()
        continue
      }
      // Which file is the next one may be certain only at another look.
      if (isIdle && !hasReached) this.#lookAtAll(false)
      const isHopeless = this.consumers.some((consumer) => consumer.isFailing)
      const isAlone = this.consumers.every((consumer) => consumer.isFailing || consumer.idle)
      if (signal.aborted || (isHopeless && isAlone)) return false
      await this.#ports.clock.sleep(FINISH_LOOK_MS, signal)
    }
  }

  /** Looks at the files, and with `scan` for others. */
  #lookAtAll(scan: boolean): void {
    // Who was answered a moment ago may be an API server whose spool nobody has looked for yet.
    for (const discovery of this.#discoveries) {
      if (isSpool(discovery.source) || (scan && discovery.changed())) this.#scan(discovery)
    }
    for (const { lineage, readers } of this.tailed.values()) {
      // Of one that sleeps, a line without an end may be left.
      const isLeft = () => scan && [...readers.values()].some((reader) => reader.lagBytes > 0)
      if (!lineage.asleep) {
        // Where a file belongs is certain once it was met twice; the next look is not to find another one instead.
        lineage.look()
        lineage.look()
      } else if (lineage.stirs() || isLeft()) lineage.waitingSince ??= this.#ports.clock.monotonic()
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
    await patiently(Promise.all(this.consumers.map((consumer) => consumer.stop())), signal)
    await Promise.all(this.consumers.map((consumer) => consumer.sink.close()))
    await this.#hints?.close()
    await this.#decisions.stop()
    // Last, unless it was done before: for a changed configuration, the next agent listens at once.
    await stopWebhooks(this.webhooks, signal)
    for (const { lineage } of this.tailed.values()) if (!lineage.asleep) lineage.look()
    for (const consumer of this.consumers) consumer.noteUnread(true)
    this.left = this.consumers.flatMap(({ sink, lagBytes: bytes, laggingFiles: files }) =>
      bytes > 0 ? [{ sink: sink.name, bytes, files }] : [],
    )
    const drained =
      this.scanned && !this.#decisions.hasUndecidedLines && this.consumers.every((consumer) => consumer.lagBytes === 0)
    for (const tailed of this.tailed.values()) {
      this.#looks.unwatch(tailed)
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

  /** The last file that is known of each lineage. */
  #lastFiles(): Map<Lineage, TailedFile | undefined> {
    return new Map([...this.tailed.values()].map(({ lineage }) => [lineage, lineage.files.at(-1)]))
  }

  /** False while a reader waits for the end of a file before its lineage's in `ends`: it has nothing to do, but more to come. */
  #haveReached(ends: Map<Lineage, TailedFile | undefined>): boolean {
    for (const { lineage, readers } of this.tailed.values()) {
      const end = ends.get(lineage)
      if (end === undefined) continue
      for (const { current } of readers.values()) {
        if (current !== null && current.sequence < end.sequence) return false
      }
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
      if (!this.scanned) this.#tellEmpty()
      this.scanned = true
    }
    const next = this.#looks.go(now)
    if (next === null) {
      this.#schedule(Math.max(BREATH_MS, Math.min(BREATH_MS_MAX, this.#allowance?.take() ?? 0)))
      return
    }
    const due = Math.min(next, this.#decisions.decide(now), this.#ration.share(now))
    if (now >= this.#sweepAt) {
      this.#sweepAt = now + SWEEP_MS
      this.#sweep(now)
    }
    for (const consumer of this.consumers) consumer.pump()
    this.#schedule(this.#ration.isCut ? BREATH_MS : Math.max(LOOK_MS_MIN, due - now))
    const onTick = this.#onTick
    this.#onTick = null
    onTick?.()
  }

  /** A wrong path looks like a quiet log. */
  #tellEmpty(): void {
    const found = new Set([...this.tailed.values()].map(({ lineage }) => lineage.info.source))
    for (const { source } of this.#discoveries) {
      const { name, paths } = source
      if (!isSpool(source) && !found.has(name)) this.#ports.events.emit('source.empty', { source: name, paths })
    }
  }

  /** Takes up what a source has that is not known yet; returns the milliseconds after which it should be scanned again. */
  #scan(discovery: Discovery): number {
    // Before it is taken over, a spool may end with what was never answered.
    if (this.webhooks.some(({ config, isOpen }) => config.name === discovery.source.name && !isOpen))
      return DIRECTORIES_MS
    let rescanMs = Number.POSITIVE_INFINITY
    for (const [key, found] of discovery.scan()) {
      if (this.tailed.has(key)) continue
      const listing = found.listing()
      try {
        listing.version()
      } catch (error) {
        discovery.failed(found.info.path, 'readdir', error)
        continue
      }
      // A link whose files are gone already, or not there yet.
      if (listing.candidates().length === 0) rescanMs = DIRECTORIES_MS
      else this.#add(discovery.source, key, found, listing)
    }
    return Math.min(rescanMs, discovery.rescanMs)
  }

  #add(source: FileSourceConfig, key: string, found: Discovered, listing: ReturnType<Discovered['listing']>): void {
    this.#departures.returns(key)
    this.#lineages.takeUp(source, found, listing)
  }

  /** What is known from the API server; null when it is not asked. */
  get kubernetes(): AgentStatus['kubernetes'] {
    return this.#decisions.status()
  }

  /** Lets go of lineages that are gone and read, and of files that are held for too long. */
  #sweep(now: number): void {
    this.#holdLimits.apply([...this.tailed.values()].map((each) => each.lineage))
    this.#departures.letGo(now)
    this.#decisions.sweep()
    for (const consumer of this.consumers) consumer.noteUnread(false)
    if (now >= this.#unreadAt) {
      this.#unreadAt = now + UNREAD_MS
      for (const consumer of this.consumers) consumer.beginToNoteUnread()
    }
    this.#departures.forget(now)
  }
}
