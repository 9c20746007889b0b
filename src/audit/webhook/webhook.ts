// A source of type auditWebhook: takes batches of events from API servers and answers them once they are on disk. From there
// they are tailed like any audit log, so a sink that is slow or down is nothing that an API server feels. It owns the
// listener, the intake and the spool, and the account of what was refused. Bound: the spool, the memory of bodies (Load).

import type { IncomingMessage } from 'node:http'
import type { SecureContextOptions } from 'node:tls'
import type { CheckpointStore } from '../../checkpoint/checkpoints.ts'
import type { AuditWebhookSourceConfig } from '../../config/config.ts'
import { Durations } from '../../core/durations.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Events } from '../../core/events.ts'
import { release, releaseIfAlone } from '../../core/memory.ts'
import type { WebhookStatus } from '../../core/status.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { FileSystem } from '../../ports/fs.ts'
import type { AuditSource } from '../open.ts'
import { BearerToken } from './bearer.ts'
import type { DurableReads } from './durable-reads.ts'
import { PADDING_BYTES } from './event-list.ts'
import { Intake } from './intake.ts'
import type { Answer, ListenerOptions, Listening, Receiver } from './listener.ts'
import { Load } from './load.ts'
import { batchHash, missingLine, RefusedBatches } from './shed.ts'
import { API_SERVERS_MAX, Spool, spoolDirectory } from './spool.ts'

const RETRY_MS = 5000
const SWEEP_MS = 5000
/** Who waited for room in vain has waited; a segment of a sink that is behind takes longer. */
const LOAD_RETRY_SECONDS = 1
const SPOOL_RETRY_SECONDS = 5
/** More than a batch of 400 usual events has. */
const LARGE_BODY_BYTES = 1024 * 1024
/** Of `limits.memory`; a body that is larger is let in alone. */
const LOAD_SHARE = 1 / 12
/** The upper bounds of the histogram of answers, in seconds. */
const ANSWER_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, Number.POSITIVE_INFINITY]
/** A spool that was full is full for everybody until a share of it is free again. */
const ROOM_SHARE = 1 / 32

export type Listen = (options: ListenerOptions) => Promise<Listening>
/** Reads TLS files; see ServerTls. */
export type ReadTls = (tls: NonNullable<AuditWebhookSourceConfig['tls']>) => () => SecureContextOptions

export interface WebhookDeps {
  stateDir: string
  memoryBytes: number
  /** The sinks that take the source. */
  sinks: readonly string[]
  audit: AuditSource
  fs: FileSystem
  durable: DurableReads
  clock: Clock
  events: Events
  checkpoints: CheckpointStore
  readFile: (path: string) => Buffer
  listen: Listen
  readTls: ReadTls
  /** An API server is there that was not known. */
  onJournal: () => void
}

export class Webhook implements Receiver {
  readonly config: AuditWebhookSourceConfig
  readonly #deps: WebhookDeps
  readonly #spool: Spool
  readonly #intake: Intake
  /** Of what takes a tenth of a second: the others need not wait behind it. */
  readonly #largeIntake: Intake
  readonly #load: Load
  /** By API server: of those that have a journal, and of API_SERVERS_MAX others, which say themselves what they are called. */
  readonly #refused = new Map<string, RefusedBatches>()
  readonly #batches: WebhookStatus['batches'] = { accepted: 0, shed: {}, invalid: 0 }
  readonly #eventCounts = { accepted: 0, dropped: 0 }
  readonly #turnedAway: Record<string, number> = {}
  readonly #answerSeconds = new Durations(ANSWER_BOUNDS)
  #missing = 0
  #listening: Listening | null = null
  #lastError: string | null = null
  #isFull = false
  #stopped = false
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null
  /** The spool was taken over: it may be read. */
  isOpen = false
  /** Resolves then. */
  readonly opened: Promise<void>
  readonly #noteOpened: () => void
  #cancelRetry: Cancel | null = null
  #cancelSweep: Cancel | null = null

