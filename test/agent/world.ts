// A small world around one agent: log files on the real disk, everything else in memory and on a clock that the test
// moves. An agent can be killed at any instant: from then on it reaches nothing, and the next one begins with what was
// durable. The world knows what was written, and says whether each line arrived once.
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import type { AgentPorts } from '../../src/agent/ports.ts'
import { Agent } from '../../src/agent.ts'
import type { CheckpointStore } from '../../src/checkpoint/checkpoints.ts'
import type { Position } from '../../src/checkpoint/position.ts'
import type {
  AuditSourceConfig,
  ContainersSourceConfig,
  ElasticsearchSinkConfig,
  FilesSourceConfig,
  KubernetesConfig,
  LokiSinkConfig,
  SinkConfig,
  SourceConfig,
  StdoutSinkConfig,
} from '../../src/config/config.ts'
import type { AgentEvents, EventName } from '../../src/core/events.ts'
import { type Ledger, total } from '../../src/core/ledger.ts'
import type { Metadata } from '../../src/core/metadata.ts'
import type { DeadLetter, DeadLetters } from '../../src/deliver/dead-letter.ts'
import type { LokiLimits } from '../../src/demo/loki-limits.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { FileSystem } from '../../src/ports/fs.ts'
import { realGunzip } from '../../src/ports/gunzip.ts'
import type { HttpClientFactory } from '../../src/ports/http.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import type { FakeApiServer } from '../support/fake-api-server.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { MemoryElastic } from '../support/memory-elastic.ts'
import { MemoryLoki } from './memory-loki.ts'

export const MIB = 1024 * 1024
const API_ORIGIN = 'https://api.test:6443'

export function lokiConfig(over: Partial<LokiSinkConfig> = {}): LokiSinkConfig {
  return {
    type: 'loki',
    name: 'loki',
    sources: null,
    labels: {},
    lineBytesMax: 256 * 1024,
    url: 'http://loki.test:3100/loki/api/v1/push',
    tenant: null,
    auth: null,
    tls: null,
    structuredMetadata: ['pod_uid'],
    profile: 'default',
    labelsFrom: {},
    batchBytesMax: MIB,
    batchAgeMax: 1000,
    concurrency: 4,
    requestTimeout: 30_000,
    retryDelayMin: 500,
    retryDelayMax: 60_000,
    ...over,
  }
}

export function elasticConfig(over: Partial<ElasticsearchSinkConfig> = {}): ElasticsearchSinkConfig {
  return {
    type: 'elasticsearch',
    name: 'es',
    sources: null,
    labels: {},
    lineBytesMax: MIB,
    urls: ['http://es.test:9200'],
    auth: null,
    tls: null,
    namespace: null,
    documentIds: true,
    expandJson: [],
    gzipLevel: 1,
    setupAtStart: false,
    retention: { logs: null, audit: null },
    batchBytesMax: MIB,
    batchAgeMax: 1000,
    concurrency: 4,
    requestTimeout: 60_000,
    retryDelayMin: 500,
    retryDelayMax: 60_000,
    ...over,
  }
}

export function stdoutConfig(over: Partial<StdoutSinkConfig> = {}): StdoutSinkConfig {
  return { type: 'stdout', name: 'out', sources: null, labels: {}, lineBytesMax: MIB, format: 'raw', ...over }
}

/** What happened, in order. */
export class EventLog {
  readonly all: { name: EventName; detail: AgentEvents[EventName] }[] = []

  emit<Name extends EventName>(name: Name, detail: AgentEvents[Name]): void {
    this.all.push({ name, detail })
  }

  of<Name extends EventName>(name: Name): AgentEvents[Name][] {
    return this.all.filter((each) => each.name === name).map((each) => each.detail as AgentEvents[Name])
  }
}

/** Checkpoints in memory: what was set, and what of it is durable. */
export class MemoryCheckpoints implements CheckpointStore {
  readonly held = new Map<string, Position>()
  /** What a new process finds after a kill: all that was set (the kindest disk), or what was flushed (the slowest). */
  durable = new Map<string, Position>()
  readonly heldMetadata = new Map<string, Metadata>()
  durableMetadata = new Map<string, Metadata>()
  /** Called before a value is taken. */
  onSet: ((sink: string, lineage: string, position: Position) => void) | null = null
  onFlush: (() => void) | null = null
  /** `flush` rejects with this. */
  failure: Error | null = null
  readonly #eager: boolean

  constructor(eager = true, from = new Map<string, Position>(), metadata = new Map<string, Metadata>()) {
    this.#eager = eager
    for (const [key, position] of from) this.held.set(key, position)
    for (const [key, each] of metadata) this.heldMetadata.set(key, each)
    this.durableMetadata = new Map(metadata)
    this.durable = new Map(this.held)
  }

  async open(): Promise<void> {}

