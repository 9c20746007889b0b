// `taffrail check`: reads a configuration and says what it comes to, or everything that is wrong with it. It starts
// nothing and writes nothing, so that it can run in a pipeline before a rollout.
import { parseArgs } from 'node:util'
import { checkPolicies } from '../audit/policy/files.ts'
import type { Config } from '../config/config.ts'
import { formatConfigError } from '../config/config-error.ts'
import { describeConfig } from '../config/describe.ts'
import { loadConfigFile } from '../config/load.ts'
import { errorMessage } from '../core/errors.ts'
import { createHttpClient } from '../ports/real-http.ts'
import { tryConnections } from './connect.ts'
import { answer, type CommandIo, isNoWork, type NoWork } from './usage.ts'

const USAGE = `Usage: taffrail check --config FILE [--connect]

Reads the configuration and prints it with every default filled in and secrets hidden, and says what was taken from
the machine; prints all errors where there are any. References to the environment are looked up in this one.

  -c, --config FILE   the configuration, YAML or JSON
      --connect       instead of printing it, looks for each source's files and tries to open them, tries the API server
                      and each sink with its credentials, and says what works, what does not, and what to grant; nothing
                      is stored anywhere
  -h, --help          this text

Exit codes: 0 the configuration is good (and all connections work), 1 a file or connection does not work, 2 it is not good
(or this command was not understood).
`

/** Runs the command with `args` (what follows `check`). Gives the exit code, 0 to 2, and throws nothing. */
export async function check(args: string[], io: CommandIo): Promise<number> {
  const usage = parseUsage(args)
  if (isNoWork(usage)) return answer('check', usage, USAGE, io)
  const result = loadConfigFile(usage.path, io.env)
  if ('config' in result && usage.connect) return connect(result.config, io)
  if ('config' in result) {
    io.stdout(describeConfig(result.config, result.origins))
    for (const warning of checkPolicies(result.config).warnings) io.stderr(`warning: ${formatConfigError(warning)}\n`)
    return 0
  }
  const { errors } = result
  for (const error of errors) io.stderr(`${formatConfigError(error)}\n`)
  // A file that could not be read at all has said everything in its one line.
  if (errors[0]!.line > 0) io.stderr(`${errors.length} ${errors.length === 1 ? 'error' : 'errors'} in ${usage.path}\n`)
  return 2
}

async function connect(config: Config, io: CommandIo): Promise<number> {
  let failures = 0
  for await (const { works, isDoubtful, text } of tryConnections(config, io.env, createHttpClient)) {
    if (!works) failures++
    io.stdout(`${!works ? 'FAIL' : isDoubtful ? 'warn' : 'ok  '} ${text}\n`)
  }
  return failures === 0 ? 0 : 1
}

function parseUsage(args: string[]): { path: string; connect: boolean } | NoWork {
  try {
    const { values } = parseArgs({
      args,
      options: {
        config: { type: 'string', short: 'c' },
        connect: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) return { help: true }
    if (values.config === undefined || values.config === '') return { problem: '--config FILE is missing' }
    return { path: values.config, connect: values.connect ?? false }
  } catch (error) {
    return { problem: errorMessage(error) }
  }
}
