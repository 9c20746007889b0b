// Microseconds of the machine's monotonic clock, the same in every process of this machine, so that a time written into
// a line by one process can be compared with a time taken by another.

const OFFSET_MICROS = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000

export function nowMicros(): number {
  return Math.round(OFFSET_MICROS + performance.now() * 1000)
}
