// One life of the process: the whole agent on simulated ports, from its start to its death. Every port call is a step at
// which it may be killed; from then on it reaches nothing, and hears of nothing. While its event loop stands still it
// hears of things later. What runs in it is what `taffrail run` runs (src/commands): store, dead letters, agent.
import type { AgentPorts } from '../../src/agent/ports.ts'
import { Agent } from '../../src/agent.ts'
import type { CheckpointStore } from '../../src/checkpoint/checkpoints.ts'
import { createCheckpointStore } from '../../src/checkpoint/store.ts'
import type { Config } from '../../src/config/config.ts'
import { errorMessage } from '../../src/core/errors.ts'
import type { AgentEvents, EventName, Events } from '../../src/core/events.ts'
import { createDeadLetters } from '../../src/deliver/dead-letters.ts'
import type { Cancel, Clock } from '../../src/ports/clock.ts'
import type { WriteFileSystem, WriteHandle } from '../../src/ports/fs.ts'
import type { HttpClientFactory } from '../../src/ports/http.ts'
import type { FaultyFileSystem } from '../support/faulty-fs.ts'
import type { Observers } from './checker.ts'
import type { Draw } from './draw.ts'
import type { Faults } from './faults.ts'
import { FilesOfLife } from './files-of-life.ts'
import type { SimClock } from './sim-clock.ts'
import type { SimDisk } from './sim-disk.ts'
import { simGunzip } from './sim-gunzip.ts'
import type { SimSink } from './sink.ts'
import type { Trace } from './trace.ts'

/** How long a stop in good order waits, as the command does. */
const STOP_MS_MAX = 10_000

export interface LifeDeps {
  number: number
  clock: SimClock
  disk: SimDisk
  state: FaultyFileSystem
  config: Config
  sinks: readonly SimSink[]
  draw: Draw
  faults: Faults
  trace: Trace
  observers: Observers
  isStorming: () => boolean
  /** Called when it was killed at a step. */
  onKilled: () => void
}

/** What a dead process waits for. */
const NEVER = new Promise<never>(() => {})

/** Thrown into what the dead process was just doing. */
class Dead extends Error {
  override name = 'Dead'
}

export class Life {
  readonly number: number
  readonly files: FilesOfLife
  readonly bornAt: number
  /** null until the state was read. */
  agent: Agent | null = null
  checkpoints: CheckpointStore | null = null
  isDead = false
  /** Steps that are left to it. */
  killIn = Number.POSITIVE_INFINITY
  /** Monotonic ms when its event loop last stood still. */
  stalledUntil = Number.NEGATIVE_INFINITY
  readonly #deps: LifeDeps
  readonly #clock: Clock

  constructor(deps: LifeDeps) {
    const { number, clock, disk, state, config, draw, faults, trace, isStorming } = deps
    this.#deps = deps
    this.number = number
    this.bornAt = clock.monotonic()
    this.#clock = this.#lifeClock()
    const step = () => this.#step()
    const stateDirectory = config.stateDir
    const shared = { clock, disk, state: state.reads, stateDirectory, draw: draw.of('files'), faults, trace }
    this.files = new FilesOfLife({ ...shared, step, isStorming })
  }

  /** Opens the state and starts the agent. False when the state cannot be read: the process ends. */
  async begin(): Promise<boolean> {
    const { config, state, sinks, draw, observers } = this.#deps
    const clock = this.#clock
    const events: Events = { emit: (name, detail) => this.#tell(name, detail) }
    const fs = { reads: this.files, writes: this.#writes(state.writes) }
    const common = { directory: config.stateDir, clock, events }
    const store = createCheckpointStore({ ...common, fs: fs.writes })
    try {
      await store.open()
    } catch {
      return false
    }
    this.checkpoints = store
    observers.opened(this, [...store.entries()])
    const deadLetters = createDeadLetters({ ...common, fs })
    const ports: AgentPorts = {
      fs,
      clock,
      random: () => draw.float(),
      gunzip: simGunzip(clock),
      createHttpClient: this.#http(clientsOf(sinks, this.number)),
      watchDirectories: () => ({ close: async () => {} }),
      output: { write: async () => {} },
      events,
      checkpoints: this.#watched(store),
      deadLetters,
    }
    const agent = new Agent(config, ports, { version: 'sim', once: false })
    agent.broken.catch((error: unknown) => this.#broke(error))
    this.agent = agent
    agent.start()
    return true
  }

  /** Nothing of it goes on. */
  kill(): void {
    if (this.isDead) return
    this.isDead = true
    this.files.closeAll()
  }

  /** SIGTERM. Resolves when the process has ended; whether all was delivered. */
  async stop(): Promise<boolean> {
    const { agent, checkpoints } = this
    if (agent === null || checkpoints === null) return false
    const controller = new AbortController()
    const cancel = this.#clock.after(STOP_MS_MAX, () => controller.abort())
    const drained = await agent.stop(controller.signal)
    cancel()
    await agent.ports.deadLetters.close()
    await checkpoints.close()
    return drained
  }

  /** False when it dies here, or is dead. */
  #survives(): boolean {
    if (this.isDead) return false
    if (--this.killIn > 0) return true
    this.kill()
    this.#deps.onKilled()
    return false
  }

  #step(): void {
    if (!this.#survives()) throw new Dead()
  }

  #tell<Name extends EventName>(name: Name, detail: AgentEvents[Name]): void {
    if (this.isDead) return
    this.#deps.trace.note(
      name,
      JSON.stringify(detail, (key, value) => (key === 'error' ? errorMessage(value) : value)),
    )
    this.#deps.observers.event(this, name, detail)
  }

