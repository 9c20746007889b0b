// The command line of the benchmark, and the sizes that follow from it.

import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { AGENT, type Contender, parseContender } from './agent.ts'
import type { Cores } from './measure.ts'
import { allowedCores } from './proc.ts'

export const CASE_NAMES = [
  'throughput',
  'exact',
  'bulk',
  'audit',
  'large-events',
  'search',
  'fleet',
  'crowd',
  'steady',
  'latency',
  'idle',
  'pods',
  'webhook',
] as const
export type CaseName = (typeof CASE_NAMES)[number]

export const USAGE = `usage: npm run bench -- [--case NAME[,NAME…]] [--quick] [--source] [--agent '[NAME=]COMMAND …']…
  [--bytes N] [--rounds N] [--seconds N] [--dir DIRECTORY] [--out FILE] [--seed N] [--profile DIRECTORY]
cases: ${CASE_NAMES.join(', ')} (all by default)
--agent    is given \`--config FILE [--once]\`; several are measured in turn, in the same rounds
--source   measures src/main.ts instead of the agent as it is shipped, compiled into a temporary directory
--quick    small sizes and short times: shows that it works, not how well
--out      where the results go; by default bench/results.md, for a whole run that is not quick
--profile  one more throughput run of each agent under node --cpu-prof, not counted; the profiles go there
`

export interface Settings {
  cases: CaseName[]
  contenders: Contender[]
  quick: boolean
  /** Whether the agent is to be compiled, and measured as that instead of from its source. */
  built: boolean
  cores: Cores
  /** Where trees and state are made. */
  parentDirectory: string
  /** null: results are only printed. */
  outPath: string | null
  profileDirectory: string | null
  seed: number
  corpusBytes: number
  corpusFiles: number
  rounds: number
  /** Length of a paced case's window, and of what goes before it. */
  pacedSeconds: number
  warmUpSeconds: number
  idleFiles: number
  idleSeconds: number
  idleWarmUpSeconds: number
}

/** Throws an Error whose message is for the user. */
export function readSettings(argv: string[]): Settings {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      case: text,
      quick: { type: 'boolean', default: false },
      source: { type: 'boolean', default: false },
      agent: { type: 'string', multiple: true },
      bytes: text,
      rounds: text,
      seconds: text,
      dir: text,
      out: text,
      seed: text,
      profile: text,
    },
  })
  const { quick, source } = values
  const cases = (values.case?.split(',') ?? [...CASE_NAMES]) as CaseName[]
  for (const name of cases) if (!CASE_NAMES.includes(name)) throw new Error(`unknown case ${name}\n${USAGE}`)
  const whole = cases.length === CASE_NAMES.length && !quick && values.agent === undefined
  const defaultOut = whole ? new URL('./results.md', import.meta.url).pathname : null
  const cores = allowedCores()
  return {
    cases,
    contenders: values.agent?.map(parseContender) ?? [AGENT],
    quick,
    built: !source && values.agent === undefined,
    cores: { measured: cores[0]!, others: cores[1] ?? cores[0]! },
    parentDirectory: values.dir ?? tmpdir(),
    outPath: values.out ?? defaultOut,
    profileDirectory: values.profile ?? null,
    seed: count('seed', values.seed, 1),
    corpusBytes: count('bytes', values.bytes, quick ? 128 * 2 ** 20 : 2 ** 30),
    corpusFiles: 20,
    rounds: count('rounds', values.rounds, quick ? 2 : 5),
    pacedSeconds: count('seconds', values.seconds, quick ? 5 : 30),
    warmUpSeconds: quick ? 3 : 8,
    idleFiles: 1000,
    idleSeconds: count('seconds', values.seconds, quick ? 10 : 60),
    idleWarmUpSeconds: quick ? 3 : 15,
  }
}

function count(name: string, value: string | undefined, fallback: number): number {
  const number = Number(value ?? fallback)
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} ${value} is not a whole number from 1`)
  return number
}
