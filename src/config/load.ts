// From the text of a configuration file to Config, or to all that is wrong with it. A configuration is refused as a whole:
// an agent that guesses ships logs to the wrong place. `loadConfig` is pure; `loadConfigFile` gives it the machine.
import { isScalar, LineCounter, parseDocument, type YAMLError } from 'yaml'
import { checkPolicies } from '../audit/policy/files.ts'
import type { Config } from './config.ts'
import type { ConfigError } from './config-error.ts'
import { fileProblem, readConfigText, thisMachine } from './machine.ts'
import { schema } from './schema.ts'
import { type Origins, type Problem, type WalkOptions, walk } from './walk.ts'

export type LoadResult = { config: Config; origins: Origins } | { errors: ConfigError[] }

export interface LoadOptions extends WalkOptions {
  /** For messages only. */
  path: string
}

/**
 * Reads a configuration from YAML (or JSON, which is YAML): every default filled in, references to the environment
 * replaced, quantities in bytes and durations in milliseconds. Gives all errors, in the order of the text, and throws none.
 */
export function loadConfig(text: string, options: LoadOptions): LoadResult {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    // The excerpts of pretty errors would show secrets; the walk names duplicate keys better; only core types exist.
    prettyErrors: false,
    uniqueKeys: false,
    resolveKnownTags: false,
    stringKeys: true,
    logLevel: 'error',
  })
  const located = ({ offset, ...problem }: Problem): ConfigError => {
    const { line, col } = lines.linePos(offset)
    return { path: options.path, line, column: col, ...problem }
  }
  const broken = syntaxProblems([...document.errors, ...document.warnings], text, lines)
  if (broken.length > 0) return { errors: broken.map(located) }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    const message = 'the file is empty; it needs at least sources and sinks'
    return { errors: [{ path: options.path, line: 1, column: 1, key: '', message, suggestion: null }] }
  }
  const { value, problems, origins } = walk(schema, document, options)
  if (problems.length === 0) return { config: value as Config, origins }
  return { errors: problems.sort((a, b) => a.offset - b.offset).map(located) }
}

/**
 * Reads the configuration at `path` on this machine, and looks whether the files that it refers to can be read. `env` is
 * where references are looked up. A file that cannot be read itself is one error without a line.
 */
export function loadConfigFile(path: string, env: NodeJS.ProcessEnv = process.env): LoadResult {
  const file = readConfigText(path)
  if ('problem' in file) {
    return { errors: [{ path, line: 0, column: 0, key: '', message: file.problem, suggestion: null }] }
  }
  const loaded = loadConfig(file.text, { path, ...thisMachine(env), checkFile: fileProblem })
  if ('errors' in loaded) return loaded
  const { errors } = checkPolicies(loaded.config)
  return errors.length > 0 ? { errors } : loaded
}

/** The first syntax error of each line: those that follow it on the line follow from it. */
function syntaxProblems(errors: YAMLError[], text: string, lines: LineCounter): Problem[] {
  const byLine = new Map<number, Problem>()
  for (const error of errors.toSorted((a, b) => a.pos[0] - b.pos[0])) {
    const { line } = lines.linePos(error.pos[0])
    if (byLine.has(line)) continue
    const lineText = text.slice(lines.lineStarts[line - 1], lines.lineStarts[line])
    byLine.set(line, { offset: error.pos[0], key: '', message: syntaxMessage(error, lineText), suggestion: null })
  }
  return [...byLine.values()]
}

function syntaxMessage(error: YAMLError, lineText: string): string {
  if (error.code === 'RESOURCE_EXHAUSTION') return 'nested too deeply'
  if (error.code === 'MULTIPLE_DOCS') return 'a second document begins here; a configuration is one'
  if (error.code === 'NON_STRING_KEY') return 'a key must be text'
  // What stands behind a colon is quoted from the file, and may be part of a secret.
  const message = error.message.replace(/(\S): .*$/s, '$1')
  const sentence = message.charAt(0).toLowerCase() + message.slice(1)
  if (error.code === 'BAD_SCALAR_START' || error.code === 'TAG_RESOLVE_FAILED')
    return `${sentence}; if it is text, quote it`
  if (error.code === 'UNEXPECTED_TOKEN' && lineText.includes('${'))
    return `${sentence}; within { } and [ ], quote "\${NAME}"`
  return sentence
}