  get(sink: string, lineage: string): Position | undefined {
    return this.held.get(`${sink} ${lineage}`)
  }

  set(sink: string, lineage: string, position: Position): void {
    this.onSet?.(sink, lineage, position)
    // As the disk would give it back.
    const copy = structuredClone(position)
    this.held.set(`${sink} ${lineage}`, copy)
    if (this.#eager) this.durable.set(`${sink} ${lineage}`, copy)
  }

  metadata(sink: string, lineage: string): Metadata | undefined {
    return this.heldMetadata.get(`${sink} ${lineage}`)
  }

  setMetadata(sink: string, lineage: string, metadata: Metadata): void {
    const copy = structuredClone(metadata)
    this.heldMetadata.set(`${sink} ${lineage}`, copy)
    if (this.#eager) this.durableMetadata.set(`${sink} ${lineage}`, copy)
  }

  delete(sink: string, lineage: string): void {
    for (const held of [this.held, this.durable, this.heldMetadata, this.durableMetadata]) {
      held.delete(`${sink} ${lineage}`)
    }
  }

  *entries(): IterableIterator<{ sink: string; lineage: string; position: Position }> {
    for (const [key, position] of this.held) {
      const [sink = '', lineage = ''] = key.split(' ', 2)
      yield { sink, lineage, position }
    }
  }

  async flush(): Promise<void> {
    this.onFlush?.()
    if (this.failure !== null) throw this.failure
    this.durable = new Map(this.held)
    this.durableMetadata = new Map(this.heldMetadata)
  }

  async close(): Promise<void> {}

  status(): { ageSeconds: number; pending: number; failing: string | null } {
    return { ageSeconds: 0, pending: 0, failing: null }
  }
}

export class MemoryDeadLetters implements DeadLetters {
  readonly letters: DeadLetter[] = []
  failure: Error | null = null
  onWrite: (() => void) | null = null

  async write(letters: readonly DeadLetter[]): Promise<void> {
    this.onWrite?.()
    await null
    if (this.failure !== null) throw this.failure
    for (const letter of letters) this.letters.push(structuredClone(letter))
  }

  async close(): Promise<void> {}
}

/** Standard output in memory. */
export class MemoryOutput {
  text = ''
  failure: Error | null = null
  /** Awaited before each write. */
  gate: Promise<void> | null = null
  writes = 0

  async write(data: Buffer): Promise<void> {
    this.writes++
    if (this.gate !== null) await this.gate
    if (this.failure !== null) throw this.failure
    this.text += data.toString('latin1')
  }
}

export interface Line {
  text: string
  stream: 'stdout' | 'stderr'
}

export interface WorldOptions {
  sinks?: SinkConfig[]
  sources?: SourceConfig[]
  limits?: Partial<LokiLimits>
  /** Of the budget; 1 for a single shipment at a time. */
  memoryBytes?: number
  /** An allowance in thousandths of a core, and what the process has used so far, in milliseconds. */
  cpu?: { millicores: number; usedMs: () => number }
  /** Checkpoints are durable as soon as they are set; else with the next flush only. */
  eagerCheckpoints?: boolean
  clock?: FakeClock
  once?: boolean
  fs?: FileSystem
  /** What audit webhooks listen with. */
  webhooks?: AgentPorts['webhooks']
  /** Files that the process may still open, those that are kept for other things included. */
  descriptors?: number
  /** The API server to ask; none: `metadata: off`. */
  api?: FakeApiServer
  kubernetes?: Partial<KubernetesConfig>
}

/** Cuts an agent off from its ports. */
class Life {
  dead = false

  clock(clock: Clock): Clock {
    const never = new Promise<void>(() => {})
    const alive = async (promise: Promise<void>) => {
      await promise
      if (this.dead) await never
    }
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (delayMs, run) => clock.after(delayMs, () => this.dead || run()),
      sleep: (delayMs, signal) => alive(clock.sleep(delayMs, signal)),
      yield: () => alive(clock.yield()),
    }
  }

  http(factory: HttpClientFactory): HttpClientFactory {
    return (...parameters) => {
      const client = factory(...parameters)
      const send: typeof client.send = async (request) => {
        if (this.dead) return new Promise(() => {})
        try {
          return await client.send(request)
        } finally {
          if (this.dead) await new Promise(() => {})
        }
      }
      return { send, close: () => client.close() }
    }
  }
}

export class World {
  readonly directory: string
  readonly clock: FakeClock
  readonly loki: MemoryLoki
  /** Answers to all that is sent to hosts whose name begins with es. */
  readonly elastic: MemoryElastic
  readonly letters = new MemoryDeadLetters()
  readonly output = new MemoryOutput()
  readonly options: WorldOptions
  /** Of all agents so far. */
  events = new EventLog()
  checkpoints: MemoryCheckpoints
  agent!: Agent
  readonly written = new Map<string, Line[]>()
  readonly #t: Test
  #life = new Life()

