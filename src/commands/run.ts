// `taffrail run`: the agent as a service. Owns the process's side of it: configuration and its reload, signals, the
// state directory's lock, the server, the order in which things end.
import { parseArgs } from 'node:util'
import type { AgentPorts } from '../agent/ports.ts'
import { Agent } from '../agent.ts'
import type { Config } from '../config/config.ts'
import { formatConfigError } from '../config/config-error.ts'
import { loadConfigFile } from '../config/load.ts'
import { errorMessage, TaffrailError } from '../core/errors.ts'
import { createCounters, createEvents } from '../observe/events.ts'
import { createLog, type Log, type LogLevel } from '../observe/log.ts'
import { createMetrics } from '../observe/metrics.ts'
import { page } from '../observe/page/page.ts'
import { type RunningServer, startServer } from '../observe/server.ts'
import { realClock } from '../ports/clock.ts'
import { VERSION } from '../version.ts'
import { openRealPorts, type RealPorts } from './real-ports.ts'
import { answer, type CommandIo, isNoWork, LOG_LEVELS, type NoWork } from './usage.ts'

const USAGE = `Usage: taffrail run --config FILE [--once]

Tails, enriches and delivers until it is told to stop (SIGTERM, SIGINT). SIGHUP reads the configuration again.

  -c, --config FILE     the configuration, YAML or JSON
      --once            read all there is to the end, deliver it, and exit
      --log-level LEVEL debug, info (default), warn, error or silent; the log goes to stderr
  -h, --help            this text

Told to stop, it delivers what is in the files by then, for at most 8 s, and says what is left.

Exit codes: 0 done, 1 failed (or stopped before all was delivered: the next start goes on there), 2 bad usage or
configuration.
`

/** How long a stop waits for what is under way. */
export const STOP_MS_MAX = 10_000
/** The first part of it: what is in the files by then is delivered. */
const FINISH_MS_MAX = 8000
/** The reason of the end that `--once` is to come to. */
const ONCE = '--once'
/** A pod that takes over a host directory cannot see that we live; we can see that it did. */
const LOCK_CHECK_MS = 2000
type Usage = { path: string; once: boolean; level: LogLevel } | NoWork

/** Runs the command; resolves with the exit code when the agent has ended. */
export async function run(args: string[], io: CommandIo): Promise<number> {
  const usage = parseUsage(args)
  if (isNoWork(usage)) return answer('run', usage, USAGE, io)
  const loaded = loadConfigFile(usage.path, io.env)
  if ('errors' in loaded) {
    for (const error of loaded.errors) io.stderr(`${formatConfigError(error)}\n`)
    return 2
  }
  const log = createLog({ level: usage.level })
  try {
    return await new Service(usage.path, usage.once, loaded.config, log, io).run()
  } catch (error) {
    log.fatal({ event: 'agent.failed', code: (error as { code?: string }).code }, errorMessage(error))
    return 1
  }
}

class Service {
  readonly #path: string
  readonly #once: boolean
  readonly #log: Log
  readonly #io: CommandIo
  #config: Config
  readonly #counters = createCounters()
  readonly #events: ReturnType<typeof createEvents>
  #agent: Agent | null = null
  #server: RunningServer | null = null
  /** Of the configuration that was read last, if it was not taken. */
  #configErrors: readonly string[] = []
  /** Reloads, one after the other. */
  #turn: Promise<void> = Promise.resolve()
  #isEnding = false

  constructor(path: string, once: boolean, config: Config, log: Log, io: CommandIo) {
    this.#path = path
    this.#once = once
    this.#config = config
    this.#log = log
    this.#io = io
    this.#events = createEvents(log, this.#counters, realClock)
  }

