// Keeps one resource's objects known: asks what its course says, over and over, and hands on what comes. All I/O of a
// list+watch is here; what to ask is decided in course.ts. Bound: one request at a time, and one object in memory.

import { retryAfterMs } from '../core/backoff.ts'
import { errorCode, errorMessage, TaffrailError } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import type { KubernetesWatchStatus } from '../core/status.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpResponse } from '../ports/http.ts'
import type { Random } from '../ports/random.ts'
import type { ApiServer } from './api-server.ts'
import { Course, type End, type Want } from './course.ts'
import { JsonObjects } from './json-objects.ts'

/** Items of a page: with the largest objects no page is a burden, and 500 pods are five requests. */
const PAGE_ITEMS = 100
const ANSWER_MS_MAX = 30_000
/** A page that stops in the middle is given up sooner than a watch. */
const PAGE_IDLE_MS = 30_000
/** Bookmarks come about once a minute, the first one after two at the latest: more is a dead connection. */
const WATCH_IDLE_MS = 180_000
/** Where it was let in before, so many 403 in a row may be those of a server that is starting (seen: for one to two seconds). */
const DOUBTED_MAX = 2
/** The server ends a watch after 5 to 10 minutes, so that not all agents come back at once. */
const WATCH_SECONDS_MIN = 300

/** What is wanted: a collection, and which part of it. */
export interface Collection {
  resource: 'pods' | 'namespaces'
  /** Without the leading `?`; empty: all. */
  selector: string
  /** Objects without spec and status do: measured 47 % of the bytes with the plainest of pods, less with any other. */
  metadataOnly: boolean
}

/** The part of an object that every kind has. */
export interface KubeObject {
  kind?: string
  metadata?: { name?: string; resourceVersion?: string } & Record<string, unknown>
}

/** Who takes what comes. Objects are plain JSON and nobody else's. */
export interface Receiver {
  /** A list begins: what is not put until `listed` is gone. */
  listing(): void
  put(object: KubeObject): void
  listed(): void
  deleted(object: KubeObject): void
}

export interface WatcherDeps {
  api: ApiServer
  clock: Clock
  random: Random
  events: Events
}

interface WatchEvent {
  type?: string
  object?: KubeObject & { code?: number; message?: string; reason?: string }
}

export class Watcher {
  readonly status: KubernetesWatchStatus
  readonly #collection: Collection
  readonly #receiver: Receiver
  readonly #deps: WatcherDeps
  readonly #course: Course
  readonly #stopping = new AbortController()
  #running: Promise<void> | null = null
  /** Refusals in a row that are not believed: a server that was just restarted forbids everything until it has read the rules. */
  #doubted = 0

