// taffrail as a child process, the way it is started for real: what it logs, how it stands, how it ends. Nothing here
// sleeps: one waits for a line of its log, for a state of its status page, or for its end, each with a deadline whose
// error shows what the child said last.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { AgentStatus } from '../../src/core/status.ts'

/** The sources, or what was built of them and is named in the environment. */
export const MAIN = process.env.TAFFRAIL_PROGRAM ?? fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** For whatever a child is waited for. It is generous: a test never waits this long unless it fails. */
const DEADLINE_MS = process.env.TAFFRAIL_LONG === '1' ? 600_000 : 45_000
const POLL_MS = 15
const RECORDS_TOLD = 15

const children = new Set<ChildProcess>()

/** A test that runs out of time is ended by a signal: its children must not outlive it. */
function killAll(): void {
  for (const child of children) child.kill('SIGKILL')
}
process.once('exit', killAll)
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGALRM'] as const) {
  process.once(signal, () => {
    killAll()
    process.kill(process.pid, signal)
  })
}

/** A line of the agent's log. */
export interface LogRecord {
  level: string
  event: string
  msg: string
  [field: string]: unknown
}

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface StartOptions {
  /** Arguments of node's own, before the program. */
  nodeArgs?: string[]
  env?: NodeJS.ProcessEnv
  /** The file that node runs; src/main.ts unless given. */
  program?: string
  /** A command, with its arguments, that runs the rest of the command line. */
  prefix?: string[]
  uid?: number
  stdio?: SpawnOptions['stdio']
}

/** A child under way. It is killed at the end of the test, if it is still there. */
export class TaffrailProcess {
  readonly child: ChildProcess
  /** What it logged, in order. */
  readonly log: LogRecord[] = []
  /** What it wrote to stderr besides. */
  readonly otherLines: string[] = []
  /** When it has ended and all that it wrote is here. */
  readonly ended: Promise<Ended>
  #stdout: Buffer[] = []
  #hasEnded = false
  #watchers = new Set<() => void>()

  constructor(t: Test, args: string[], options: StartOptions = {}) {
    const { nodeArgs = [], program = MAIN, prefix = [], env = {}, uid, stdio = ['ignore', 'pipe', 'pipe'] } = options
    // The test runner puts its own loader in the way of every child, by an environment that only the child itself can shed.
    const clean = env.NODE_OPTIONS === undefined ? ['-u', 'NODE_OPTIONS'] : [`NODE_OPTIONS=${env.NODE_OPTIONS}`]
    this.child = spawn('env', [...clean, ...prefix, process.execPath, ...nodeArgs, program, ...args], {
      stdio,
      env: {
        PATH: process.env.PATH,
        // What node makes of the sources does not change from one start to the next.
        NODE_COMPILE_CACHE: join(tmpdir(), `taffrail-test-compile-cache-${uid ?? 'own'}`),
        ...env,
      },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    children.add(this.child)
    const { stdout, stderr } = this.child
    stdout?.on('data', (chunk: Buffer) => this.#stdout.push(chunk))
    if (stderr !== null) createInterface(stderr).on('line', (line) => this.#take(line))
    // 'close' comes when all that it wrote was read.
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.#hasEnded = true
      children.delete(this.child)
      this.#notify()
      return { code, signal }
    })
    t.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.ended
    })
  }

