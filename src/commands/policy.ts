// `taffrail policy simulate`: what a policy would make of audit logs, rule by rule, before it is in use. It sends nothing
// and shows nothing of an event.
import { closeSync, createReadStream, openSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createGunzip } from 'node:zlib'
import { AuditFilter } from '../audit/filter.ts'
import { loadPolicyFile } from '../audit/policy/files.ts'
import { LEVELS, type Policy } from '../audit/policy/policy.ts'
import { deadRules } from '../audit/policy/reach.ts'
import { formatConfigError } from '../config/config-error.ts'
import { reason } from '../config/machine.ts'
import { errorMessage } from '../core/errors.ts'
import { answer, type CommandIo, isNoWork, type NoWork } from './usage.ts'

const USAGE = `Usage: taffrail policy simulate --policy FILE LOG...

Applies an audit.k8s.io/v1 Policy to audit logs (plain or .gz, - for standard input) and tells for each of its rules how
many events and bytes it keeps as they are, trims and drops.

  --policy FILE   the policy
  -h, --help      this text

Exit codes: 0 done, 1 a log could not be read, 2 bad usage or policy.
`

/** A longer line is counted as no event. */
const LINE_BYTES_MAX = 4 * 1024 * 1024

interface Tally {
  kept: number
  trimmed: number
  dropped: number
  bytesIn: number
  bytesOut: number
}

/** Runs the command with `args` (what follows `policy`). Gives the exit code and throws nothing. */
export async function policy(args: string[], io: Pick<CommandIo, 'stdout' | 'stderr'>): Promise<number> {
  const usage = parseUsage(args)
  if (isNoWork(usage)) return answer('policy', usage, USAGE, io)
  const loaded = loadPolicyFile(usage.policy)
  for (const warning of loaded.warnings) io.stderr(`warning: ${formatConfigError(warning)}\n`)
  if ('errors' in loaded) {
    for (const error of loaded.errors) io.stderr(`${formatConfigError(error)}\n`)
    return 2
  }
  const simulation = new Simulation(loaded.policy)
  for (const path of usage.logs) {
    try {
      await simulation.read(path)
    } catch (error) {
      io.stderr(`taffrail policy: ${path}: ${reason(error)}\n`)
      return 1
    }
  }
  io.stdout(simulation.report(loaded.policy))
  return 0
}

class Simulation {
  readonly #filter: AuditFilter
  /** By rule; the last one is for requests that no rule matches. */
  readonly #tallies: Tally[]
  #foreign = 0

  constructor(rules: Policy) {
    this.#filter = new AuditFilter({ policy: rules, mask: null, lineBytesMax: LINE_BYTES_MAX })
    this.#tallies = [...rules.rules, null].map(() => ({ kept: 0, trimmed: 0, dropped: 0, bytesIn: 0, bytesOut: 0 }))
  }

  async read(path: string): Promise<void> {
    if (path !== '-') closeSync(openSync(path, 'r')) // its error says which file it is
    const input = path === '-' ? process.stdin : createReadStream(path)
    const chunks = path.endsWith('.gz') ? input.pipe(createGunzip()) : input
    let rest: Buffer = Buffer.alloc(0)
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      const block = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let start = 0
      for (let end = block.indexOf(10); end >= 0; end = block.indexOf(10, start)) {
        this.#line(block, start, end)
        start = end + 1
      }
      rest = block.subarray(start)
    }
    if (rest.length > 0) this.#line(rest, 0, rest.length)
  }

  #line(block: Buffer, start: number, end: number): void {
    const filter = this.#filter
    let outcome = filter.judge(block, start, end)
    while (outcome === 'working') outcome = filter.step()
    if (outcome === 'kept' && !filter.isEvent) {
      if (end > start) this.#foreign++
      return
    }
    const tally = this.#tallies.at(filter.rule) as Tally
    tally.bytesIn += end - start
    if (outcome === 'dropped') {
      tally.dropped++
      return
    }
    const bytes = filter.end - filter.start
    tally.bytesOut += bytes
    if (filter.isTrimmed || bytes < end - start) tally.trimmed++
    else tally.kept++
  }

  report({ rules }: Policy): string {
    const remarks = new Map(
      deadRules({ rules, omitStages: 0, omitManagedFields: false }).map(({ rule, isCertain }) => [
        rule,
        isCertain ? 'can never match' : 'matches no usual request',
      ]),
    )
    const head = ['rule', 'level', 'kept', 'trimmed', 'dropped', 'bytes in', 'bytes out', '']
    const rows = this.#tallies.map((tally, index) => {
      const rule = rules[index]
      const name = rule === undefined ? 'none' : String(index)
      const { kept, trimmed, dropped, bytesIn, bytesOut } = tally
      return [
        name,
        LEVELS[rule?.level ?? 0] as string,
        ...[kept, trimmed, dropped, bytesIn, bytesOut].map(String),
        remarks.get(index) ?? '',
      ]
    })
    const sum = (key: keyof Tally) => String(this.#tallies.reduce((total, tally) => total + tally[key], 0))
    const all = ['all', '', sum('kept'), sum('trimmed'), sum('dropped'), sum('bytesIn'), sum('bytesOut'), '']
    const table = [head, ...rows, all]
    const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
    const text = table.map((row) =>
      row
        .map((cell, column) =>
          column < 2 || column > 6 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    const foreign = this.#foreign === 0 ? '' : `${this.#foreign} lines are no audit events\n`
    return `${text.join('\n')}\n${foreign}`
  }
}

type Usage = { policy: string; logs: string[] } | NoWork

function parseUsage([command, ...args]: string[]): Usage {
  if (command === '--help' || command === '-h') return { help: true }
  if (command !== 'simulate')
    return { problem: command === undefined ? 'which one? simulate' : `there is no policy ${command}` }
  try {
    const options = { policy: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    if (values.help) return { help: true }
    if (values.policy === undefined) return { problem: '--policy FILE is missing' }
    if (positionals.length === 0) return { problem: 'no log is named' }
    return { policy: values.policy, logs: positionals }
  } catch (error) {
    return { problem: errorMessage(error) }
  }
}
