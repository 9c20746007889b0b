// Loki's limits (grafana/loki, docs: limits_config) and their defaults, which the receiver keeps as Loki does.

/** Loki's limits, named after what they bound. */
export interface LokiLimits {
  /** Off: every push belongs to the tenant `fake` and the header is not looked at. */
  authEnabled: boolean
  ageMsMax: number
  futureMsMax: number
  /** An entry older than its stream's highest timestamp by more than this is too far behind. */
  behindMsMax: number
  lineBytesMax: number
  metadataPairsMax: number
  metadataBytesMax: number
  labelsMax: number
  labelNameBytesMax: number
  labelValueBytesMax: number
  streamsMax: number
  ingestBytesPerSecond: number
  ingestBurstBytes: number
  streamBytesPerSecond: number
  streamBurstBytes: number
  /** Of the push as the distributor hands it on, uncompressed. */
  pushBytesMax: number
  /** Entries refused by a stream that are named one by one. */
  refusalsNamedMax: number
  /** Of several failed checks of the distributor: whether the last alone is told, or all of them, counted and joined. */
  checksTold: 'one' | 'all'
}

/** Loki's defaults, but for `authEnabled`, which Loki turns on. */
export const LOKI_LIMITS: Readonly<LokiLimits> = {
  authEnabled: false,
  ageMsMax: 168 * 3_600_000,
  futureMsMax: 10 * 60_000,
  behindMsMax: 3_600_000,
  lineBytesMax: 256 * 1024,
  metadataPairsMax: 128,
  metadataBytesMax: 64 * 1024,
  labelsMax: 15,
  labelNameBytesMax: 1024,
  labelValueBytesMax: 2048,
  streamsMax: 5000,
  ingestBytesPerSecond: 4 * 1024 * 1024,
  ingestBurstBytes: 6 * 1024 * 1024,
  streamBytesPerSecond: 3 * 1024 * 1024,
  streamBurstBytes: 15 * 1024 * 1024,
  pushBytesMax: 4 * 1024 * 1024,
  refusalsNamedMax: 10,
  checksTold: 'one',
}

/** For tests and demos that are not about rates: as fast as one likes, and any number of streams. */
export const UNLIMITED_RATES: Readonly<Partial<LokiLimits>> = {
  streamsMax: Number.POSITIVE_INFINITY,
  ingestBytesPerSecond: Number.POSITIVE_INFINITY,
  ingestBurstBytes: Number.POSITIVE_INFINITY,
  streamBytesPerSecond: Number.POSITIVE_INFINITY,
  streamBurstBytes: Number.POSITIVE_INFINITY,
}
