// What commands do alike with a command line that asks for no work: `--help` is answered with the usage, what is not understood
// with the problem and the usage behind it.
import type { LogLevel } from '../observe/log.ts'

/** What `--log-level` takes. */
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

/** Where a command says something to people, and its environment. */
export interface CommandIo {
  stdout: (text: string) => void
  stderr: (text: string) => void
  env: NodeJS.ProcessEnv
}

/** A command line that asks for no work. */
export type NoWork = { help: true } | { problem: string }

export function isNoWork(usage: object): usage is NoWork {
  return 'help' in usage || 'problem' in usage
}

/** Answers it; gives the exit code. `text` is the command's usage. */
export function answer(command: string, asked: NoWork, text: string, io: Pick<CommandIo, 'stdout' | 'stderr'>): number {
  if ('help' in asked) {
    io.stdout(text)
    return 0
  }
  io.stderr(`taffrail ${command}: ${asked.problem}\n\n${text}`)
  return 2
}