  get pid(): number {
    return this.child.pid as number
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout)
  }

  /** Records of one event. */
  told(event: string): LogRecord[] {
    return this.log.filter((record) => record.event === event)
  }

  /** The first record, there or to come, of this event that matches. */
  async logged(event: string, matches: (record: LogRecord) => boolean = () => true): Promise<LogRecord> {
    const find = () => this.log.find((record) => record.event === event && matches(record))
    await this.#until(`it logs ${event}`, () => find() !== undefined)
    return find() as LogRecord
  }

  /** Resolves when `condition` holds; it is asked after each line of the log. */
  async #until(what: string, condition: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => {
      if (condition()) resolve()
      else if (this.#hasEnded) reject(new Error(`it ended before ${what}\n${this.story()}`))
    }
    const timer = setTimeout(
      () => reject(new Error(`not within ${DEADLINE_MS} ms: ${what}\n${this.story()}`)),
      DEADLINE_MS,
    )
    this.#watchers.add(look)
    look()
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#watchers.delete(look)
    }
  }

  /** The base URL of its server. */
  async serverUrl(): Promise<string> {
    return `http://${(await this.logged('server.listening')).address}`
  }

  async status(): Promise<AgentStatus> {
    const response = await fetch(`${await this.serverUrl()}/status`, { headers: { connection: 'close' } })
    return (await response.json()) as AgentStatus
  }

  /** Its status as soon as `condition` holds. */
  async statusWhen(what: string, condition: (status: AgentStatus) => boolean): Promise<AgentStatus> {
    let status: AgentStatus | null = null
    await eventually(
      () => `${what}\n${JSON.stringify(status, null, 1)}\n${this.story()}`,
      async () => {
        if (this.#hasEnded) throw new Error(`it ended before ${what}\n${this.story()}`)
        status = await this.status()
        return condition(status)
      },
    )
    return status as unknown as AgentStatus
  }

  /** Everything that was read is acknowledged, and the checkpoints are durable. */
  settled(): Promise<AgentStatus> {
    return this.statusWhen('all is acknowledged and durable', ({ ready, sinks, checkpoints }) => {
      return ready && checkpoints.pending === 0 && sinks.every((sink) => sink.lagBytes === 0 && sink.read.bytes > 0)
    })
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal)
    return within(this.ended, () => `it ends after ${signal}\n${this.story()}`)
  }

  /** Waits for its own end. */
  result(): Promise<Ended> {
    return within(this.ended, () => `it ends by itself\n${this.story()}`)
  }

  /** Anonymous memory that is resident now, in bytes. */
  get anonymousBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'latin1')
    return Number(/^RssAnon:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
  }

  /** What it said last, for people. */
  story(): string {
    const lines = [
      ...this.otherLines,
      ...this.log.slice(-RECORDS_TOLD).map((record) => `${record.level} ${record.msg}`),
    ]
    return lines.map((line) => `  | ${line}`).join('\n')
  }

  #take(line: string): void {
    try {
      this.log.push({ event: '', ...(JSON.parse(line) as { level: string; msg: string }) })
    } catch {
      this.otherLines.push(line)
    }
    this.#notify()
  }

  #notify(): void {
    for (const look of this.#watchers) look()
  }
}

/** Starts `taffrail run --config CONFIG …`. */
export function startRun(t: Test, config: string, args: string[] = [], options: StartOptions = {}): TaffrailProcess {
  return new TaffrailProcess(t, ['run', '--config', config, ...args], options)
}

/** Runs `taffrail …` to its end. */
export async function runToEnd(
  t: Test,
  args: string[],
  options: StartOptions = {},
): Promise<Ended & { stdout: string; stderr: string; process: TaffrailProcess }> {
  const taffrail = new TaffrailProcess(t, args, options)
  const ended = await taffrail.result()
  const stderr = taffrail.otherLines.map((line) => `${line}\n`).join('')
  return { ...ended, stdout: taffrail.stdout.toString(), stderr, process: taffrail }
}

/** Writes a configuration (JSON is YAML, a key a line) and returns its path. There is no server unless one is given. */
export function writeConfig(directory: string, config: object, name = 'taffrail.yaml'): string {
  const path = join(directory, name)
  const whole = { clusterName: 'test', nodeName: 'node', stateDir: join(directory, 'state'), server: 'off', ...config }
  writeFileSync(path, `${JSON.stringify(whole, null, 2)}\n`)
  return path
}

export const SERVER = { listen: '127.0.0.1:0' }

/** A Loki sink that is quick to send and to repeat. */
export function lokiSink(url: string, more: object = {}): object {
  return {
    name: 'loki',
    type: 'loki',
    url,
    batchAgeMax: '50ms',
    retryDelayMin: '20ms',
    retryDelayMax: '200ms',
    ...more,
  }
}

/** An elasticsearch sink for a receiver, as quick. */
export function elasticSink(url: string, more: object = {}): object {
  return {
    name: 'es',
    type: 'elasticsearch',
    urls: [url],
    batchAgeMax: '50ms',
    retryDelayMin: '20ms',
    retryDelayMax: '200ms',
    ...more,
  }
}

/** Resolves when `condition` holds, which is asked again and again. */
export async function eventually(what: () => string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what()}`)
    await sleep(POLL_MS)
  }
}

/** The promise, or an error that says what did not come about. */
export async function within<T>(promise: Promise<T>, what: () => string, deadlineMs = DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms: ${what()}`)), deadlineMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
