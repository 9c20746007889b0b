// `taffrail setup`: puts index templates and lifecycle policies that are missing on the clusters that a configuration
// names. It changes nothing that is there, so it can run with every rollout.
import { parseArgs } from 'node:util'
import type { Config } from '../config/config.ts'
import { formatConfigError } from '../config/config-error.ts'
import { loadConfigFile } from '../config/load.ts'
import { errorMessage } from '../core/errors.ts'
import { realClock } from '../ports/clock.ts'
import { createHttpClient } from '../ports/real-http.ts'
import { setUpSink } from '../sinks/elasticsearch/cluster.ts'
import type { SetupResult } from '../sinks/elasticsearch/setup.ts'
import { answer, type CommandIo, isNoWork, type NoWork } from './usage.ts'

const USAGE = `Usage: taffrail setup --config FILE

Puts the index templates and lifecycle policies of every elasticsearch sink on its cluster, where they are missing. What
is there is left as it is, whoever made it. Which of the two products it is, the server says.

  -c, --config FILE   the configuration, YAML or JSON
  -h, --help          this text

Exit codes: 0 everything is there, 1 a cluster did not answer or did not let us, 2 bad usage or configuration.
`

const ENDS: Record<SetupResult['end'], string> = {
  made: 'made',
  same: 'is there',
  left: 'is there, changed or of another version: left as it is',
  unavailable: 'not made: the server has no lifecycle management (is the plug-in installed?); old indices stay',
}

/** Runs the command with `args` (what follows `setup`). Gives the exit code and throws nothing. */
export async function setup(args: string[], io: CommandIo): Promise<number> {
  const usage = parseUsage(args)
  if (isNoWork(usage)) return answer('setup', usage, USAGE, io)
  const loaded = loadConfigFile(usage.path, io.env)
  if ('errors' in loaded) {
    for (const error of loaded.errors) io.stderr(`${formatConfigError(error)}\n`)
    return 2
  }
  return run(loaded.config, io)
}

async function run({ sinks, clusterName }: Config, io: CommandIo): Promise<number> {
  const own = sinks.filter((sink) => sink.type === 'elasticsearch')
  if (own.length === 0) io.stdout('no elasticsearch sink: nothing to set up\n')
  let code = 0
  for (const sink of own) {
    try {
      const results = await setUpSink(sink, clusterName, { createHttpClient, clock: realClock })
      for (const { kind, name, end } of results) io.stdout(`${sink.name}: ${kind} ${name}: ${ENDS[end]}\n`)
    } catch (error) {
      io.stderr(`taffrail setup: ${sink.name}: ${errorMessage(error)}\n`)
      code = 1
    }
  }
  return code
}

function parseUsage(args: string[]): { path: string } | NoWork {
  try {
    const { values } = parseArgs({
      args,
      options: { config: { type: 'string', short: 'c' }, help: { type: 'boolean', short: 'h' } },
    })
    if (values.help) return { help: true }
    if (values.config === undefined || values.config === '') return { problem: '--config FILE is missing' }
    return { path: values.config }
  } catch (error) {
    return { problem: errorMessage(error) }
  }
}
