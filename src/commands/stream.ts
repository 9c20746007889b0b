// `taffrail stream`: the agent as a sidecar, which follows files to its own standard output. It is the same agent, with
// one source and one sink, and nothing loaded that speaks to a network. Without a state directory it keeps its
// checkpoints in memory. Bound: STREAM_MEMORY_BYTES of anonymous memory.
import type { AgentPorts } from '../agent/ports.ts'
import { Agent } from '../agent.ts'
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import { MemoryCheckpoints } from '../checkpoint/memory-store.ts'
import { cgroupLimits } from '../config/cgroup.ts'
import { errorMessage, TaffrailError } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import { STREAM_MEMORY_BYTES } from '../limits.ts'
import { createCounters, createEvents } from '../observe/events.ts'
import { createLog } from '../observe/log.ts'
import { realClock } from '../ports/clock.ts'
import { realCpuTime } from '../ports/cpu.ts'
import { realGunzip } from '../ports/gunzip.ts'
import { outputTo } from '../ports/output.ts'
import { realRandom } from '../ports/random.ts'
import { realFileSystem } from '../ports/real-fs.ts'
import { watchFile } from '../ports/watch-file.ts'
import { VERSION } from '../version.ts'
import { parseStream, type StreamOptions, streamConfig, USAGE } from './stream-options.ts'
import { answer, type CommandIo, isNoWork } from './usage.ts'

/** How long a stop waits for a slow reader of standard output: well within the 30 s that a pod is given. */
const FINISH_MS_MAX = 20_000
const STOP_MS_MAX = 1000
/** As little as a process can live on. */
const CPU_MIN = 10

/** Runs the command; resolves with the exit code when it was told to stop and has ended. */
export async function stream(args: string[], io: Pick<CommandIo, 'stdout' | 'stderr'>): Promise<number> {
  const options = parseStream(args)
  if (isNoWork(options)) return answer('stream', options, USAGE, io)
  const log = createLog({ level: options.level })
  const events = createEvents(log, createCounters(), realClock)
  try {
    return await follow(options, events)
  } catch (error) {
    log.fatal({ event: 'agent.failed', code: (error as { code?: string }).code }, errorMessage(error))
    return 1
  } finally {
    events.close()
  }
}

async function follow(options: StreamOptions, events: Events): Promise<number> {
  const cpu = cgroupLimits(realFileSystem.reads).cpu?.value ?? null
  const config = streamConfig(options, STREAM_MEMORY_BYTES, cpu === null ? null : Math.max(CPU_MIN, cpu))
  const signals = new Signals()
  const state = await openState(options.stateDir, events)
  try {
    const agent = new Agent(config, portsOf(state.checkpoints, events), { version: VERSION, once: false })
    agent.start()
    events.emit('agent.stopping', { reason: await Promise.race([signals.first, agent.broken]) })
    const giveUp = AbortSignal.any([signals.second, AbortSignal.timeout(FINISH_MS_MAX)])
    const isFinished = await Promise.race([agent.finish(giveUp, true), agent.broken])
    const drained = await agent.stop(AbortSignal.any([signals.second, AbortSignal.timeout(STOP_MS_MAX)]))
    events.emit('agent.stopped', { drained, left: agent.left })
    return isFinished ? 0 : 1
  } finally {
    await state.close()
    signals.close()
  }
}

/** The first signal to stop asks for an end, the second one for it at once. */
class Signals {
  readonly first: Promise<string>
  readonly second: AbortSignal
  readonly #on: (signal: NodeJS.Signals) => void

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>()
    const again = new AbortController()
    let isFirst = true
    this.first = promise
    this.second = again.signal
    this.#on = (signal) => {
      if (isFirst) resolve(signal)
      else again.abort()
      isFirst = false
    }
    process.on('SIGTERM', this.#on).on('SIGINT', this.#on)
  }

  close(): void {
    process.off('SIGTERM', this.#on).off('SIGINT', this.#on)
  }
}

/** Checkpoints on disk, in a directory that is locked, or none that outlive the process. Throws `STATE_LOCKED` or the system's error. */
async function openState(
  directory: string | null,
  events: Events,
): Promise<{ checkpoints: CheckpointStore; close: () => Promise<void> }> {
  if (directory === null) return { checkpoints: new MemoryCheckpoints(), close: async () => {} }
  const { acquireStateLock } = await import('../checkpoint/lock.ts')
  const { createCheckpointStore } = await import('../checkpoint/store.ts')
  const lock = acquireStateLock(directory)
  const checkpoints = createCheckpointStore({ directory, fs: realFileSystem.writes, clock: realClock, events })
  const close = async () => {
    await checkpoints.close()
    lock.release()
  }
  try {
    await checkpoints.open()
    return { checkpoints, close }
  } catch (error) {
    lock.release()
    throw error
  }
}

function portsOf(checkpoints: CheckpointStore, events: Events): AgentPorts {
  const needed = (what: string): never => {
    throw new TaffrailError('INVARIANT', `standard output has no need of ${what}`)
  }
  return {
    fs: realFileSystem,
    clock: realClock,
    random: realRandom,
    gunzip: realGunzip,
    createHttpClient: () => needed('an HTTP client'),
    watchDirectories: () => needed('hints about directories'),
    watchFile,
    output: outputTo(1),
    cpuTime: realCpuTime,
    events,
    checkpoints,
    deadLetters: { write: async () => needed('dead letters'), close: async () => {} },
  }
}
