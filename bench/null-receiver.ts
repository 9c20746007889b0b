// A Loki that keeps nothing: a process of its own that answers every push with 204 and counts. With `--decode` it also
// takes each push apart, after it was answered: entries, checksum and order per label set, and for rows of the paced
// writer the time from the write to the end of the answer. Speaks with its parent over IPC only; ends with it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { uncompressSync } from 'snappy'
import { nowMicros } from './clock.ts'
import { Histogram, type Latency } from './histogram.ts'
import { walkPush } from './push-walk.ts'
import { addMessage, crcOf, newReceived, type Received, type ReceivedTally } from './tally.ts'
import { WRITE_TIME_AT, WRITE_TIME_DIGITS, WRITE_TIME_MARK } from './writer-line.ts'

export interface ReceiverReport {
  requests: number
  bodyBytes: number
  /** Over all pushes, before compression; 0 without --decode, as all that follow. */
  pushBytes: number
  entries: number
  streamsPushed: number
  metadata: number
  tally: ReceivedTally
  /** Requests that were answered, and entries that were written, inside the window. */
  windowRequests: number
  windowSeconds: number
  latency: Latency
}

export type ReceiverQuestion =
  | { ask: 'reset' }
  /** From now on entries count for latency, until `windowEnd`. */
  | { ask: 'windowStart' }
  | { ask: 'windowEnd' }
  | { ask: 'count' }
  | { ask: 'report' }

const decode = process.argv.includes('--decode')

class Counts {
  requests = 0
  bodyBytes = 0
  pushBytes = 0
  entries = 0
  streamsPushed = 0
  metadata = 0
  tally = new Map<string, Received & { lastSeconds: number; lastNanos: number }>()
  windowFrom = Infinity
  windowTo = Infinity
  windowRequests = 0
  histogram = new Histogram()
}

let counts = new Counts()

function take(body: Buffer, ackMicros: number): void {
  counts.requests += 1
  counts.bodyBytes += body.length
  if (ackMicros >= counts.windowFrom && ackMicros < counts.windowTo) counts.windowRequests += 1
  if (counts.requests === 1) process.send?.({ first: true })
  if (decode) takeApart(uncompressSync(body) as Buffer, ackMicros)
}

function takeApart(push: Buffer, ackMicros: number): void {
  counts.pushBytes += push.length
  let sums: (Received & { lastSeconds: number; lastNanos: number }) | undefined
  walkPush(push, {
    stream(labels) {
      counts.streamsPushed += 1
      sums = counts.tally.get(labels)
      if (sums === undefined) {
        sums = { ...newReceived(), lastSeconds: 0, lastNanos: 0 }
        counts.tally.set(labels, sums)
      }
    },
    entry(buffer, start, end, seconds, nanos, metadata) {
      counts.entries += 1
      counts.metadata += metadata
      const into = sums!
      addMessage(into, crcOf(buffer, start, end), end - start)
      into.seconds += seconds % 65_536
      into.nanos += nanos
      if (seconds < into.lastSeconds || (seconds === into.lastSeconds && nanos < into.lastNanos)) into.outOfOrder += 1
      into.lastSeconds = seconds
      into.lastNanos = nanos
      const written = writeTime(buffer, start, end)
      if (written >= counts.windowFrom && written < counts.windowTo) counts.histogram.add(ackMicros - written)
    },
  })
}

/** The time at which the paced writer wrote the line, in microseconds; NaN if it is not one of its lines. */
function writeTime(buffer: Buffer, start: number, end: number): number {
  const at = start + WRITE_TIME_AT
  if (end < at + WRITE_TIME_DIGITS || buffer[at - 1] !== 61 || buffer[at - 2] !== WRITE_TIME_MARK) return NaN
  let value = 0
  for (let index = at; index < at + WRITE_TIME_DIGITS; index++) value = value * 10 + buffer[index]! - 48
  return value
}

function report(): ReceiverReport {
  const tally: ReceivedTally = {}
  for (const [labels, { lastSeconds, lastNanos, ...sums }] of counts.tally) tally[labels] = sums
  const { requests, bodyBytes, pushBytes, entries, streamsPushed, metadata, windowRequests } = counts
  const windowSeconds = (Math.min(counts.windowTo, nowMicros()) - counts.windowFrom) / 1e6
  const latency = counts.histogram.summary()
  return {
    requests,
    bodyBytes,
    pushBytes,
    entries,
    streamsPushed,
    metadata,
    tally,
    windowRequests,
    windowSeconds,
    latency,
  }
}

function answer(question: ReceiverQuestion): unknown {
  if (question.ask === 'reset') counts = new Counts()
  else if (question.ask === 'windowStart') counts.windowFrom = nowMicros()
  else if (question.ask === 'windowEnd') counts.windowTo = nowMicros()
  else if (question.ask === 'count') return { requests: counts.requests, entries: counts.entries }
  else return report()
  return {}
}

function onRequest(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    response.writeHead(204)
    response.end(() => take(Buffer.concat(chunks), nowMicros()))
  })
}

const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0, headersTimeout: 0 }, onRequest)
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('message', (message: ReceiverQuestion & { id: number }) => {
  process.send?.({ id: message.id, answer: answer(message) })
})
process.on('disconnect', () => process.exit(0))