  constructor(collection: Collection, receiver: Receiver, deps: WatcherDeps) {
    this.#collection = collection
    this.#receiver = receiver
    this.#deps = deps
    this.#course = new Course(deps.random)
    const { resource } = collection
    this.status = { resource, state: 'starting', lastError: null, lists: 0, watches: 0, events: 0, failures: 0 }
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends what is under way; resolves when nothing will be handed on any more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, events } = this.#deps
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const { want } = this.#course
      if (want.kind === 'list' && want.continue === '') this.#receiver.listing()
      const { end, error } = want.kind === 'list' ? await this.#list(want) : await this.#watch(want)
      if (signal.aborted) return
      const next = this.#course.ended(end)
      if (end.kind === 'page' && this.#course.want.kind === 'watch') {
        this.#receiver.listed()
        this.#recovered()
      }
      if (next.relist !== null) {
        const { resource } = this.#collection
        events.emit('kubernetes.relisted', { resource, reason: next.relist })
      }
      if (error !== null && end.kind === 'failed' && end.code !== 410) this.#failed(error, end.code, next.delayMs)
      if (next.delayMs > 0) await clock.sleep(next.delayMs, signal)
    }
  }

  async #list(want: Want & { kind: 'list' }): Promise<{ end: End; error: unknown }> {
    const query = new URLSearchParams()
    if (!this.#course.isUnpaged) query.set('limit', String(PAGE_ITEMS))
    if (want.continue !== '') query.set('continue', want.continue)
    else if (want.resourceVersion !== '') query.set('resourceVersion', want.resourceVersion)
    const objects = new JsonObjects(2, (text) => this.#receiver.put(parse(text)))
    this.status.lists++
    try {
      await this.#get(query, 'PartialObjectMetadataList', PAGE_IDLE_MS, objects)
      const { metadata } = parse(objects.frame) as { metadata?: { resourceVersion?: string; continue?: string } }
      if (metadata?.resourceVersion === undefined) throw new TaffrailError('KUBERNETES_ANSWER', 'the answer is no list')
      const { resourceVersion, continue: rest = '' } = metadata
      return { end: { kind: 'page', resourceVersion, continue: rest }, error: null }
    } catch (error) {
      return { end: this.#endOf(error), error }
    }
  }

  async #watch({ resourceVersion }: Want & { kind: 'watch' }): Promise<{ end: End; error: unknown }> {
    const { clock, random } = this.#deps
    const seconds = Math.floor(WATCH_SECONDS_MIN * (1 + random()))
    const timeoutSeconds = String(seconds)
    const query = new URLSearchParams({ watch: '1', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds })
    const objects = new JsonObjects(0, (text) => this.#event(parse(text) as WatchEvent))
    const startedAt = clock.monotonic()
    this.status.watches++
    try {
      await this.#get(query, 'PartialObjectMetadata', WATCH_IDLE_MS, objects)
      if (objects.isOpen) throw new TaffrailError('HTTP_RESET', 'the watch was cut in the middle of an event')
      return { end: { kind: 'closed', afterMs: clock.monotonic() - startedAt }, error: null }
    } catch (error) {
      const isSilent = errorCode(error) === 'HTTP_TIMEOUT' && clock.monotonic() - startedAt >= WATCH_IDLE_MS
      return { end: isSilent ? { kind: 'silent' } : this.#endOf(error), error }
    }
  }

  #event({ type, object = {} }: WatchEvent): void {
    if (type === 'ERROR') {
      const { code = 0, message = '', reason = '' } = object
      throw new StatusError(code, message || reason, undefined)
    }
    const resourceVersion = object.metadata?.resourceVersion ?? ''
    if (type === 'ADDED' || type === 'MODIFIED') this.#receiver.put(object)
    else if (type === 'DELETED') this.#receiver.deleted(object)
    // Something in between answers in the server's place.
    else if (type !== 'BOOKMARK') throw new TaffrailError('KUBERNETES_ANSWER', 'the answer is no watch')
    this.status.events++
    this.#course.heard(resourceVersion)
    this.#recovered()
  }

  /** GETs the collection and feeds `objects`. Throws StatusError for what is no success, TaffrailError otherwise. */
  async #get(query: URLSearchParams, form: string, idleMs: number, objects: JsonObjects): Promise<void> {
    const { resource, selector, metadataOnly } = this.#collection
    const partial = `application/json;as=${form};g=meta.k8s.io;v=v1,application/json`
    // What the answer itself says is wrong, before the port gave it a name of its own.
    let said: unknown
    const onChunk = (chunk: Buffer) => {
      try {
        objects.push(chunk)
      } catch (error) {
        said = error
        throw error
      }
    }
    const path = `/api/v1/${resource}?${[selector, String(query)].filter((each) => each !== '').join('&')}`
    const answer = await this.#deps.api
      .get(path, {
        accept: metadataOnly ? partial : 'application/json',
        timeoutMs: ANSWER_MS_MAX,
        stream: { onChunk, idleMs, signal: this.#stopping.signal },
      })
      .catch((error: unknown) => {
        throw said ?? error
      })
    if (answer.status !== 200) throw statusError(answer, this.#deps.clock.now())
  }

  #endOf(error: unknown): End {
    if (!(error instanceof StatusError)) return { kind: 'failed', code: 0 }
    const { status: code, afterMs } = error
    return afterMs === undefined ? { kind: 'failed', code } : { kind: 'failed', code, retryAfterMs: afterMs }
  }

  #failed(error: unknown, status: number, delayMs: number): void {
    const { resource } = this.#collection
    const message = errorMessage(error)
    const isForbidden = status === 403 && this.#doubted === 0
    if (status === 403 && this.#doubted > 0) this.#doubted--
    this.status.state = isForbidden || status === 401 ? 'refused' : 'retrying'
    this.status.failures++
    this.status.lastError = isForbidden ? `${message}; grant: ${missingRule(resource)}` : message
    if (isForbidden) {
      this.#deps.events.emit('kubernetes.forbidden', { resource, message, rule: missingRule(resource), delayMs })
    } else this.#deps.events.emit('kubernetes.failed', { resource, status, error, delayMs })
  }

  #recovered(): void {
    const before = this.status.state
    this.#doubted = DOUBTED_MAX
    if (before === 'ok') return
    this.status.state = 'ok'
    this.status.lastError = null
    const { resource } = this.#collection
    if (before !== 'starting') this.#deps.events.emit('kubernetes.recovered', { resource })
  }
}

/** The rule that a ClusterRole needs, as it would stand in it. */
export function missingRule(resource: string): string {
  return `{apiGroups: [""], resources: [${resource}], verbs: [list, watch]}`
}

/** Of what the API server says; it stands in /status for as long as it is the last error. */
const MESSAGE_CHARS_MAX = 1024

/** An answer of the API server that is no success, or an ERROR event. */
export class StatusError extends TaffrailError {
  readonly status: number
  readonly afterMs: number | undefined

  constructor(status: number, message: string, afterMs: number | undefined) {
    const words = message === '' ? '' : `: ${message}`
    super('KUBERNETES_STATUS', `the API server said ${status}${words.slice(0, MESSAGE_CHARS_MAX)}`)
    this.status = status
    this.afterMs = afterMs
  }
}

/** The error for an answer that is no success. */
export function statusError({ status, headers, body }: HttpResponse, nowMs: number): StatusError {
  let message = body.toString('utf8', 0, 1024).trim()
  try {
    const parsed = JSON.parse(body.toString()) as { message?: unknown }
    if (typeof parsed.message === 'string') message = parsed.message
  } catch {
    // Something in between answered; its own words will do.
  }
  return new StatusError(status, message, retryAfterMs(headers, nowMs))
}

function parse(text: string): KubeObject {
  try {
    return JSON.parse(text) as KubeObject
  } catch (error) {
    throw new TaffrailError('KUBERNETES_ANSWER', `the API server's answer is no JSON: ${errorMessage(error)}`, error)
  }
}
