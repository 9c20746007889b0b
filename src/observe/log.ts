// The agent's own log: JSON lines on stderr, one per thing that happened, written before the call returns, so that a
// crash or an exit loses none. And the brake on it: a node's log agent reads its own log too, so what repeats is written
// once a minute with a count. Bound: `keysMax` subjects are told apart; those beyond it share one line per event.
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Cancel, Clock } from '../ports/clock.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export type Log = Logger

/**
 * Opens the log. A line is `{"level":"warn","time":"…Z","event":"…",…,"msg":"…"}`.
 *
 * @param options `destination` takes whole lines; without it they go to file descriptor 2, synchronously: a reader of
 *   stderr that stalls holds the agent up, a reader that is gone (EPIPE) silences the log and nothing else.
 */
export function createLog(options: { level: LogLevel; destination?: DestinationStream }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  )
}

/** Writes a line; `suppressed` is the number of calls since the last line of this key that wrote none. */
export type WriteLine = (suppressed: number) => void

export interface Throttle {
  /**
   * Calls `write(0)` at once when nothing was said of this event and subject for a period; otherwise only the latest
   * `write` is kept, and called once when the period ends. The lines with 0 plus the sum of `suppressed` is the number
   * of calls.
   */
  say(event: string, subject: string, write: WriteLine): void
  /** Writes what is kept and stops the timers; afterwards everything is written at once. */
  close(): void
}

interface Period {
  suppressed: number
  latest: WriteLine
  cancel: Cancel
}

/** A brake for repeating lines; one timer per key that was heard of in the last period, none when all is quiet. */
export function throttle(clock: Clock, options: { periodMs?: number; keysMax?: number } = {}): Throttle {
  const { periodMs = 60_000, keysMax = 256 } = options
  const periods = new Map<string, Period>()
  let closed = false

  const end = (key: string, period: Period) => {
    if (period.suppressed === 0) {
      periods.delete(key)
      return
    }
    const { latest, suppressed } = period
    period.suppressed = 0
    period.cancel = clock.after(periodMs, () => end(key, period))
    latest(suppressed)
  }

  return {
    say(event, subject, write) {
      if (closed) return write(0)
      let key = `${event} ${subject}`
      if (periods.size >= keysMax && !periods.has(key)) key = `${event} and others`
      const known = periods.get(key)
      if (known !== undefined) {
        known.suppressed++
        known.latest = write
        return
      }
      const period: Period = { suppressed: 0, latest: write, cancel: () => {} }
      period.cancel = clock.after(periodMs, () => end(key, period))
      periods.set(key, period)
      write(0)
    },
    close() {
      closed = true
      for (const period of periods.values()) {
        period.cancel()
        if (period.suppressed > 0) period.latest(period.suppressed)
      }
      periods.clear()
    },
  }
}
