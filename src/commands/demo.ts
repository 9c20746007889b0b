// `taffrail demo`: a small node in a temporary directory, tailed by the real agent, which pushes to an embedded Loki that
// checks every line, or to one of the user's (LOKI_URL). Owns the order in which things begin and end; whatever happens,
// the directory is removed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Agent } from '../agent.ts'
import type { Config } from '../config/config.ts'
import { formatConfigError } from '../config/config-error.ts'
import { loadConfigFile } from '../config/load.ts'
import { errorCode, errorMessage } from '../core/errors.ts'
import { Account } from '../demo/account.ts'
import { demoConfig, lokiFromEnv } from '../demo/config.ts'
import { DemoLog } from '../demo/demo-log.ts'
import { Display, type DisplayIo } from '../demo/display.ts'
import { Interrupts } from '../demo/interrupts.ts'
import { UNLIMITED_RATES } from '../demo/loki-limits.ts'
import { DemoNode } from '../demo/node.ts'
import { type Receiver, startReceiver } from '../demo/receiver.ts'
import { colourPaint, type Paint, plainPaint } from '../demo/screen.ts'
import { accountLines, type View, verdict } from '../demo/summary.ts'
import { createCounters, createEvents } from '../observe/events.ts'
import { createMetrics } from '../observe/metrics.ts'
import { page } from '../observe/page/page.ts'
import { type RunningServer, type ServerOptions, startServer } from '../observe/server.ts'
import { realClock } from '../ports/clock.ts'
import { VERSION } from '../version.ts'
import { openRealPorts } from './real-ports.ts'
import { answer, type CommandIo, isNoWork, type NoWork } from './usage.ts'

const USAGE = `Usage: taffrail demo [--seconds N] [--rate N] [--keep]
       npm start -- [--seconds N] [--rate N] [--keep]

A small node on this machine: sample containers write logs, which are rotated, compressed, restarted and deleted, and
the real agent tails them. It pushes to an embedded Loki that checks every line, or to yours:

  LOKI_URL=http://HOST:3100 [LOKI_TENANT=NAME] npm start

  --seconds N   end after so many seconds; without it, Ctrl-C ends it
  --rate N      lines per second, 1 to 50000 (default 3000)
  --keep        leave the temporary directory behind
  -h, --help    this text

Exit codes: 0 every line arrived exactly once, 1 not so, 2 bad usage.
`

/** The agent alone has 96Mi; here the writers and the receiver live in the same process. */
const MEMORY_BYTES = 192 * 1024 * 1024
const RATE_DEFAULT = 3000
const RATE_MAX = 50_000
/** As long as a timer can be set. */
const SECONDS_MAX = 2_000_000
const DRAIN_MS_MAX = 30_000
/** A Loki of the user's may be down for good. */
const DRAIN_LOKI_MS_MAX = 10_000
const STOP_MS_MAX = 5000
const PAGE_LISTEN = ['127.0.0.1:9095', '127.0.0.1:0']
/** The exit code of a process that a SIGINT ended. */
const INTERRUPTED = 130

interface Options {
  /** Null: until a signal ends it. */
  seconds: number | null
  /** Lines per second. */
  rate: number
  keep: boolean
}

type Usage = Options | NoWork

export interface DemoIo extends CommandIo {
  /** Called with the bytes that the process may use before anything is started: a chance to start it anew under limits. */
  prepare?: (memoryBytes: number) => void
}

/** Runs the demo; resolves with the exit code. */
export async function demo(args: string[], io: DemoIo): Promise<number> {
  const usage = parseUsage(args)
  if (isNoWork(usage)) return answer('demo', usage, USAGE, io)
  io.prepare?.(MEMORY_BYTES)
  const directory = mkdtempSync(join(tmpdir(), 'taffrail-demo-'))
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  // However the process ends, short of kill -9.
  if (!usage.keep) process.once('exit', remove)
  try {
    return await perform(directory, usage, io)
  } catch (error) {
    io.stderr(`taffrail demo: ${errorMessage(error)}\n`)
    return 1
  } finally {
    if (usage.keep) io.stdout(`Kept: ${directory}\n`)
  }
}

