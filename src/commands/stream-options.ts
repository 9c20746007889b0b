// What `taffrail stream` is asked for: its arguments, taken apart and judged, and the configuration that they stand for.
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Config } from '../config/config.ts'
import { errorMessage } from '../core/errors.ts'
import type { LogLevel } from '../observe/log.ts'
import { MULTILINE_PRESETS, type MultilineConfig, type MultilinePreset, multilineRule } from '../parse/multiline.ts'
import { optionProblem } from './bad-option.ts'
import { LOG_LEVELS, type NoWork } from './usage.ts'

export const USAGE = `Usage: taffrail stream [OPTIONS] FILE...

Follows files to standard output, line by line, until it is told to stop (SIGTERM, SIGINT): the second container of a pod
whose program writes its logs to files. Files may be rotated (renamed, or copied and truncated), and may come later.
A FILE is a path or a glob (*, ?, [...], {a,b}, **); quote a glob, so that files that come later count, too.

      --format FORMAT       plain (default): the lines as they are; json: an object a line, with time and file name
      --prefix TEXT         before each line; {file} is the name of its file, {path} its path: --prefix '{file}: '
      --multiline PRESET    java, python or go: a stack trace is kept together with the line that it is about
      --multiline-start RE  the same for lines of your own: each record begins with a line that begins with a match
      --from WHERE          beginning (default) or end: where files are begun that are there at the start
      --state-dir DIR       go on there after a restart; without it, every start begins anew
      --log-level LEVEL     debug, info, warn (default), error or silent; its own log goes to stderr
  -h, --help                this text

With --format json a record of several lines is one object. With plain its lines stand together, each behind the prefix.

Told to stop, it writes what is in the files by then, the last line with or without its end, for at most 20 s; a second
signal ends it at once.

Exit codes: 0 done, 1 failed (or stopped before all was written), 2 bad usage.
`

export interface StreamOptions {
  /** Absolute paths and globs. */
  paths: string[]
  format: 'plain' | 'json'
  /** Empty: none. */
  prefix: string
  multiline: MultilineConfig | null
  from: 'beginning' | 'end'
  /** Absolute; null: nothing is kept. */
  stateDir: string | null
  level: LogLevel
}

const OPTIONS = {
  format: { type: 'string', default: 'plain' },
  prefix: { type: 'string', default: '' },
  multiline: { type: 'string' },
  'multiline-start': { type: 'string' },
  from: { type: 'string', default: 'beginning' },
  'state-dir': { type: 'string' },
  'log-level': { type: 'string', default: 'warn' },
  help: { type: 'boolean', short: 'h' },
} as const
const LINE_BYTES_MAX = 1024 * 1024
const PREFIX_CHARS_MAX = 1000

/** Takes the arguments apart. `problem`: what is wrong with them, in words for a person. */
export function parseStream(args: string[]): StreamOptions | NoWork {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: OPTIONS,
    })
    if (values.help) return { help: true }
    const format = oneOf('--format', values.format, ['plain', 'json'] as const)
    const { prefix } = values
    if (format === 'json' && prefix !== '') throw new Error('--prefix: only with --format plain; json names the file')
    if (/[\n\r\0]/.test(prefix)) throw new Error('--prefix: must be text without line breaks')
    if (prefix.length > PREFIX_CHARS_MAX) throw new Error(`--prefix: longer than ${PREFIX_CHARS_MAX} characters`)
    return {
      paths: pathsOf(positionals),
      format,
      prefix,
      multiline: multilineOf(values.multiline, values['multiline-start']),
      from: oneOf('--from', values.from, ['beginning', 'end'] as const),
      stateDir: stateDirOf(values['state-dir']),
      level: oneOf('--log-level', values['log-level'], LOG_LEVELS),
    }
  } catch (error) {
    return { problem: optionProblem(error, Object.keys(OPTIONS)) }
  }
}

function oneOf<Word extends string>(option: string, given: string, words: readonly Word[]): Word {
  const word = words.find((each) => each === given)
  if (word === undefined) throw new Error(`${option} ${given}: must be one of ${words.join(', ')}`)
  return word
}

function pathsOf(given: readonly string[]): string[] {
  if (given.length === 0) throw new Error('FILE is missing: which files are to be followed?')
  return given.map((path) => {
    if (path === '') throw new Error('a FILE is empty')
    if (path === '-') throw new Error('-: standard input cannot be followed; name files')
    if (path.includes('\0')) throw new Error(`${JSON.stringify(path)}: is no path`)
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() || path.endsWith('/')) {
      throw new Error(`${path}: is a directory; name files in it, such as '${path.replace(/\/+$/, '')}/*.log'`)
    }
    return resolve(path)
  })
}

function stateDirOf(given: string | undefined): string | null {
  if (given === '') throw new Error('--state-dir: must be a directory')
  return given === undefined ? null : resolve(given)
}

function multilineOf(preset: string | undefined, start: string | undefined): MultilineConfig | null {
  if (preset !== undefined && start !== undefined) {
    throw new Error('--multiline and --multiline-start: one of them at most')
  }
  if (preset !== undefined) {
    return { preset: oneOf<MultilinePreset>('--multiline', preset, MULTILINE_PRESETS) }
  }
  if (start === undefined) return null
  if (start === '') throw new Error('--multiline-start: an empty pattern matches every line')
  try {
    multilineRule({ start })
  } catch (error) {
    throw new Error(`--multiline-start: ${errorMessage(error)}`)
  }
  return { start }
}

/** The agent that does it: one source, one sink. `cpu`: thousandths of a core, null for no limit. */
export function streamConfig(options: StreamOptions, memoryBytes: number, cpu: number | null): Config {
  const { paths, format, prefix, multiline, from, stateDir } = options
  return {
    clusterName: '',
    nodeName: '',
    stateDir: stateDir ?? '',
    kubernetes: {
      metadata: 'off',
      metadataWait: 0,
      annotations: { honour: false, foreign: false, exemptNamespaces: [], tenants: [] },
      podLabels: [],
      podAnnotations: [],
      namespaceLabels: [],
    },
    sources: [
      {
        type: 'files',
        name: 'stream',
        paths,
        exclude: [],
        roots: null,
        startAt: from,
        startAgeMax: null,
        ...(multiline !== null && { multiline }),
      },
    ],
    sinks: [
      {
        type: 'stdout',
        name: 'stdout',
        sources: null,
        labels: {},
        lineBytesMax: LINE_BYTES_MAX,
        format: format === 'plain' ? 'raw' : 'json',
        prefix,
      },
    ],
    limits: { memory: memoryBytes, cpu },
    server: null,
  }
}
