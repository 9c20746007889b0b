// What a checkpoint holds: how far one sink is with one lineage. Everything before it is acknowledged (or skipped,
// dropped, dead-lettered with its letter on disk); everything after it is not. It is enough to find the place again
// after renames, compression and a restart, and to make the same entries again from there on.

export interface Position {
  /** Last known path of the file. A hint for people and messages, never an identity. */
  path: string
  dev: number
  ino: number
  /** Hex SHA-256 (first 32 digits) over the first `headBytes` of the decompressed content; '' for an empty file. */
  head: string
  headBytes: number
  /** Acked watermark in decompressed bytes. */
  offset: number
  /** Hex SHA-256 (first 32 digits) of the last min(1024, offset) bytes before `offset`: the second witness. */
  witness: string
  /** Size when last seen, in decompressed bytes: the end of the range that is lost should the file vanish. */
  sizeSeen: number
  /** State of the time rule at `offset` (parse/timeline.ts), as its `save` wrote it. */
  times: number[]
  /**
   * Times of arrival given to ranges after `offset` whose lines have none of their own: how many files after this one,
   * from, to, seconds, nanos, repeated.
   */
  stamps: number[]
  /** Lines with a time before this are skipped (startAgeMax when the lineage was first met); absent: none. */
  skipBeforeSeconds?: number
}