  constructor(t: Test, options: WorldOptions = {}) {
    this.#t = t
    this.options = options
    this.directory = t.testdir({ pods: {}, files: {} })
    this.clock = options.clock ?? new FakeClock()
    this.loki = new MemoryLoki({ clock: this.clock, ...(options.limits && { limits: options.limits }) })
    this.elastic = new MemoryElastic(this.clock)
    this.checkpoints = new MemoryCheckpoints(options.eagerCheckpoints ?? true)
    t.teardown(() => this.kill())
  }

  /** The directory of a pod's container. */
  podDirectory(pod: string, uid = `uid-${pod}`): string {
    return join(this.directory, 'pods', `ns_${pod}_${uid}`, 'app')
  }

  podPath(pod: string, uid?: string): string {
    return join(this.podDirectory(pod, uid), '0.log')
  }

  podSource(over: Partial<ContainersSourceConfig> = {}): ContainersSourceConfig {
    return {
      type: 'containers',
      name: 'pods',
      paths: [join(this.directory, 'pods/*/*/*.log')],
      exclude: [],
      roots: [this.directory],
      startAt: 'beginning',
      startAgeMax: null,
      ...over,
    }
  }

  fileSource(over: Partial<FilesSourceConfig> = {}): FilesSourceConfig {
    return {
      type: 'files',
      name: 'files',
      paths: [join(this.directory, 'files/*.log')],
      exclude: [],
      roots: [this.directory],
      startAt: 'beginning',
      startAgeMax: null,
      ...over,
    }
  }

  auditSource(over: Partial<AuditSourceConfig> = {}): AuditSourceConfig {
    return {
      ...this.fileSource({ name: 'audit', paths: [join(this.directory, 'files/audit.log')] }),
      type: 'audit',
      format: 'json',
      policyFile: null,
      redaction: null,
      ...over,
    }
  }

  /** Appends a container's lines. `atMs` (wall) is that of all of them unless a line has its own. */
  write(
    pod: string,
    lines: readonly (string | { text: string; stream?: 'stdout' | 'stderr'; atMs?: number; nanos?: number })[],
    atMs = this.clock.now(),
  ): void {
    const written = this.written.get(pod) ?? []
    this.written.set(pod, written)
    let rows = ''
    for (const line of lines) {
      const { text, stream = 'stdout', nanos = 0, ...rest } = typeof line === 'string' ? { text: line } : line
      written.push({ text, stream })
      rows += `${criTime(rest.atMs ?? atMs, nanos)} ${stream} F ${text}\n`
    }
    this.raw(this.podPath(pod), rows)
  }

  /** Appends to any file as it is. */
  raw(path: string, content: string | Buffer): void {
    mkdirSync(dirname(path), { recursive: true })
    appendFileSync(path, content)
  }

  rename(from: string, to: string): void {
    renameSync(from, to)
  }

  /** Starts an agent, the first or the next one. */
  start(over: { once?: boolean } = {}): Agent {
    const { options } = this
    const life = new Life()
    this.#life = life
    const ports: AgentPorts = {
      fs: options.fs ?? realFileSystem,
      clock: life.clock(this.clock),
      random: () => 0.5,
      gunzip: realGunzip,
      createHttpClient: life.http((origin, more) => {
        if (origin.includes('//es')) return this.elastic.createHttpClient(origin, more)
        const factory = origin === API_ORIGIN ? options.api?.client(this.clock) : undefined
        return (factory ?? this.loki.createHttpClient)(origin, more)
      }),
      watchDirectories: () => ({ close: async () => {} }),
      output: {
        write: async (data) => {
          if (!life.dead) await this.output.write(data)
          if (life.dead) await new Promise(() => {})
        },
      },
      events: { emit: (name, detail) => life.dead || this.events.emit(name, detail) },
      checkpoints: mortal(life, this.checkpoints),
      deadLetters: {
        write: async (letters) => {
          if (!life.dead) await this.letters.write(letters)
          if (life.dead) await new Promise(() => {})
        },
        close: () => this.letters.close(),
      },
      ...(options.descriptors !== undefined && { descriptors: options.descriptors }),
      ...(options.webhooks && { webhooks: options.webhooks }),
      ...(options.cpu && { cpuTime: options.cpu.usedMs }),
      apiAccess: () => ({ origin: API_ORIGIN, prefix: '', tls: {}, authorization: () => 'Bearer t', from: 'the test' }),
    }
    const config = {
      clusterName: 'test',
      nodeName: 'node',
      stateDir: '/nowhere',
      kubernetes: {
        metadata: options.api === undefined ? ('off' as const) : ('auto' as const),
        metadataWait: 5000,
        annotations: { honour: true, foreign: false, exemptNamespaces: [], tenants: [] },
        podLabels: [],
        podAnnotations: [],
        namespaceLabels: [],
        ...options.kubernetes,
      },
      sources: options.sources ?? [this.podSource()],
      sinks: options.sinks ?? [lokiConfig()],
      limits: { memory: options.memoryBytes ?? 96 * MIB, cpu: options.cpu?.millicores ?? null },
      server: null,
    }
    this.agent = new Agent(config, ports, { version: 'test', once: over.once ?? options.once ?? false })
    this.agent.broken.catch((error) => {
      if (!life.dead) this.#t.fail('the agent broke', { error })
    })
    this.agent.start()
    return this.agent
  }

