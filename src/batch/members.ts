// Which readers the lanes of a sink have, and what their lines go out with. Invariant: metadata changes only at a fresh line,
// where nothing that was handed out can be handed out again, and between shipments of the lane. What was decided must be
// durable before a line goes out with it. Bound: a lane, a member and one object of metadata a reader, shared by equal ones.
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import { isSameMetadata, type Metadata } from '../core/metadata.ts'
import type { MultilineConfig } from '../parse/multiline.ts'
import type { Selection } from '../select/selection.ts'
import type { Sink } from '../sinks/sink.ts'
import type { Reader } from '../tail/reader.ts'
import type { HeldLines } from './held.ts'
import { Lane } from './lane.ts'
import type { Target } from './target.ts'

export interface MembersDeps {
  checkpoints: CheckpointStore
  /** What the reader's next lines should go out with; null: as before. Asked after each acknowledgement. */
  metadataFor?: (reader: Reader, before: Metadata) => Metadata | null
  /** Which of the reader's lines are one record while they go out with `metadata`; null: each is one. */
  multilineFor?: (reader: Reader, metadata: Metadata) => MultilineConfig | null
  /** Which of the reader's lines go out while they go out with `metadata`; null: all, as they are. */
  selectionFor?: (reader: Reader, metadata: Metadata) => Selection | null
}

export class Members {
  readonly lanes = new Map<string, Lane>()
  readonly #sink: Sink
  readonly #deps: MembersDeps
  readonly #held: HeldLines
  readonly #laneOf = new Map<Reader, Lane>()
  /** What each reader's lines go out with. */
  readonly #metadata = new Map<Reader, Metadata>()
  /** Readers whose metadata was decided and is not known to be durable. */
  readonly #undurable = new Set<Reader>()

  constructor(sink: Sink, held: HeldLines, deps: MembersDeps) {
    this.#sink = sink
    this.#held = held
    this.#deps = deps
  }

  get readers(): Iterable<Reader> {
    return this.#laneOf.keys()
  }

  laneOf(reader: Reader): Lane | undefined {
    return this.#laneOf.get(reader)
  }

  /** Takes a reader up; its lines go out with `metadata`. `isSaved`: that is on disk already, or a function of the path. */
  add(reader: Reader, metadata: Metadata, isSaved = true): void {
    this.#assign(reader, metadata, this.#sink.target(reader.lineage.info, metadata))
    if (!isSaved) this.#decide(reader, metadata)
  }

  /** What the reader's lines go out with now; undefined for a reader that was not added yet. */
  metadataOf(reader: Reader): Metadata | undefined {
    return this.#metadata.get(reader)
  }

  /** Looks whether the reader's lines should go out otherwise, and lets them if it can be now; else after an acknowledgement. */
  refresh(reader: Reader): void {
    const lane = this.#laneOf.get(reader)
    const before = this.#metadata.get(reader)
    if (lane === undefined || before === undefined) return
    const wanted = this.#deps.metadataFor?.(reader, before) ?? null
    if (wanted === null || before === wanted) return
    if (isSameMetadata(before, wanted)) {
      this.#metadata.set(reader, wanted) // one object for all
      return
    }
    if (lane.busy || !reader.isAtFreshLine) {
      reader.wantFreshLine()
      return
    }
    const target = this.#sink.target(reader.lineage.info, wanted)
    if (target.key !== lane.key) this.#leave(reader, lane)
    this.#assign(reader, wanted, target)
    // The place from which on it holds was saved before, with the last acknowledgement.
    this.#decide(reader, wanted)
  }

  #assign(reader: Reader, metadata: Metadata, target: Target): void {
    this.#metadata.set(reader, metadata)
    reader.multiline = this.#deps.multilineFor?.(reader, metadata) ?? null
    const present = this.#laneOf.get(reader)?.member(reader)
    if (present !== undefined) {
      present.target = target
      present.selection = this.#deps.selectionFor?.(reader, metadata) ?? null
      return
    }
    let lane = this.lanes.get(target.key)
    if (lane === undefined) {
      lane = new Lane(target.key)
      this.lanes.set(target.key, lane)
    }
    lane.add({ reader, target, selection: this.#deps.selectionFor?.(reader, metadata) ?? null })
    this.#laneOf.set(reader, lane)
  }

  #leave(reader: Reader, lane: Lane): void {
    lane.remove(reader)
    this.#laneOf.delete(reader)
    this.#held.forget(reader)
    if (lane.size > 0) return
    this.lanes.delete(lane.key)
    this.#sink.forget(lane.key)
  }

  #decide(reader: Reader, metadata: Metadata): void {
    this.#deps.checkpoints.setMetadata(this.#sink.name, reader.lineage.info.key, metadata)
    this.#undurable.add(reader)
  }

  /** Makes all that was decided durable, in one commit. Called once whenever some readers were added or refreshed. */
  async saveDecisions(): Promise<void> {
    if (this.#undurable.size === 0) return
    const decided = [...this.#undurable].map((reader) => ({ reader, metadata: this.#metadata.get(reader) }))
    // A disk that takes nothing does not stop delivery; the store says so.
    await this.#deps.checkpoints.flush().catch(() => {})
    for (const { reader, metadata } of decided) {
      if (this.#metadata.get(reader) === metadata) this.#undurable.delete(reader)
    }
  }

  /** Whether all that was decided on the readers' metadata is durable. */
  areDurable(readers: readonly Reader[]): boolean {
    return !readers.some((reader) => this.#undurable.has(reader))
  }

  /** Takes a reader out; false while a shipment of its lane is under way. */
  remove(reader: Reader): boolean {
    const lane = this.#laneOf.get(reader)
    if (lane === undefined) return true
    if (lane.busy) return false
    this.#leave(reader, lane)
    this.#metadata.delete(reader)
    this.#undurable.delete(reader)
    reader.close()
    return true
  }
}
