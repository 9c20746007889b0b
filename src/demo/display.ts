// What the demo shows while it runs. It looks twice a second, computes rates, tells the account what should have arrived
// by now, and draws: a block on a terminal, else a line every few seconds.
import type { AgentStatus } from '../core/status.ts'
import { type Account, Overdue } from './account.ts'
import type { DemoNode } from './node.ts'
import { type Paint, Screen } from './screen.ts'
import { blockLines, headerLines, plainLine, type Stage, type View } from './summary.ts'

const FRAME_MS = 500
/** Without a terminal there is a line after so many frames. */
const FRAMES_PER_LINE = 10
/** Rates are those of so many frames. */
const RATE_FRAMES = 6
/** A line that has not arrived so long after it was written counts as missing. */
const OVERDUE_MS = 10_000

export interface DisplayIo {
  write: (text: string) => void
  columns: () => number
  /** Whether a block can be drawn over itself. */
  live: boolean
  paint: Paint
}

export interface Watched {
  node: DemoNode
  status: () => AgentStatus
  /** Null when nobody can verify. */
  account: Account | null
  /** Lines in the agent's log. */
  warnings: () => number
}

export class Display {
  draining = false
  readonly #watched: Watched
  readonly #io: DisplayIo
  readonly #header: readonly string[]
  readonly #screen: Screen
  readonly #overdue = new Overdue(OVERDUE_MS)
  readonly #startedAt = performance.now()
  #samples: { at: number; lines: number; rows: number }[] = []
  #frames = 0
  #timer: NodeJS.Timeout | undefined

  constructor(watched: Watched, stage: Stage, io: DisplayIo) {
    this.#watched = watched
    this.#io = io
    this.#header = headerLines(stage, io.paint)
    this.#screen = new Screen(io)
  }

  start(): void {
    if (!this.#io.live) this.#io.write(`${this.#header.join('\n')}\n`)
    this.#frame()
    this.#timer = setInterval(() => this.#frame(), FRAME_MS)
  }

  /** Draws the last frame. */
  end(): void {
    this.stop()
    if (this.#io.live) this.#frame()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** How all stands now. `final`: all that was written must have arrived. */
  view(final: boolean): View {
    const { node, status, account, warnings } = this.#watched
    const now = status()
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    const seconds = first === undefined || last === undefined ? 0 : (last.at - first.at) / 1000
    const rate = (unit: 'lines' | 'rows') => (seconds > 0 ? (last![unit] - first![unit]) / seconds : 0)
    return {
      elapsedMs: performance.now() - this.#startedAt,
      draining: this.draining,
      pods: node.podCount,
      containers: node.containerCount,
      totals: node.totals,
      counts: node.counts,
      linesPerSecond: rate('lines'),
      rowsAckedPerSecond: rate('rows'),
      status: now,
      report: account?.report(final) ?? null,
      warnings: warnings(),
    }
  }

  #frame(): void {
    const { node, status, account } = this.#watched
    const at = performance.now()
    const written = this.#overdue.next(node.writers, at)
    if (written !== null) account?.expect(written)
    this.#samples.push({ at, lines: node.totals.lines, rows: status().sinks[0]?.acked.lines ?? 0 })
    this.#samples = this.#samples.slice(-RATE_FRAMES - 1)
    const isLine = this.#frames++ % FRAMES_PER_LINE === 0
    if (this.#io.live) this.#screen.draw(blockLines(this.view(false), this.#io.paint), this.#header)
    else if (isLine && this.#frames > 1) this.#io.write(`${plainLine(this.view(false))}\n`)
  }
}
