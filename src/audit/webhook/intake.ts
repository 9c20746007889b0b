// From a batch's bytes to the spool: it is checked as a whole, divided, put under policy and redaction, and written. Batches
// are worked on one after the other, in slices, so that neither memory nor the event loop is held by several at once; they
// are waited for together by the journals. Invariant: a batch is in the spool whole or not at all.

import { release } from '../../core/memory.ts'
import type { Clock } from '../../ports/clock.ts'
import { AUDIT_ID, STAGE } from '../event.ts'
import { AuditFilter, type FilterOptions, LARGE_LINE_BYTES } from '../filter.ts'
import { AUDIT_LINE_BYTES_MAX } from '../lines.ts'
import { EventListScanner, type Item, PADDING_BYTES } from './event-list.ts'

/** The event loop goes on at least so often. */
const TURN_MS = 4
/** Scanned between two looks at the clock. */
const SCAN_BYTES = 256 * 1024
const SCRATCH_KEPT_BYTES_MAX = 256 * 1024
const KIND = '"kind":"Event",'
const VERSION = '"apiVersion":"audit.k8s.io/v1",'
const HEAD_BYTES_MAX = KIND.length + VERSION.length + 1
const LINE_BREAK = 0x0a

/** Lines, ready to be written, or why there are none. */
export type Taken = { lines: Buffer; events: number; dropped: number } | { problem: string }

export class Intake {
  readonly #filter: AuditFilter
  readonly #clock: Clock
  readonly #scanner = new EventListScanner()
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_KEPT_BYTES_MAX)
  #turn: Promise<unknown> = Promise.resolve()
  #turnAt = 0

  constructor(audit: Pick<FilterOptions, 'policy' | 'mask'>, clock: Clock) {
    this.#filter = new AuditFilter({ ...audit, lineBytesMax: AUDIT_LINE_BYTES_MAX })
    this.#clock = clock
  }

  /** Takes the body body[0, bytes) with PADDING_BYTES behind it, which is changed. What it gives is the caller's. */
  take(body: Buffer, bytes: number): Promise<Taken> {
    const taken = this.#turn.then(() => this.#take(body, bytes))
    this.#turn = taken.catch(() => {})
    return taken
  }

  async #take(body: Buffer, bytes: number): Promise<Taken> {
    this.#turnAt = this.#clock.monotonic()
    const scanner = this.#scanner
    scanner.begin(body, bytes)
    let state = scanner.run(SCAN_BYTES)
    while (state === 'more') {
      await this.#breathe()
      state = scanner.run(SCAN_BYTES)
    }
    if (state === 'invalid') return { problem: scanner.problem }
    const out = new Lines(bytes + scanner.items.length * (HEAD_BYTES_MAX + 1))
    let dropped = 0
    for (const [index, item] of scanner.items.entries()) {
      const bytes = this.#copy(body, item)
      let end = this.#filter.judge(this.#scratch, 0, bytes)
      const problem = flaw(this.#filter)
      if (problem !== null) {
        this.#rest(bytes)
        out.release()
        return { problem: `items[${index}] is no audit event: ${problem}` }
      }
      while (end === 'working') {
        await this.#breathe()
        end = this.#filter.step()
      }
      if (end === 'dropped') dropped++
      else out.add(this.#filter.buffer, this.#filter.start, this.#filter.end)
      this.#rest(bytes)
      if (this.#isTurnOver) await this.#breathe()
    }
    return { lines: out.taken, events: scanner.items.length, dropped }
  }

  /** Gives back what a large event needed. */
  #rest(bytes: number): void {
    if (bytes < LARGE_LINE_BYTES) return
    this.#filter.release()
    if (this.#scratch.length > SCRATCH_KEPT_BYTES_MAX) this.#scratch = given(this.#scratch, SCRATCH_KEPT_BYTES_MAX)
  }

  /** Makes the line of an item what it is in a log: with kind and apiVersion of its own. Returns its length. */
  #copy(body: Buffer, { start, end, hasKind, hasVersion }: Item): number {
    const bytesMax = end - start + HEAD_BYTES_MAX + PADDING_BYTES
    if (this.#scratch.length < bytesMax) this.#scratch = given(this.#scratch, bytesMax)
    const scratch = this.#scratch
    scratch[0] = 0x7b
    let at = 1
    if (!hasKind) at += scratch.write(KIND, at, 'latin1')
    if (!hasVersion) at += scratch.write(VERSION, at, 'latin1')
    return at + body.copy(scratch, at, start + 1, end)
  }

  get #isTurnOver(): boolean {
    return this.#clock.monotonic() - this.#turnAt >= TURN_MS
  }

  async #breathe(): Promise<void> {
    if (!this.#isTurnOver) return
    await this.#clock.yield()
    this.#turnAt = this.#clock.monotonic()
  }
}

/** Why an item is not what an API server sends; null: it is. */
function flaw({ isEvent, facts }: AuditFilter): string | null {
  if (!isEvent) return 'its kind or apiVersion is another one, or it has no members'
  if (!facts.has(AUDIT_ID)) return 'it has no auditID'
  if (!facts.has(STAGE)) return 'it has no stage'
  return facts.hasTime ? null : 'it has no stageTimestamp'
}

/** Memory of another length; the old one is given back at once. */
function given(old: Buffer, bytes: number): Buffer {
  release(old)
  return Buffer.allocUnsafeSlow(bytes)
}

class Lines {
  #buffer: Buffer
  #end = 0

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes)
  }

  get taken(): Buffer {
    return this.#buffer.subarray(0, this.#end)
  }

  add(line: Buffer, start: number, end: number): void {
    const needed = this.#end + end - start + 1
    if (needed > this.#buffer.length) {
      // What stands for a secret may be longer than the secret.
      this.#buffer = Buffer.from((this.#buffer.buffer as ArrayBuffer).transfer(Math.ceil(1.5 * needed)))
    }
    this.#end += line.copy(this.#buffer, this.#end, start, end)
    this.#buffer[this.#end++] = LINE_BREAK
  }

  release(): void {
    release(this.#buffer)
  }
}
