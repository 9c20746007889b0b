// The API server of case `webhook`: a process of its own that sends batches of 400 events over TLS at a steady pace, and one of
// a single event of 2 MiB each second, whether the ones before were answered or not, as API servers do. Latency counts from the
// moment at which a batch was due. Speaks with its parent over IPC only; ends with it.

import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { nowMicros } from './clock.ts'
import { Histogram, type Latency } from './histogram.ts'

const BATCH_EVENTS = 400
const BODIES = 40
const BIG_EVENT_BYTES = 2 * 2 ** 20
const TICK_MS = 5
const CONNECTIONS = 16

export interface SenderJob {
  logPath: string
  port: number
  caPath: string
  certPath: string
  keyPath: string
  eventsPerSecond: number
}

export interface SenderReport {
  /** Of the window: answered with 2xx, and all others by status. */
  accepted: number
  refused: Record<string, number>
  seconds: number
  bodyBytes: number
  small: Latency
  big: Latency
  /** The longest time by which a batch went out too late. */
  lateMsMax: number
}

function batch(lines: readonly string[]): Buffer {
  const items = lines.map((line) => line.replace('"kind":"Event","apiVersion":"audit.k8s.io/v1",', ''))
  return Buffer.from(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${items.join(',')}]}\n`)
}

/** An event of which all that makes it large is many small values. */
function bigBatch(line: string): Buffer {
  const event = JSON.parse(line)
  const spec: Record<string, unknown>[] = []
  for (let bytes = 0; bytes < BIG_EVENT_BYTES; bytes += 96) {
    const i = spec.length
    spec.push({ name: `entry-${i}`, weight: i, enabled: i % 3 === 0, path: `/var/lib/widgets/${i}`, tags: ['a', 'b'] })
  }
  const objectRef = { resource: 'widgets', namespace: 'shop', name: 'large', apiGroup: 'example.com', apiVersion: 'v1' }
  const requestObject = { kind: 'Widget', apiVersion: 'example.com/v1', metadata: { name: 'large' }, spec }
  const requestURI = '/apis/example.com/v1/namespaces/shop/widgets/large'
  return batch([JSON.stringify({ ...event, level: 'Request', verb: 'update', requestURI, objectRef, requestObject })])
}

class Sender {
  readonly #job: SenderJob
  readonly #agent: Agent
  readonly #bodies: Buffer[] = []
  readonly #big: Buffer
  #timer: NodeJS.Timeout | null = null
  #window = newWindow()
  #sent = 0
  #sentBig = 0

  constructor(job: SenderJob) {
    this.#job = job
    const lines = readFileSync(job.logPath, 'utf8').split('\n', BODIES * BATCH_EVENTS)
    for (let at = 0; at + BATCH_EVENTS <= lines.length; at += BATCH_EVENTS) {
      this.#bodies.push(batch(lines.slice(at, at + BATCH_EVENTS)))
    }
    this.#big = bigBatch(lines[0] as string)
    const [ca, cert, key] = [job.caPath, job.certPath, job.keyPath].map((path) => readFileSync(path)) as [
      Buffer,
      Buffer,
      Buffer,
    ]
    this.#agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, ca, cert, key })
  }

  start(): void {
    const begunAt = nowMicros()
    const everyMicros = (1e6 * BATCH_EVENTS) / this.#job.eventsPerSecond
    this.#timer = setInterval(() => {
      const now = nowMicros()
      for (let due = begunAt + this.#sent * everyMicros; due <= now; due = begunAt + this.#sent * everyMicros) {
        this.#send(this.#bodies[this.#sent++ % this.#bodies.length] as Buffer, due, this.#window.small, BATCH_EVENTS)
      }
      const due = begunAt + this.#sentBig * 1e6
      if (due <= now) {
        this.#sentBig++
        this.#send(this.#big, due, this.#window.big, 1)
      }
    }, TICK_MS)
  }

  beginWindow(): void {
    this.#window = newWindow()
  }

  report(): SenderReport {
    const { small, big, startMicros, ...counts } = this.#window
    const seconds = (nowMicros() - startMicros) / 1e6
    return { ...counts, seconds, small: small.summary(), big: big.summary() }
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#agent.destroy()
  }

  #send(body: Buffer, dueMicros: number, histogram: Histogram, events: number): void {
    const window = this.#window
    window.lateMsMax = Math.max(window.lateMsMax, (nowMicros() - dueMicros) / 1000)
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    const { port } = this.#job
    const options = { method: 'POST', host: '127.0.0.1', port, path: '/audit?timeout=30s', agent: this.#agent, headers }
    const sent = request(options, (response) => {
      response.resume()
      response.once('end', () => {
        const { statusCode = 0 } = response
        if (statusCode < 200 || statusCode > 299) {
          window.refused[statusCode] = (window.refused[statusCode] ?? 0) + 1
          return
        }
        window.accepted += events
        window.bodyBytes += body.length
        histogram.add(nowMicros() - dueMicros)
      })
    })
    sent.once('error', () => {
      window.refused.error = (window.refused.error ?? 0) + 1
    })
    sent.end(body)
  }
}

function newWindow() {
  const refused: Record<string, number> = {}
  const histograms = { small: new Histogram(), big: new Histogram() }
  return { startMicros: nowMicros(), accepted: 0, refused, bodyBytes: 0, lateMsMax: 0, ...histograms }
}

let sender: Sender | null = null
process.on('message', (message: { id: number; start?: SenderJob; window?: true; report?: true; stop?: true }) => {
  let answer: unknown = true
  if (message.start) {
    sender = new Sender(message.start)
    sender.start()
  } else if (message.window) sender?.beginWindow()
  else if (message.report) answer = sender?.report()
  else sender?.stop()
  process.send?.({ id: message.id, answer })
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })
