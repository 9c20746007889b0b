// The day of an event's time, which the functions for many events are told of: they read the rest of it themselves (events.wat).
import { parseTimestamp, timestamp } from '../../parse/timestamp.ts'
import { INT_MAX } from './events-layout.ts'

/** `2026-11-30T08:00:00.000000Z` */
const TIME_BYTES = 27
const DAY = 86_400

/** Seconds at which the day of the time at `at` began; null when it is none of the usual form. */
export function dayOf(memory: Buffer, at: number): number | null {
  if (memory[at + TIME_BYTES] !== 0x22 || memory[at + TIME_BYTES - 1] !== 0x5a) return null
  if (!parseTimestamp(memory, at, at + TIME_BYTES + 1) || timestamp.end !== at + TIME_BYTES) return null
  const day = Math.floor(timestamp.seconds / DAY) * DAY
  return day + DAY < INT_MAX ? day : null
}