  #broke(error: unknown): void {
    if (this.isDead) return
    this.#deps.observers.fail('process', `the agent broke: ${error instanceof Error ? error.stack : String(error)}`)
  }

  /** Waits until the process can hear of it: never, if it is dead. */
  async #hear(): Promise<void> {
    const { clock } = this.#deps
    while (!this.isDead && this.stalledUntil > clock.monotonic()) {
      await clock.sleep(this.stalledUntil - clock.monotonic())
    }
    if (this.isDead) await NEVER
  }

  async #alive<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise
    } finally {
      await this.#hear()
    }
  }

  #lifeClock(): Clock {
    const { clock } = this.#deps
    // A timer that is due while the event loop stands still can be cancelled until it runs.
    const after = (delayMs: number, what: () => void): Cancel => {
      let cancel = clock.after(delayMs, () => {
        if (this.isDead) return
        const restMs = this.stalledUntil - clock.monotonic()
        if (restMs > 0) {
          cancel = after(restMs, what)
          return
        }
        try {
          what()
        } catch (error) {
          this.#broke(error)
        }
      })
      return () => cancel()
    }
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after,
      sleep: (delayMs, signal) => this.#alive(clock.sleep(delayMs, signal)),
      yield: () => this.#alive(clock.yield()),
    }
  }

  #http(factory: HttpClientFactory): HttpClientFactory {
    return (origin, options) => {
      const client = factory(origin, options)
      return {
        send: (request) => (this.#survives() ? this.#alive(client.send(request)) : NEVER),
        close: () => client.close(),
      }
    }
  }

  #watched(store: CheckpointStore): CheckpointStore {
    const { observers, trace } = this.#deps
    return {
      open: () => store.open(),
      get: (sink, lineage) => store.get(sink, lineage),
      set: (sink, lineage, position) => {
        this.#step()
        const { path, offset, sizeSeen } = position
        trace.note('checkpoint', `${sink} ${lineage}: ${offset} of ${path}, ${sizeSeen} bytes seen`)
        observers.checkpoint(this, sink, lineage, position)
        store.set(sink, lineage, position)
      },
      metadata: (sink, lineage) => store.metadata(sink, lineage),
      setMetadata: (sink, lineage, metadata) => {
        this.#step()
        store.setMetadata(sink, lineage, metadata)
      },
      delete: (sink, lineage) => store.delete(sink, lineage),
      entries: () => store.entries(),
      flush: () => store.flush(),
      close: () => store.close(),
      status: () => store.status(),
    }
  }

  #writes(writes: WriteFileSystem): WriteFileSystem {
    const call = <T>(run: () => Promise<T>): Promise<T> => (this.#survives() ? this.#alive(run()) : NEVER)
    const handle = (inner: WriteHandle): WriteHandle => ({
      append: (data) => call(() => inner.append(data)),
      sync: () => call(() => inner.sync()),
      truncate: (lengthBytes) => call(() => inner.truncate(lengthBytes)),
      close: () => call(() => inner.close()),
    })
    return {
      readFile: (path) => call(() => writes.readFile(path)),
      openAppend: async (path, truncate) => handle(await call(() => writes.openAppend(path, truncate))),
      rename: (from, to) => call(() => writes.rename(from, to)),
      unlink: (path) => call(() => writes.unlink(path)),
      mkdir: (path) => call(() => writes.mkdir(path)),
      syncDirectory: (path) => call(() => writes.syncDirectory(path)),
      list: (path) => call(() => writes.list(path)),
    }
  }
}

/** Each origin's requests go to the sink whose it is. */
function clientsOf(sinks: readonly SimSink[], sender: number): HttpClientFactory {
  return (origin, options) => {
    const sink = sinks.find(({ origins }) => origins.includes(origin))
    if (sink === undefined) throw new Error(`nobody listens at ${origin}`)
    return sink.network.clientsOf(sender)(origin, options)
  }
}