  constructor(config: AuditWebhookSourceConfig, deps: WebhookDeps) {
    this.config = config
    this.#deps = deps
    const { promise, resolve } = Promise.withResolvers<void>()
    this.opened = promise
    this.#noteOpened = resolve
    const { stateDir, sinks, fs, clock, durable, checkpoints, memoryBytes, audit } = deps
    const directory = spoolDirectory(stateDir, config.name)
    this.#spool = new Spool(
      { source: config.name, directory, bytesMax: config.spoolBytesMax, sinks },
      { reads: fs.reads, writes: fs.writes, clock, durable, checkpoints },
    )
    this.#intake = new Intake(audit, clock)
    this.#largeIntake = new Intake(audit, clock)
    this.#load = new Load(memoryBytes * LOAD_SHARE, clock)
  }

  /** Takes the spool over and, with `listens`, begins to take batches. What fails is an event, and is tried again. */
  start(listens: boolean): void {
    this.#starting = this.#start(listens).finally(() => {
      this.#starting = null
    })
  }

  async #start(listens: boolean): Promise<void> {
    const { clock, listen, events, readFile, readTls } = this.#deps
    const { name: source, tokenFile, tls } = this.config
    try {
      if (!this.isOpen) {
        await this.#spool.open()
        this.isOpen = true
        this.#noteOpened()
        if (this.#spool.journals.size > 0) this.#deps.onJournal()
        if (!this.#stopped) this.#sweepLater()
      }
      if (!listens || this.#stopped) return
      const options: ListenerOptions = {
        config: this.config,
        token: tokenFile === null ? null : new BearerToken(tokenFile, readFile, () => clock.monotonic()),
        tls: tls === null ? null : readTls(tls),
        receiver: this,
        clock,
      }
      this.#listening = await listen(options)
      this.#lastError = null
      events.emit('webhook.listening', { source, address: this.#listening.address })
    } catch (error) {
      this.failed(error)
      if (!this.#stopped) this.#cancelRetry = clock.after(RETRY_MS, () => this.start(listens))
    }
  }

  /** Stops to take batches; those that are under way are answered, as long as `signal` allows. May be called again. */
  stop(signal: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stop(signal)
    return this.#stopping
  }

  async #stop(signal: AbortSignal): Promise<void> {
    this.#stopped = true
    this.#cancelRetry?.()
    await this.#starting
    this.#cancelRetry?.()
    await this.#listening?.close(signal)
    this.#listening = null
    this.#cancelSweep?.()
    // Nobody will remember them: whatever is sent again goes to the next process, which does not know of them.
    await this.#tellMissing(true)
    await this.#spool.close()
  }

  async refuse(bodyBytes: number): Promise<Answer | null> {
    const room = this.#isFull ? this.#spool.bytesMax * ROOM_SHARE : 0
    const wasFull = this.#isFull
    this.#isFull = this.#spool.isFull(bodyBytes + room)
    if (this.#isFull && !wasFull) {
      this.#deps.events.emit('webhook.full', { source: this.config.name, bytes: this.#spool.bytes })
      void this.#prune()
    }
    if (this.#isFull) {
      return this.#shed('spool', { status: 503, reason: 'the spool is full', retryAfterSeconds: SPOOL_RETRY_SECONDS })
    }
    if (await this.#load.take(bodyBytes)) return null
    return this.#shed('memory', { status: 429, reason: 'too much at once', retryAfterSeconds: LOAD_RETRY_SECONDS })
  }

  async take(apiServer: string, request: IncomingMessage, bodyBytes: number): Promise<Answer | null> {
    const begunAt = this.#deps.clock.monotonic()
    const body = Buffer.allocUnsafeSlow(bodyBytes + PADDING_BYTES)
    try {
      if (!(await isWhole(request, body, bodyBytes))) return null
      const answer = await this.#accept(apiServer, body, bodyBytes)
      this.#answerSeconds.note((this.#deps.clock.monotonic() - begunAt) / 1000)
      return answer
    } finally {
      release(body)
      this.#load.give(bodyBytes)
    }
  }

  async #accept(apiServer: string, body: Buffer, bodyBytes: number): Promise<Answer> {
    // Only where it is needed. The work changes nothing of what API servers send.
    const hash = () => batchHash().update(body.subarray(0, bodyBytes)).digest('hex')
    let journal: Awaited<ReturnType<Spool['journal']>>
    try {
      const known = this.#spool.journals.size
      journal = await this.#spool.journal(apiServer)
      if (this.#spool.journals.size > known) this.#deps.onJournal()
    } catch (error) {
      return this.#unwritten(apiServer, hash(), bodyBytes, error)
    }
    if (journal === null) {
      const reason = 'too many API servers'
      this.turnedAway(403, `${reason}: ${apiServer} is one more than there may be`)
      return { status: 403, reason }
    }
    const intake = bodyBytes > LARGE_BODY_BYTES ? this.#largeIntake : this.#intake
    const taken = await intake.take(body, bodyBytes)
    if ('problem' in taken) {
      this.#batches.invalid++
      this.#note(apiServer, hash(), bodyBytes, 'invalid')
      this.#deps.events.emit('webhook.invalid', { source: this.config.name, apiServer, problem: taken.problem })
      return { status: 400, reason: taken.problem }
    }
    try {
      if (taken.lines.length > 0) await journal.append(taken.lines)
    } catch (error) {
      return this.#unwritten(apiServer, hash(), bodyBytes, error)
    } finally {
      release(taken.lines)
    }
    const refused = this.#refused.get(apiServer)
    if (refused !== undefined && refused.count > 0) refused.accepted(hash())
    this.#batches.accepted++
    this.#eventCounts.accepted += taken.events
    this.#eventCounts.dropped += taken.dropped
    return { status: 200 }
  }

  #unwritten(apiServer: string, hash: string, bytes: number, error: unknown): Answer {
    this.failed(error)
    this.#note(apiServer, hash, bytes, 'disk')
    return this.#shed('disk', { status: 503, reason: 'it cannot be written', retryAfterSeconds: SPOOL_RETRY_SECONDS })
  }

  passing(apiServer: string, request: IncomingMessage, bodyBytes: number, answer: Answer): void {
    if (answer.status === 413) this.#shed('size', answer)
    const hash = batchHash()
    request.on('data', (chunk: Buffer) => hash.update(chunk))
    request.once('close', () => {
      const key = request.complete ? hash.digest('hex') : `${bodyBytes}`
      this.#note(apiServer, key, bodyBytes, answer.reason ?? String(answer.status))
    })
  }

  turnedAway(status: number, reason: string): void {
    const key = status === 0 ? 'tls' : String(status)
    this.#turnedAway[key] = (this.#turnedAway[key] ?? 0) + 1
    this.#deps.events.emit('webhook.refused', { source: this.config.name, status, reason })
  }

  failed(error: unknown): void {
    this.#lastError = errorMessage(error)
    this.#deps.events.emit('webhook.failed', { source: this.config.name, error })
  }

  #shed(reason: string, answer: Answer): Answer {
    this.#batches.shed[reason] = (this.#batches.shed[reason] ?? 0) + 1
    this.#deps.events.emit('webhook.shed', { source: this.config.name, reason: answer.reason ?? reason })
    return answer
  }

  #note(apiServer: string, hash: string, bytes: number, reason: string): void {
    let refused = this.#refused.get(apiServer)
    if (refused === undefined) {
      // There would be no journal to tell of its holes in.
      if (this.#refused.size >= API_SERVERS_MAX && !this.#spool.journals.has(apiServer)) return
      this.#refused.set(apiServer, (refused = new RefusedBatches()))
    }
    const { clock } = this.#deps
    refused.refused(hash, bytes, reason, clock.now(), clock.monotonic())
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#deps.clock.after(SWEEP_MS, () => {
      void this.#prune()
        .then(() => this.#tellMissing(false))
        .then(() => {
          if (!this.#stopped) this.#sweepLater()
        })
    })
  }

  /** Never rejects. */
  async #prune(): Promise<void> {
    try {
      await this.#spool.prune()
    } catch (error) {
      this.failed(error)
    }
  }

  /** Puts what was refused and did not come back into the stream that it is missing in. Never rejects. */
  async #tellMissing(all: boolean): Promise<void> {
    for (const [apiServer, refused] of this.#refused) {
      const missing = refused.missing(this.#deps.clock.monotonic(), all)
      if (refused.count === 0) this.#refused.delete(apiServer)
      if (missing === null) continue
      this.#missing += missing.batches
      const line = missingLine(apiServer, missing, all)
      this.#deps.events.emit('webhook.missing', { source: this.config.name, apiServer, message: line })
      try {
        const journal = await this.#spool.journal(apiServer)
        await journal?.append(Buffer.from(`${line}\n`))
      } catch (error) {
        this.failed(error)
      }
    }
  }

  status(): WebhookStatus {
    const { name: source, listen } = this.config
    const now = this.#deps.clock.now()
    const journals = [...this.#spool.journals].map(([name, journal]) => ({
      name,
      bytes: journal.bytes,
      segments: journal.segments.length + 1,
      oldestSeconds: journal.oldestAt === null ? 0 : Math.max(0, (now - journal.oldestAt) / 1000),
      syncs: { ...journal.syncs },
      awaited: this.#refused.get(name)?.count ?? 0,
    }))
    return {
      source,
      address: this.#listening?.address ?? null,
      listen,
      lastError: this.#lastError,
      batches: { ...this.#batches, shed: { ...this.#batches.shed } },
      events: { ...this.#eventCounts },
      missing: this.#missing,
      turnedAway: { ...this.#turnedAway },
      answerSeconds: { ...this.#answerSeconds, counts: [...this.#answerSeconds.counts] },
      load: { bytes: this.#load.bytes, bytesMax: this.#load.bytesMax },
      spool: { bytes: this.#spool.bytes, bytesMax: this.#spool.bytesMax, isFull: this.#isFull },
      apiServers: journals,
    }
  }
}

/** Reads the body; false: it was cut off, or is not as long as it said. */
function isWhole(request: IncomingMessage, body: Buffer, bodyBytes: number): Promise<boolean> {
  let bytes = 0
  if (request.destroyed) return Promise.resolve(false) // it went away while it waited
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.copy(body, bytes, 0, Math.min(chunk.length, bodyBytes - bytes))
      releaseIfAlone(chunk) // nobody else has it
    })
    request.once('end', () => resolve(bytes === bodyBytes))
    request.once('close', () => resolve(false))
  })
}