  async run(): Promise<number> {
    const events = this.#events
    const state = await openRealPorts(this.#config.stateDir, events)
    const { ports } = state
    const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<string>()
    const stopOn = (signal: NodeJS.Signals) => end(signal)
    const reload = () => {
      this.#turn = this.#turn.then(() => this.#reload(ports, fail)).catch(fail)
    }
    process.on('SIGTERM', stopOn).on('SIGINT', stopOn).on('SIGHUP', reload)
    try {
      const agent = this.#newAgent(ports, fail)
      // Before anything is sent: where the port is taken, every attempt to start would send the same again.
      await this.#startServer(this.#config)
      agent.start()
      if (this.#once) agent.drain().then(() => end(ONCE), fail)
      const reason = await ended.finally(this.#watchState(state, fail))
      this.#isEnding = true
      events.emit('agent.stopping', { reason })
      await this.#turn
      const current = this.#agent as Agent
      const giveUp = AbortSignal.timeout(STOP_MS_MAX)
      const finished = this.#once ? reason === ONCE : await current.finish(AbortSignal.timeout(FINISH_MS_MAX))
      const drained = await current.stop(giveUp)
      await state.close()
      events.emit('agent.stopped', { drained, left: current.left })
      return finished ? 0 : 1
    } finally {
      this.#isEnding = true
      await this.#server?.close()
      state.release()
      events.close()
      process.off('SIGTERM', stopOn).off('SIGINT', stopOn).off('SIGHUP', reload)
    }
  }

  /** Fails when another process takes the state directory over; returns what ends the watch. */
  #watchState(state: RealPorts, fail: (error: unknown) => void): () => void {
    const { stateDir } = this.#config
    const timer = setInterval(() => {
      try {
        if (!state.isHeld()) fail(new TaffrailError('STATE_LOCKED', `${stateDir}: another process has taken it over`))
      } catch (error) {
        this.#events.emit('checkpoint.failed', { path: stateDir, error })
      }
    }, LOCK_CHECK_MS)
    return () => clearInterval(timer)
  }

  #newAgent(ports: AgentPorts, fail: (error: unknown) => void): Agent {
    const agent = new Agent(this.#config, ports, { version: VERSION, once: this.#once })
    agent.broken.catch(fail)
    this.#agent = agent
    return agent
  }

  async #startServer({ server }: Config): Promise<void> {
    this.#server = null
    if (server === null) return
    const status = () => ({ ...(this.#agent as Agent).status(), configErrors: this.#configErrors })
    const metrics = createMetrics(status, this.#counters)
    this.#server = await startServer({ listen: server.listen, status, metrics, page, log: this.#log })
    this.#log.info({ event: 'server.listening', address: this.#server.address }, `listening on ${this.#server.address}`)
  }

  /** Takes up a changed configuration, or keeps the old one, loudly. */
  async #reload(ports: AgentPorts, fail: (error: unknown) => void): Promise<void> {
    if (this.#isEnding) return
    const loaded = loadConfigFile(this.#path, this.#io.env)
    if ('errors' in loaded) return this.#reject(loaded.errors.map(formatConfigError))
    const errors = this.#unchangeable(loaded.config)
    try {
      ports.apiAccess?.(loaded.config.kubernetes)
    } catch (error) {
      errors.push(`${this.#path}: kubernetes.metadata: ${errorMessage(error)}`)
    }
    if (errors.length === 0) errors.push(...(await this.#moveServer(loaded.config)))
    if (errors.length > 0) return this.#reject(errors)
    this.#config = loaded.config
    await this.#agent?.stop(AbortSignal.timeout(STOP_MS_MAX))
    if (this.#isEnding) return
    this.#newAgent(ports, fail).start()
    this.#configErrors = []
    this.#events.emit('config.reloaded', { path: this.#path })
  }

  #reject(errors: string[]): void {
    this.#configErrors = errors
    this.#events.emit('config.rejected', { path: this.#path, errors })
  }

  /** Lets the server listen elsewhere. Where it cannot, it goes back to where it was, and that is the error. */
  async #moveServer(config: Config): Promise<string[]> {
    if (config.server?.listen === this.#config.server?.listen) return []
    await this.#server?.close()
    try {
      await this.#startServer(config)
      return []
    } catch (error) {
      await this.#startServer(this.#config)
      return [`${this.#path}: server.listen: ${errorMessage(error)}`]
    }
  }

  #unchangeable(config: Config): string[] {
    if (this.#once) return [`${this.#path}: nothing changes while --once runs; start it again`]
    const errors: string[] = []
    const { stateDir, limits } = this.#config
    if (config.stateDir !== stateDir)
      errors.push(`${this.#path}: stateDir: cannot change while taffrail runs; restart it`)
    if (config.limits.memory !== limits.memory) {
      errors.push(`${this.#path}: limits.memory: cannot change while taffrail runs; restart it`)
    }
    return errors
  }
}

function parseUsage(args: string[]): Usage {
  try {
    const { values } = parseArgs({
      args,
      options: {
        config: { type: 'string', short: 'c' },
        once: { type: 'boolean' },
        'log-level': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) return { help: true }
    if (values.config === undefined || values.config === '') return { problem: '--config FILE is missing' }
    const level = (values['log-level'] ?? 'info') as LogLevel
    if (!LOG_LEVELS.includes(level)) return { problem: `--log-level ${level}: must be one of ${LOG_LEVELS.join(', ')}` }
    return { path: values.config, once: values.once ?? false, level }
  } catch (error) {
    return { problem: errorMessage(error) }
  }
}
