// Virtual time, and the one event loop of a simulated world. Two kinds of things are due at a time: timers (the agent's,
// the network's) and acts of others on the node, which the loop may also let happen early, in the middle of what the
// agent does: the kubelet does not wait between two system calls of ours. Invariant: between two timers everything that
// waits for no time has run; nothing here asks the machine for the time.
import type { Cancel, Clock } from '../../src/ports/clock.ts'

const START_MS = Date.UTC(2026, 10, 21, 8)
/** More turns than this without any time passing is a busy loop, not work. */
const TURNS_MAX = 100_000
/** An act may come so much before its time. */
const EARLY_MS_MAX = 30

interface Due {
  atMs: number
  order: number
  run: (() => void) | null
}

export class SimClock implements Clock {
  #monotonicMs = 0
  #steppedMs = 0
  readonly #timers = new Queue()
  readonly #acts = new Queue()
  #order = 0
  #yielding = 0

  now(): number {
    return this.trueNow() + this.#steppedMs
  }

  /** The time elsewhere, where nobody steps the clock. */
  trueNow(): number {
    return Math.floor(this.#monotonicMs + START_MS)
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, run: () => void): Cancel {
    return this.#add(this.#timers, Math.max(1, delayMs), run)
  }

  /** Something that others do on the node. */
  act(delayMs: number, run: () => void): Cancel {
    return this.#add(this.#acts, delayMs, run)
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = () => {
        cancel()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.after(delayMs, done)
      signal?.addEventListener('abort', done, { once: true })
    })
  }

  async yield(): Promise<void> {
    this.#yielding++
    await turn()
    this.#yielding--
  }

  /** Somebody sets the wall clock, forwards or (negative) backwards. */
  step(byMs: number): void {
    this.#steppedMs += byMs
  }

  /** Time goes by inside of what runs now: a system call, a computation. */
  pass(ms: number): void {
    this.#monotonicMs += ms
  }

  /** Lets others do now what they would have done next; false when they had nothing to do. */
  actEarly(): boolean {
    const next = this.#acts.first
    if (next === null || next.atMs > this.#monotonicMs + EARLY_MS_MAX) return false
    this.#acts.take()?.run?.()
    return true
  }

  /** Runs what is due next, and everything that follows from it. False when nothing is due any more. */
  async next(): Promise<boolean> {
    const timer = this.#timers.first
    const act = this.#acts.first
    if (timer === null && act === null) return false
    const isAct = timer === null || (act !== null && (act.atMs - timer.atMs || act.order - timer.order) < 0)
    const due = (isAct ? this.#acts : this.#timers).take() as Due
    this.#monotonicMs = Math.max(this.#monotonicMs, due.atMs)
    due.run?.()
    await this.settle()
    return true
  }

  /** Lets everything run that waits for no time. */
  async settle(): Promise<void> {
    let turns = 0
    do {
      await turn()
      if (++turns > TURNS_MAX) throw new Error(`still busy after ${turns} turns without time passing`)
    } while (this.#yielding > 0)
  }

  #add(queue: Queue, delayMs: number, run: () => void): Cancel {
    const due: Due = { atMs: this.#monotonicMs + delayMs, order: this.#order++, run }
    queue.add(due)
    return () => {
      due.run = null
    }
  }
}

/** A heap by time, then by the order of adding. What was cancelled is passed over. */
class Queue {
  readonly #heap: Due[] = []

  get first(): Due | null {
    while (this.#heap.length > 0 && this.#heap[0]?.run === null) this.#pop()
    return this.#heap[0] ?? null
  }

  take(): Due | null {
    return this.first === null ? null : this.#pop()
  }

  add(due: Due): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(due)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (isBefore(heap[parent] as Due, due)) break
      heap[at] = heap[parent] as Due
      at = parent
    }
    heap[at] = due
  }

  #pop(): Due {
    const heap = this.#heap
    const top = heap[0] as Due
    const last = heap.pop() as Due
    if (heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Due, heap[child] as Due)) child++
      if (isBefore(last, heap[child] as Due)) break
      heap[at] = heap[child] as Due
      at = child
    }
    heap[at] = last
    return top
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
