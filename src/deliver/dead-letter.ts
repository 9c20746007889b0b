// The contract of the dead letters: records that a sink refused for their own sake, kept with its reason.

/** One refused record, one line of NDJSON. */
export interface DeadLetter {
  /** When it was refused, ISO 8601. */
  at: string
  sink: string
  lane: string
  /** A fixed word, such as `too_old`, `line_too_long`, `too_far_behind`. */
  reason: string
  /** The sink's own words, at most 1,024 characters. */
  message: string
  status: number
  path: string
  /** Offset of the record's first byte in the (decompressed) file. */
  offset: number
  /** Bytes of the file that the record stands for. */
  bytes: number
  /** Nanoseconds since the epoch, in decimal. */
  timestamp: string
  labels: Record<string, string>
  metadata: Record<string, string>
  /** The line; when its bytes are not UTF-8, `lineBase64` instead. */
  line?: string
  lineBase64?: string
}

export interface DeadLetters {
  /** Resolves when the letters are durable: only then may a watermark pass their records. Rejects when the disk does not take them. */
  write(letters: readonly DeadLetter[]): Promise<void>
  close(): Promise<void>
}