  get dead(): boolean {
    return this.#life.dead
  }

  /** From now on the agent reaches nothing any more. What was durable stays. */
  kill(): void {
    this.#life.dead = true
    const { durable, durableMetadata } = this.checkpoints
    this.checkpoints = new MemoryCheckpoints(this.options.eagerCheckpoints ?? true, durable, durableMetadata)
  }

  /** Lets time pass until everything is delivered. */
  async drain(msMax = 3_600_000): Promise<void> {
    this.#t.equal(await this.clock.until(this.agent.drain(), msMax), true, 'drained')
  }

  ledger(sink = 'loki'): Ledger {
    return this.consumer(sink).ledger
  }

  consumer(sink = 'loki') {
    const consumer = this.agent.consumers.find((each) => each.sink.name === sink)
    if (consumer === undefined) throw new Error(`no sink ${sink}`)
    return consumer
  }

  /**
   * Each line of each pod is in Loki exactly once, in its own stream or a late one, and nothing else is. `gone` are the
   * lines that must not be there (dead letters). Lines of one stream must be unlike each other.
   */
  exact(gone: readonly string[] = []): void {
    const t = this.#t
    for (const [pod, lines] of this.written) {
      for (const stream of ['stdout', 'stderr'] as const) {
        const expected = lines.filter((line) => line.stream === stream && !gone.includes(line.text))
        const stored = this.loki.lines({ pod, stream })
        t.strictSame([...stored].sort(), expected.map(({ text }) => text).sort(), `${pod} ${stream}: each line once`)
      }
    }
    const pods = new Set(this.loki.find().map(({ labels }) => labels.pod))
    t.strictSame(
      [...pods].filter((pod) => pod !== undefined && !this.written.has(pod)),
      [],
      'no unknown pods',
    )
  }

  /** The account balances, nothing is in flight and no budget is held. */
  settled(sink = 'loki'): void {
    const t = this.#t
    const ledger = this.ledger(sink)
    t.strictSame(ledger.imbalance(), { bytes: 0, lines: 0 }, 'the ledger balances')
    t.strictSame(ledger.inFlight, { bytes: 0, lines: 0 }, 'nothing is in flight')
    t.equal(this.agent.budget.usedBytes, 0, 'no budget is held')
  }

  /** All bytes of the pods' files went one way or the other, each once. */
  accounted(sink = 'loki'): void {
    this.settled(sink)
    const { acked, skipped, dropped, deadLettered, read } = this.ledger(sink)
    const ended = acked.bytes + total(skipped).bytes + total(dropped).bytes + total(deadLettered).bytes
    let size = 0
    let lines = 0
    for (const [pod, written] of this.written) {
      size += statSync(this.podPath(pod)).size
      lines += written.length
    }
    this.#t.equal(ended, size, 'acked, skipped, dropped and dead-lettered bytes make the files')
    this.#t.equal(read.bytes, size, 'each byte was read once, but for what was given back')
    this.#t.equal(read.lines, lines, 'each line was read once, but for what was given back')
  }
}

/** `2026-11-21T08:00:00.000000000Z`. */
export function criTime(atMs: number, nanos = 0): string {
  const ms = Math.floor(atMs)
  const fraction = String((ms % 1000) * 1_000_000 + nanos).padStart(9, '0')
  return `${new Date(ms).toISOString().slice(0, 19)}.${fraction}Z`
}

/** `count` texts that are unlike each other. */
export function texts(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix} ${index}`)
}

function mortal(life: Life, store: MemoryCheckpoints): CheckpointStore {
  return {
    open: () => store.open(),
    get: (sink, lineage) => store.get(sink, lineage),
    set: (sink, lineage, position) => life.dead || store.set(sink, lineage, position),
    delete: (sink, lineage) => life.dead || store.delete(sink, lineage),
    metadata: (sink, lineage) => store.metadata(sink, lineage),
    setMetadata: (sink, lineage, metadata) => life.dead || store.setMetadata(sink, lineage, metadata),
    entries: () => store.entries(),
    flush: async () => {
      if (!life.dead) await store.flush()
      if (life.dead) await new Promise(() => {})
    },
    close: () => store.close(),
    status: () => store.status(),
  }
}
