// With which metadata lines go out: what the API server knows of their pod, decided once per range and made durable before
// the first of them is sent. Owns the watches on the API server and the readers that wait for a decision. Invariant: a
// reader is in a lane only with metadata that was decided. Bound: a reader waits for `metadataWait` and no longer.
import type { Consumer } from '../batch/consumer.ts'
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import type { Config } from '../config/config.ts'
import type { Events } from '../core/events.ts'
import { type Metadata, pathMetadata } from '../core/metadata.ts'
import type { AgentStatus, AnnotationProblem } from '../core/status.ts'
import type { Enrichment } from '../enrich/enrichment.ts'
import type { Clock } from '../ports/clock.ts'
import type { Reader } from '../tail/reader.ts'
import type { Rules } from './rules.ts'
import type { Tailed } from './tailed.ts'

/** Of annotations that are not understood; the others are counted. */
const PROBLEMS_SHOWN = 20

export interface DecisionsDeps {
  clock: Clock
  events: Events
  checkpoints: CheckpointStore
  rules: Rules
  tailed: ReadonlyMap<string, Tailed>
  consumers: readonly Consumer[]
}

export class Decisions {
  readonly #config: Config
  /** Null: the API server is not asked, and paths say all there is. */
  readonly #enrichment: Enrichment | null
  readonly #deps: DecisionsDeps
  /** Readers whose lines wait until their pod is known, and since when (monotonic ms). */
  readonly #undecided = new Map<Reader, { tailed: Tailed; consumer: Consumer; since: number }>()
  /** Pods (their UIDs in paths) whose metadata changed since the last round; null among them: any may have. */
  readonly #changedPods = new Set<string | null>()

  constructor(config: Config, enrichment: Enrichment | null, deps: DecisionsDeps) {
    this.#config = config
    this.#enrichment = enrichment
    this.#deps = deps
  }

  /** Begins to ask the API server; `onChange` asks for a round soon. */
  start(onChange: () => void): void {
    this.#enrichment?.start((podUid) => {
      this.#changedPods.add(podUid)
      if (this.#changedPods.size === 1) onChange()
    })
  }

  async stop(): Promise<void> {
    await this.#enrichment?.stop()
  }

  get hasUndecidedLines(): boolean {
    return [...this.#undecided.keys()].some((reader) => reader.lagBytes > 0)
  }

  /** How a container's readers begin, as far as metadata is concerned. */
  readerOptions(sink: string, lineage: string): { endsAtRestart: boolean; decidedBefore: boolean } {
    return {
      endsAtRestart: this.#enrichment?.needs.containers ?? false,
      decidedBefore: this.#enrichment !== null && this.#deps.checkpoints.metadata(sink, lineage) !== undefined,
    }
  }

  /** Hands a reader to its consumer, with the metadata that was decided; else it waits for the decision. */
  introduce(tailed: Tailed, consumer: Consumer, reader: Reader): void {
    const { info } = tailed.lineage
    const { checkpoints, clock } = this.#deps
    if (this.#enrichment === null || info.podUid === '') {
      consumer.add(reader, pathMetadata(info, this.#config.nodeName))
      return
    }
    const saved = checkpoints.metadata(consumer.sink.name, info.key)
    const isOfThisLife = saved !== undefined && (saved.restartCount < 0 || saved.restartCount === reader.restart)
    if (isOfThisLife) {
      consumer.add(reader, saved)
      this.#changedPods.add(info.podUid) // it may be out of date
    } else this.#undecided.set(reader, { tailed, consumer, since: clock.monotonic() })
  }

  /** The reader is gone, decided or not. */
  forget(reader: Reader): void {
    this.#undecided.delete(reader)
  }

  /** Forgets pods that were deleted and of which no files are left. */
  sweep(): void {
    if (this.#enrichment === null) return
    const used = new Set([...this.#deps.tailed.values()].map(({ lineage }) => lineage.info.podUid))
    this.#enrichment.sweep((podUid) => used.has(podUid))
  }

  /**
   * Decides with which metadata lines go out, where that is open or something changed, and makes it durable in one
   * commit. Returns when (monotonic ms) the wait of the next one ends.
   */
  decide(now: number): number {
    const enrichment = this.#enrichment
    let next = Number.POSITIVE_INFINITY
    if (enrichment === null) return next
    const { metadataWait } = this.#config.kubernetes
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
        metadata = pathMetadata(info, this.#config.nodeName, 'path')
        const { source, key: lineage } = info
        this.#deps.events.emit('metadata.missing', { source, lineage, waitedMs: now - since })
      }
      this.#undecided.delete(reader)
      consumer.add(reader, metadata, false)
    }
    this.#refresh()
    for (const consumer of this.#deps.consumers) void consumer.saveDecisions()
    return next
  }

  /** What a reader's next lines should go out with; null: as before. */
  metadataFor(reader: Reader, before: Metadata): Metadata | null {
    const { restart } = reader
    const known = this.#enrichment?.metadata(reader.lineage.info, restart, true) ?? null
    // Of a pod that nobody remembers the next instance is another one all the same.
    const isOther = known === null && before.restartCount >= 0 && before.restartCount !== restart
    const after = isOther ? { ...before, restartCount: restart, containerId: '' } : (known ?? before)
    if (after.tenant === undefined || this.#deps.rules.mayName(after, after.tenant)) return after
    // Decided under another configuration, and nobody knows the pod any more.
    const { tenant, ...rest } = after
    return rest
  }

  #refresh(): void {
    const changed = this.#changedPods
    if (changed.size === 0) return
    for (const { lineage, readers } of this.#deps.tailed.values()) {
      const { podUid } = lineage.info
      if (podUid === '' || !(changed.has(null) || changed.has(podUid))) continue
      for (const consumer of this.#deps.consumers) {
        const reader = readers.get(consumer.sink.name)
        if (reader !== undefined) consumer.refresh(reader)
      }
    }
    changed.clear()
  }

  /** What is known from the API server; null when it is not asked. */
  status(): AgentStatus['kubernetes'] {
    if (this.#enrichment === null) return null
    const { consumers, tailed: all, rules } = this.#deps
    const isUnknown = ({ readers }: Tailed) =>
      consumers.some((consumer) => {
        const reader = readers.get(consumer.sink.name)
        return reader !== undefined && consumer.metadataOf(reader)?.mark === 'path'
      })
    const problems = new Map<string, AnnotationProblem>()
    for (const consumer of consumers) {
      for (const { readers } of all.values()) {
        const reader = readers.get(consumer.sink.name)
        const metadata = reader && consumer.metadataOf(reader)
        if (metadata?.directives === undefined) continue
        for (const { annotation, problem } of rules.askedBy(reader as Reader, metadata)?.problems ?? []) {
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
      unknown: [...all.values()].filter(isUnknown).length,
    }
  }
}
