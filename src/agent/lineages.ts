// What is made of what discovery finds: a lineage, a reader of it for each sink that takes its source, and an entry among what
// is tailed. Of a spool only what is durable is read. Bound: a habit of rotation a source; all else belongs to the lineage.
import type { AuditSource } from '../audit/open.ts'
import type { DurableReads } from '../audit/webhook/durable-reads.ts'
import type { Consumer } from '../batch/consumer.ts'
import type { Config, FileSourceConfig, SinkConfig } from '../config/config.ts'
import { takes } from '../config/sources.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import { type Discovered, readsContainers } from '../discover/discover.ts'
import { infoFromKey, isSpool } from '../discover/lineage-key.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Listing } from '../tail/candidates.ts'
import type { Descriptors } from '../tail/descriptors.ts'
import { Lineage, type LineageDeps } from '../tail/lineage.ts'
import { Reader } from '../tail/reader.ts'
import { KUBELET_HABIT, type RotationHabit } from '../tail/rotation.ts'
import type { Decisions } from './decisions.ts'
import type { AgentPorts } from './ports.ts'
import { Tailed } from './tailed.ts'

/** What is in a spool went through policy and redaction when it came in. */
const SPOOLED = { policy: null, mask: null, isSpool: true }

/** For a lineage of which nothing is left. */
const NO_LISTING: Listing = { version: () => 0, candidates: () => [] }

export interface LineagesDeps {
  ports: AgentPorts
  /** What is kept of each audit source, by its name; not there: it was stopped. */
  audits: ReadonlyMap<string, AuditSource>
  durable: DurableReads
  consumers: readonly Consumer[]
  tailed: Map<string, Tailed>
  decisions: Decisions
  descriptors: Descriptors
  counters: LineageDeps['counters']
  once: boolean
  /** What comes after the first scan is new from its first line on. */
  isScanned: () => boolean
}

export class Lineages {
  readonly #config: Config
  readonly #deps: LineagesDeps
  /** By source. */
  readonly #habits = new Map<string, RotationHabit>()

  constructor(config: Config, deps: LineagesDeps) {
    this.#config = config
    this.#deps = deps
  }

  /** Reads what discovery found, with the files of `listing`. */
  takeUp(source: FileSourceConfig, found: Discovered, listing: Listing): void {
    this.#read(source, this.#make(found.info, listing, found.roots))
  }

  /** Stands in for a lineage of which nothing is left but its checkpoint: what was lost of it is told. */
  standIn(source: FileSourceConfig, key: string, path: string): void {
    const lineage = this.#make(infoFromKey(key, source), NO_LISTING, [])
    lineage.standIn(path)
    this.#read(source, lineage)
  }

  #make(info: LineageInfo, listing: Listing, roots: readonly string[]): Lineage {
    const { clock, gunzip, events } = this.#deps.ports
    let habit = this.#habits.get(info.source)
    if (habit === undefined) {
      habit = info.sourceType === 'containers' ? { ...KUBELET_HABIT } : { sizeBytes: null, filesMax: null }
      if (info.apiServer !== undefined) habit.sparesUnread = true
      this.#habits.set(info.source, habit)
    }
    const { counters, descriptors } = this.#deps
    const deps = { fs: this.#readsOf(info), clock, gunzip, events, habit, counters, descriptors }
    return new Lineage(info, listing, roots, deps)
  }

  /** Of a spool, what is durable. */
  #readsOf({ apiServer }: LineageInfo): ReadFileSystem {
    return apiServer === undefined ? this.#deps.ports.fs.reads : this.#deps.durable
  }

  /** Lets every sink that takes the source read the lineage. */
  #read(source: FileSourceConfig, lineage: Lineage): void {
    const { consumers, decisions, once } = this.#deps
    const { clock, gunzip, events, checkpoints } = this.#deps.ports
    const { key } = lineage.info
    const tailed = new Tailed(source, lineage, clock.monotonic())
    const opened = this.#deps.audits.get(source.name)
    const audit = opened !== undefined && isSpool(source) ? SPOOLED : opened
    for (const consumer of consumers) {
      const config = this.#config.sinks.find((sink) => sink.name === consumer.sink.name) as SinkConfig
      if (!takes(config, source.name)) continue
      const options = {
        sink: config.name,
        format: readsContainers(source) ? ('container' as const) : ('plain' as const),
        ...(audit !== undefined && { audit: { ...audit, shape: consumer.sink.shapeEvent } }),
        // What comes later is new from its first line on.
        startAt: this.#deps.isScanned() ? ('beginning' as const) : source.startAt,
        startAgeMax: source.startAgeMax,
        lineBytesMax: config.lineBytesMax,
        ledger: consumer.ledger,
        once,
        ...decisions.readerOptions(config.name, key),
        wake: () => consumer.pump(),
      }
      const reader = new Reader(lineage, checkpoints.get(config.name, key), options, {
        fs: this.#readsOf(lineage.info),
        clock,
        gunzip,
        events,
      })
      tailed.readers.set(config.name, reader)
      decisions.introduce(tailed, consumer, reader)
    }
    this.#deps.tailed.set(key, tailed)
  }
}
