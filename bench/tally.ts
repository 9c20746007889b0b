// What was written and what arrived, per (pod, container, source stream), and whether the two are the same. The checksum
// is the sum of the CRC-32 of every joined message, so it does not depend on the order of arrival, and since every
// message carries its writer and its number, a line that is missing, repeated, cut or changed moves it.

import { crc32 } from 'node:zlib'

export interface Sums {
  entries: number
  messageBytes: number
  /** Sum of the messages' CRC-32, modulo 2^52. */
  checksum: number
}

/** A joined line may carry the time of its first or of its last piece: both sums are kept. */
export interface Written extends Sums {
  firstSeconds: number
  firstNanos: number
  lastSeconds: number
  lastNanos: number
}

export interface Received extends Sums {
  /** Sums of the timestamps' two halves, seconds modulo 65,536 each. */
  seconds: number
  nanos: number
  /** Entries with a time before that of the entry before them in the same stream. */
  outOfOrder: number
}

export type WrittenTally = Record<string, Written>
export type ReceivedTally = Record<string, Received>

export const tallyKey = (pod: string, container: string, stream: string) => `${pod}/${container}/${stream}`

export function newWritten(): Written {
  return {
    entries: 0,
    messageBytes: 0,
    checksum: 0,
    firstSeconds: 0,
    firstNanos: 0,
    lastSeconds: 0,
    lastNanos: 0,
  }
}

export function newReceived(): Received {
  return { entries: 0, messageBytes: 0, checksum: 0, seconds: 0, nanos: 0, outOfOrder: 0 }
}

/** Adds one message whose CRC-32 is known. */
export function addMessage(sums: Sums, crc: number, bytes: number): void {
  sums.entries += 1
  sums.messageBytes += bytes
  sums.checksum += crc
  if (sums.checksum >= 2 ** 52) sums.checksum -= 2 ** 52
}

/** CRC-32 of `buffer[start, end)`, carried on from `before`. */
export function crcOf(buffer: Buffer, start: number, end: number, before = 0): number {
  return crc32(buffer.subarray(start, end), before)
}

/** `{pod="a", stream="stdout"}` -> the key that `tallyKey` makes of these; `?` for a label that is not there. */
export function keyOfLabels(labels: string): string {
  const value = (name: string) => new RegExp(`[{, ]${name}="([^"]*)"`).exec(labels)?.[1] ?? '?'
  return tallyKey(value('pod'), value('container'), value('stream'))
}

export function totalEntries(tally: Record<string, Sums>): number {
  let entries = 0
  for (const sums of Object.values(tally)) entries += sums.entries
  return entries
}

/** `received` is keyed by label sets. Returns one sentence per difference; none means exact. */
export function differences(written: WrittenTally, received: ReceivedTally): string[] {
  const merged: ReceivedTally = {}
  for (const [labels, sums] of Object.entries(received)) {
    const into = (merged[keyOfLabels(labels)] ??= newReceived())
    for (const name of Object.keys(into) as (keyof Received)[]) into[name] += sums[name]
    into.checksum %= 2 ** 52
  }
  const found: string[] = []
  for (const key of new Set([...Object.keys(written), ...Object.keys(merged)])) {
    const want = written[key] ?? newWritten()
    const have = merged[key] ?? newReceived()
    if (want.entries !== have.entries) found.push(`${key}: ${have.entries} entries of ${want.entries}`)
    else if (want.messageBytes !== have.messageBytes) {
      found.push(`${key}: ${have.messageBytes} message bytes of ${want.messageBytes}`)
    } else if (want.checksum !== have.checksum) found.push(`${key}: the checksum of the messages differs`)
    else if (!sameTimes(want, have)) found.push(`${key}: the sum of the timestamps differs`)
    if (have.outOfOrder > 0) found.push(`${key}: ${have.outOfOrder} entries out of order`)
  }
  return found
}

function sameTimes(want: Written, have: Received): boolean {
  return (
    (want.firstSeconds === have.seconds && want.firstNanos === have.nanos) ||
    (want.lastSeconds === have.seconds && want.lastNanos === have.nanos)
  )
}
