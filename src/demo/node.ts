// The demo's node: keeps its pods writing at a steady pace and lets happen to them what happens on a node: rotation,
// restarts, StatefulSet pods that are deleted and come back, Jobs that complete. One timer drives it all; a tick writes
// what is due since the last one.
import type { Writer } from './container-log.ts'
import { type Container, Kubelet, type Pod } from './kubelet.ts'
import { PODS, type PodSpec, podName } from './workload.ts'

const TICK_MS = 50
/** After a pause of the process what was due is written late, up to this much of it. */
const OWED_MS_MAX = 1000
const ROTATE_BYTES = 128 * 1024
const ROTATE_MS_MIN = 4000
/** A slow writer's file is rotated too, else little would happen. */
const ROTATE_MS_MAX = 15_000
const RESTART_EVERY_MS = 5000
const RECREATE_EVERY_MS = 16_000
/** Until a StatefulSet's pod is back. */
const RETURN_MS = 1500
const JOB_MS = 10_000
const JOB_EVERY_MS = 20_000
const JOB_NAMES = 20

export interface NodeCounts {
  rotations: number
  compressions: number
  restarts: number
  /** Pods of a StatefulSet, back under their names. */
  recreated: number
}

export interface NodeTotals {
  /** Messages, equal ones included. */
  lines: number
  /** Rows of the files: a long message has several. */
  rows: number
  bytes: number
}

export class DemoNode {
  /** Rejects when the node itself fails, e.g. because the disk is full. */
  readonly failed: Promise<never>
  readonly #kubelet: Kubelet
  #recreated = 0
  #jobs = 0
  readonly #jobNames: string[] = []
  #pods: Pod[] = []
  readonly #owed = new Map<Container, number>()
  readonly #linesPerShare: number
  #timer: NodeJS.Timeout | null = null
  #tickedAt = 0
  #restartAt = 0
  #recreateAt = 0
  #returning: { spec: PodSpec; at: number } | null = null
  #jobAt = 0
  #jobEndsAt = 0
  #turn = 0
  #fail: (error: unknown) => void

  constructor(root: string, linesPerSecond: number) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {}) // for whoever does not wait for it
    this.failed = promise
    this.#fail = reject
    this.#kubelet = new Kubelet(root, reject)
    const shares = PODS.flatMap((pod) => pod.containers).reduce((sum, { share }) => sum + share, 0)
    this.#linesPerShare = linesPerSecond / shares
  }

  get podCount(): number {
    return this.#pods.length
  }

  get containerCount(): number {
    return this.#containers().length
  }

  /** Who wrote how much, by name; goes on while the node runs. */
  get writers(): ReadonlyMap<string, Writer> {
    return this.#kubelet.writers
  }

  get counts(): NodeCounts {
    return { ...this.#kubelet.counts, recreated: this.#recreated }
  }

  get totals(): NodeTotals {
    const totals = { lines: 0, rows: 0, bytes: 0 }
    for (const { lastSequence, equalLines, rows, bytes } of this.writers.values()) {
      totals.lines += lastSequence + equalLines
      totals.rows += rows
      totals.bytes += bytes
    }
    return totals
  }

  /** Makes the pods and lets them write. */
  start(): void {
    const now = Date.now()
    for (const spec of PODS) this.#startPod(spec, now)
    this.#tickedAt = now
    this.#restartAt = now + RESTART_EVERY_MS / 4
    this.#recreateAt = now + RECREATE_EVERY_MS / 2
    this.#jobEndsAt = now + JOB_MS
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** Ends all writers, each with a whole line; nothing is written or moved after this resolves. */
  async stop(): Promise<void> {
    if (this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
    const now = Date.now()
    await this.#kubelet.settle(now)
    for (const container of this.#containers()) {
      container.log?.close(now, false)
      container.log = null
    }
  }

  #startPod(spec: PodSpec, now: number): void {
    this.#pods.push(this.#kubelet.startPod(spec, this.#nameOf(spec), now))
  }

  /** A Job has a new pod each time, but names come round, so that a demo left alone does not make streams without end. */
  #nameOf(spec: PodSpec): string {
    if (spec.kind !== 'Job') return podName(spec)
    const name = this.#jobNames[this.#jobs % JOB_NAMES] ?? podName(spec)
    this.#jobNames[this.#jobs % JOB_NAMES] = name
    return name
  }

  #tick(): void {
    try {
      const now = Date.now()
      const elapsedMs = Math.min(Math.max(0, now - this.#tickedAt), OWED_MS_MAX)
      this.#tickedAt = now
      this.#kubelet.tick(now)
      for (const container of this.#containers()) this.#write(container, elapsedMs, now)
      this.#rotate(now)
      if (now >= this.#restartAt) this.#restartOne(now)
      if (now >= this.#recreateAt) this.#recreateOne(now)
      this.#return(now)
      this.#runJobs(now)
    } catch (error) {
      this.#fail(error)
    }
  }

  #write(container: Container, elapsedMs: number, now: number): void {
    if (container.log === null) return
    let owed = (this.#owed.get(container) ?? 0) + (container.spec.share * this.#linesPerShare * elapsedMs) / 1000
    if (owed >= 1) owed -= container.log.write(Math.floor(owed), now)
    this.#owed.set(container, owed)
  }

  #rotate(now: number): void {
    for (const container of this.#containers()) {
      const ageMs = now - container.begunAt
      const bytes = container.log?.bytes ?? 0
      const isFirst = container.rotated.length === 0
      const isFull = bytes >= ROTATE_BYTES && (isFirst || ageMs >= ROTATE_MS_MIN)
      if (isFull || (bytes > 0 && ageMs >= ROTATE_MS_MAX)) this.#kubelet.rotate(container, now)
    }
  }

  #restartOne(now: number): void {
    const running = this.#containers().filter(({ log, pod }) => log !== null && pod.spec.kind !== 'Job')
    const container = running[(this.#turn++ * 5) % running.length]
    if (container !== undefined) this.#kubelet.restart(container, now)
    this.#restartAt = now + RESTART_EVERY_MS
  }

  #recreateOne(now: number): void {
    // Not while a container is between two lives: the end of its last line would never be known.
    const pod = this.#pods.find(
      ({ spec, containers }) => spec.kind === 'StatefulSet' && containers.every(({ log }) => log),
    )
    if (pod === undefined) return
    this.#recreateAt = now + RECREATE_EVERY_MS
    this.#recreated++
    this.#endPod(pod, now)
    this.#returning = { spec: pod.spec, at: now + RETURN_MS }
  }

  #return(now: number): void {
    if (this.#returning === null || now < this.#returning.at) return
    // At the end of the list, so that another one's turn comes next.
    this.#startPod(this.#returning.spec, now)
    this.#returning = null
  }

  #runJobs(now: number): void {
    const pod = this.#pods.find(({ spec }) => spec.kind === 'Job')
    if (pod !== undefined && now >= this.#jobEndsAt) {
      this.#jobs++
      this.#endPod(pod, now)
      this.#jobAt = now + JOB_EVERY_MS - JOB_MS
    } else if (pod === undefined && now >= this.#jobAt) {
      for (const spec of PODS) if (spec.kind === 'Job') this.#startPod(spec, now)
      this.#jobEndsAt = now + JOB_MS
    }
  }

  #endPod(pod: Pod, now: number): void {
    this.#kubelet.endPod(pod, now)
    this.#pods = this.#pods.filter((other) => other !== pod)
    for (const container of pod.containers) this.#owed.delete(container)
  }

  #containers(): Container[] {
    return this.#pods.flatMap((pod) => pod.containers)
  }
}