/** All from the receiver's start to the account. What was begun is ended in turn, also after a failure. */
async function perform(directory: string, { seconds, rate }: Options, io: DemoIo): Promise<number> {
  const endings: (() => unknown)[] = []
  try {
    const interrupts = new Interrupts()
    endings.push(() => interrupts.close())
    const { loki, env } = lokiFromEnv(io.env)
    const account = loki === null ? new Account() : null
    const receiver = account && (await startReceiver({ limits: UNLIMITED_RATES, onEntry: account.see }))
    endings.push(() => receiver?.close())
    const loaded = configure(directory, receiver?.url ?? null, env)
    if ('problems' in loaded) {
      io.stderr(loaded.problems.map((problem) => `taffrail demo: ${problem}\n`).join(''))
      return 2
    }
    const log = new DemoLog(`${directory}/agent.log`)
    const counters = createCounters()
    const events = createEvents(log.log, counters, realClock)
    endings.push(() => events.close())
    const state = await openRealPorts(loaded.config.stateDir, events)
    endings.push(() => state.release())

    const node = new DemoNode(`${directory}/log`, rate)
    endings.push(() => node.stop())
    node.start()
    const agent = new Agent(loaded.config, state.ports, { version: VERSION, once: false })
    endings.push(() => agent.stop(AbortSignal.abort()))
    agent.start()
    const status = () => agent.status()
    const server = await startPage({ status, metrics: createMetrics(status, counters), page, log: log.log })
    endings.push(() => server?.close())
    const stage = { rate, root: `${directory}/log`, page: server && `http://${server.address}`, loki, log: log.path }
    const screen = displayIo(io)
    const display = new Display({ node, status, account, warnings: () => log.lines }, stage, screen)
    endings.push(() => display.stop())
    display.start()

    const failed = Promise.race([agent.broken, node.failed])
    const timeUp = seconds === null ? interrupts.first : realClock.sleep(seconds * 1000, interrupts.closed)
    await Promise.race([interrupts.first, timeUp, failed])
    display.draining = true
    await node.stop()
    const drainMsMax = loki === null ? DRAIN_MS_MAX : DRAIN_LOKI_MS_MAX
    const within = (ms: number) => AbortSignal.any([interrupts.again, AbortSignal.timeout(ms)])
    await Promise.race([agent.drain(within(drainMsMax)), failed])
    await agent.stop(within(STOP_MS_MAX))
    await state.close()
    if (interrupts.again.aborted) return INTERRUPTED
    account?.expect(node.writers)
    display.end()
    const end = conclude(display.view(true), receiver, screen.paint)
    io.stdout(end.text)
    if (!end.ok && log.keep(`${directory}.log`)) io.stdout(`The agent's log: ${directory}.log\n`)
    return end.ok ? 0 : 1
  } finally {
    // What led here is told; what fails on the way out follows from it.
    for (const end of endings.reverse()) await (async () => end())().catch(() => {})
  }
}

/** The account and the verdict. */
function conclude(view: View, receiver: Receiver | null, paint: Paint): { ok: boolean; text: string } {
  const usage = process.resourceUsage()
  const costs = {
    requestBytes: receiver?.counts.bodyBytes ?? null,
    cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
    rssBytesMax: usage.maxRSS * 1024,
  }
  const { ok, sentence } = verdict(view)
  const lines = ['', ...accountLines(view, costs, paint), '', paint(ok ? 'green' : 'red', sentence), '']
  return { ok, text: lines.join('\n') }
}

/** The status page on its usual port, on a free one, or not at all. */
async function startPage(options: Omit<ServerOptions, 'listen'>): Promise<RunningServer | null> {
  for (const listen of PAGE_LISTEN) {
    try {
      return await startServer({ ...options, listen })
    } catch (error) {
      if (errorCode(error) !== 'SERVER_LISTEN') throw error
    }
  }
  return null
}

function configure(
  directory: string,
  receiverUrl: string | null,
  env: NodeJS.ProcessEnv,
): { config: Config } | { problems: string[] } {
  const path = join(directory, 'taffrail.yaml')
  writeFileSync(path, demoConfig(directory, receiverUrl, env))
  const loaded = loadConfigFile(path, env)
  if ('config' in loaded) return loaded
  const variables: Record<string, string> = { 'sinks[0].url': 'LOKI_URL', 'sinks[0].tenant': 'LOKI_TENANT' }
  const problems = loaded.errors.map((error) => {
    const variable = variables[error.key]
    return variable === undefined ? formatConfigError(error) : `${variable}: ${error.message}`
  })
  return { problems }
}

/** A terminal that can be drawn on, or one that takes lines. */
function displayIo({ stdout, env }: DemoIo): DisplayIo {
  const live = process.stdout.isTTY === true && env.TERM !== 'dumb'
  const paint = live && !env.NO_COLOR ? colourPaint : plainPaint
  return { write: stdout, columns: () => process.stdout.columns || 80, live, paint }
}

function parseUsage(args: string[]): Usage {
  try {
    const { values } = parseArgs({
      args,
      options: {
        seconds: { type: 'string' },
        rate: { type: 'string' },
        keep: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) return { help: true }
    const seconds = values.seconds === undefined ? null : Number(values.seconds)
    if (seconds !== null && !(seconds > 0 && seconds <= SECONDS_MAX)) {
      return { problem: `--seconds ${values.seconds}: must be a number of seconds, more than 0` }
    }
    const rate = values.rate === undefined ? RATE_DEFAULT : Number(values.rate)
    if (!(rate >= 1 && rate <= RATE_MAX)) {
      return { problem: `--rate ${values.rate}: must be lines per second, 1 to ${RATE_MAX}` }
    }
    return { seconds, rate, keep: values.keep ?? false }
  } catch (error) {
    return { problem: errorMessage(error) }
  }
}
