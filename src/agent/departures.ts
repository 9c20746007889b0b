// What becomes of lineages that are gone: those that are read are let go, checkpoints without a lineage are forgotten in
// time, and what they say of bytes that nobody delivered is told as lost. Bound: a checkpoint is kept for an hour.
import type { Consumer } from '../batch/consumer.ts'
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import { hasUnread } from '../checkpoint/position.ts'
import type { FileSourceConfig, SinkConfig } from '../config/config.ts'
import type { Events } from '../core/events.ts'
import type { Tailed } from './tailed.ts'

/**
 * The checkpoint of a lineage that vanished is kept for so long: it may come back with its volume. What it says of bytes that
 * nobody has delivered is taken for lost sooner, when other files of its source are there and no directory failed.
 */
const FORGET_MS = 3_600_000
const GONE_MS = 60_000

export interface DeparturesDeps {
  events: Events
  checkpoints: CheckpointStore
  consumers: readonly Consumer[]
  /** Those that are gone are taken out of it. */
  tailed: Map<string, Tailed>
  /** Its lineage is closed: nobody needs the readers, nor a watch. */
  onGone: (tailed: Tailed) => void
  /** Whether all was looked at when lineages of the source were looked for last. */
  isWhole: (source: FileSourceConfig) => boolean
  /** Takes a lineage up of which nothing is left but a checkpoint, so that its readers tell what is lost. */
  mourn: (source: FileSourceConfig, key: string, path: string) => void
}

export class Departures {
  readonly #sources: readonly FileSourceConfig[]
  readonly #sinks: readonly SinkConfig[]
  readonly #deps: DeparturesDeps
  /** Lineages that are gone, by key, and since when (monotonic ms). */
  readonly #forgotten = new Map<string, number>()
  /** The checkpoints of lineages that were not found were looked for. */
  #strayed = false

  constructor(sources: readonly FileSourceConfig[], sinks: readonly SinkConfig[], deps: DeparturesDeps) {
    this.#sources = sources
    this.#sinks = sinks
    this.#deps = deps
  }

  /** It is there (again): its checkpoints are kept. */
  returns(key: string): void {
    this.#forgotten.delete(key)
  }

  /** Lets go of lineages that are gone and read. */
  letGo(now: number): void {
    const { consumers, events, onGone, tailed: all } = this.#deps
    for (const [key, tailed] of all) {
      const { lineage, readers } = tailed
      if (!lineage.gone || [...readers.values()].some((reader) => reader.hasWork || reader.lagBytes > 0)) continue
      const removed = consumers.every((consumer) => {
        const reader = readers.get(consumer.sink.name)
        return reader === undefined || consumer.remove(reader)
      })
      if (!removed) continue
      lineage.close()
      onGone(tailed)
      all.delete(key)
      this.#forgotten.set(key, now)
      events.emit('lineage.gone', { source: lineage.info.source, lineage: key })
    }
  }

  /** Forgets, or tells, what nothing is left of for long enough. */
  forget(now: number): void {
    if (!this.#strayed) this.#noteStrays(now)
    for (const [key, since] of this.#forgotten) this.#forget(key, now - since)
  }

  /** Checkpoints without a lineage: its files were deleted while nobody looked, or are not there yet. */
  #noteStrays(now: number): void {
    this.#strayed = true
    for (const { sink, lineage } of this.#deps.checkpoints.entries()) {
      const isOurs = this.#sourceOf(lineage) !== undefined && this.#sinks.some(({ name }) => name === sink)
      if (isOurs && !this.#deps.tailed.has(lineage)) this.#forgotten.set(lineage, now)
    }
  }

  #sourceOf(key: string): FileSourceConfig | undefined {
    return this.#sources.find(({ name }) => key.startsWith(`${name}:`))
  }

  /** Tells what is lost of a lineage that vanished, or forgets it, when it is time. */
  #forget(key: string, goneMs: number): void {
    const { checkpoints, consumers, tailed, mourn, isWhole } = this.#deps
    const positions = consumers.map(({ sink }) => checkpoints.get(sink.name, key))
    const lost = positions.find((position) => position !== undefined && hasUnread(position))
    const source = this.#sourceOf(key)
    const others = [...tailed.values()].some((each) => each.source === source)
    const isThere = others && source !== undefined && isWhole(source)
    if (goneMs < (lost !== undefined && isThere ? GONE_MS : FORGET_MS)) return
    this.#forgotten.delete(key)
    if (lost !== undefined && source !== undefined) mourn(source, key, lost.path)
    else for (const { sink } of consumers) checkpoints.delete(sink.name, key)
  }
}
