// `taffrail replay`: sends dead letters again and removes what was acknowledged. An agent may run on the same state
// directory meanwhile; another replay may not. Owns usage, the lock between replays, signals and the account that is shown.
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSink } from '../agent/sinks.ts'
import { acquireStateLock } from '../checkpoint/lock.ts'
import type { Config } from '../config/config.ts'
import { formatConfigError } from '../config/config-error.ts'
import { loadConfigFile } from '../config/load.ts'
import { errorMessage } from '../core/errors.ts'
import { type ReplayAccount, type Resender, replay as replayLetters } from '../deliver/replay.ts'
import { createCounters, createEvents } from '../observe/events.ts'
import { createLog, type LogLevel } from '../observe/log.ts'
import { realClock } from '../ports/clock.ts'
import { outputTo } from '../ports/output.ts'
import { realRandom } from '../ports/random.ts'
import { realFileSystem } from '../ports/real-fs.ts'
import { createHttpClient } from '../ports/real-http.ts'
import type { Sink } from '../sinks/sink.ts'
import { answer, type CommandIo, isNoWork, LOG_LEVELS, type NoWork } from './usage.ts'

const USAGE = `Usage: taffrail replay DIR [--sink NAME] --config FILE

Sends the dead letters in DIR (a state directory, or the dead-letters directory in it) to the sinks that refused them, and
removes what is acknowledged. What is refused again stays, with its new reason. An agent may run meanwhile. To end it early
is safe; to run it again, too: a repeat is the same entry.

  -c, --config FILE     the configuration, YAML or JSON: where the sinks are
      --sink NAME       only the letters of this sink
      --log-level LEVEL debug, info, warn (default), error or silent; the log goes to stderr
  -h, --help            this text

Exit codes: 0 no letter is left, 1 some are, or it failed, 2 bad usage or configuration.
`

type Usage = { directory: string; path: string; sink: string | null; level: LogLevel } | NoWork

/** Runs the command with `args` (what follows `replay`). Gives the exit code and throws nothing. */
export async function replay(args: string[], io: CommandIo): Promise<number> {
  const usage = parseUsage(args)
  if (isNoWork(usage)) return answer('replay', usage, USAGE, io)
  const loaded = loadConfigFile(usage.path, io.env)
  if ('errors' in loaded) {
    for (const error of loaded.errors) io.stderr(`${formatConfigError(error)}\n`)
    return 2
  }
  const { config } = loaded
  if (usage.sink !== null && !config.sinks.some(({ name }) => name === usage.sink)) {
    const names = config.sinks.map(({ name }) => name).join(', ')
    io.stderr(`taffrail replay: --sink ${usage.sink}: ${usage.path} has no such sink, only ${names}\n`)
    return 2
  }
  try {
    const directory = lettersDirectory(usage.directory)
    const accounts =
      directory === null ? new Map<string, ReplayAccount>() : await run(directory, config, usage.sink, usage.level)
    io.stdout(describe(accounts, usage.sink))
    return [...accounts].every(([name, account]) => isDone(account) || isOther(name, usage.sink)) ? 0 : 1
  } catch (error) {
    io.stderr(`taffrail replay: ${errorMessage(error)}\n`)
    return 1
  }
}

async function run(
  directory: string,
  config: Config,
  only: string | null,
  level: LogLevel,
): Promise<Map<string, ReplayAccount>> {
  const ending = new AbortController()
  const stop = () => ending.abort()
  const lock = acquireStateLock(directory)
  process.on('SIGTERM', stop).on('SIGINT', stop)
  const events = createEvents(createLog({ level }), createCounters(), realClock)
  // What is refused again makes no new letter: it stays in its file.
  const deadLetters = { write: async () => {}, close: async () => {} }
  const common = { clock: realClock, random: realRandom, events, deadLetters, createHttpClient, output: outputTo(1) }
  const all = config.sinks
    .filter(({ name }) => !isOther(name, only))
    .map((sink) => createSink(sink, config.clusterName, common))
  try {
    const sinks = new Map(all.filter(canResend).map((sink) => [sink.name, sink]))
    const { signal } = ending
    return await replayLetters({ directory, sinks, fs: realFileSystem.writes, clock: realClock, signal })
  } finally {
    process.off('SIGTERM', stop).off('SIGINT', stop)
    await Promise.all(all.map((sink) => sink.close()))
    events.close()
    lock.release()
  }
}

function canResend(sink: Sink): sink is Sink & Resender {
  return sink.resend !== undefined
}

/**
 * null: a state directory that has none, whose lock is the agent's. Throws when it is not there: to make it would be to agree with
 * a slip of the pen.
 */
function lettersDirectory(directory: string): string | null {
  const below = join(directory, 'dead-letters')
  const hasLetters = existsSync(below)
  if (!hasLetters && existsSync(join(directory, 'checkpoints.log'))) return null
  const path = hasLetters ? below : directory
  if (!existsSync(path)) throw new Error(`${path}: there is no such directory`)
  if (!statSync(path).isDirectory()) throw new Error(`${path} is not a directory`)
  return path
}

function isOther(name: string, only: string | null): boolean {
  return only !== null && name !== only
}

function isDone({ refused, unsent }: ReplayAccount): boolean {
  return refused.size === 0 && unsent === 0
}

function describe(accounts: ReadonlyMap<string, ReplayAccount>, only: string | null): string {
  const shown = [...accounts].filter(([name]) => !isOther(name, only))
  if (shown.length === 0) return 'no dead letters\n'
  let text = ''
  for (const [name, { sent, refused, unsent, unreadable }] of shown) {
    const again = [...refused.values()].reduce((sum, count) => sum + count, 0)
    const reasons = [...refused].map(([reason, count]) => `${reason} ${count}`).join(', ')
    text += `${name}: ${sent} sent, ${again} refused again${again === 0 ? '' : ` (${reasons})`}, ${unsent} not sent\n`
    if (unreadable > 0)
      text += `${name}: ${unreadable} lines are no letters (torn by a crash, or damaged); they stay in their files\n`
  }
  return text
}

function parseUsage(args: string[]): Usage {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        sink: { type: 'string' },
        'log-level': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) return { help: true }
    const [directory, ...more] = positionals
    if (directory === undefined || directory === '') return { problem: 'DIR is missing' }
    if (more.length > 0) return { problem: `one DIR at a time, not also ${more.join(' ')}` }
    if (values.config === undefined || values.config === '') return { problem: '--config FILE is missing' }
    const level = (values['log-level'] ?? 'warn') as LogLevel
    if (!LOG_LEVELS.includes(level)) return { problem: `--log-level ${level}: must be one of ${LOG_LEVELS.join(', ')}` }
    return { directory, path: values.config, sink: values.sink ?? null, level }
  } catch (error) {
    return { problem: errorMessage(error) }
  }
}
