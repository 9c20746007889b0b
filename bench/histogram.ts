// Latencies in buckets of 0.1 ms up to 60 s: exact counts, a fixed size, percentiles to the upper edge of a bucket.

const BUCKET_MICROS = 100
const BUCKETS = 600_000

export interface Latency {
  count: number
  /** Milliseconds. */
  p50: number
  p90: number
  p99: number
  max: number
}

export class Histogram {
  #buckets = new Uint32Array(BUCKETS)
  #count = 0
  #maxMicros = 0

  add(micros: number): void {
    this.#buckets[Math.max(0, Math.min(BUCKETS - 1, Math.floor(micros / BUCKET_MICROS)))]! += 1
    this.#count += 1
    if (micros > this.#maxMicros) this.#maxMicros = micros
  }

  summary(): Latency {
    const at = (share: number) => {
      let rest = Math.ceil(this.#count * share)
      let bucket = 0
      while (bucket < BUCKETS - 1 && (rest -= this.#buckets[bucket]!) > 0) bucket++
      return ((bucket + 1) * BUCKET_MICROS) / 1000
    }
    if (this.#count === 0) return { count: 0, p50: NaN, p90: NaN, p99: NaN, max: NaN }
    return { count: this.#count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: this.#maxMicros / 1000 }
  }
}
