// What is wrong with an option, in words that help: the runtime's own go on about arguments that begin with a dash.
import { nearest } from '../config/nearest.ts'
import { errorCode, errorMessage } from '../core/errors.ts'

/** What to tell a person of an error that `parseArgs` threw, or the command itself; `known` are the long options. */
export function optionProblem(error: unknown, known: readonly string[]): string {
  const message = errorMessage(error)
  if (errorCode(error) !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return message
  const [, option = ''] = /'(-[^']*)'/.exec(message) ?? []
  const near = nearest(option, known)
  return `there is no option ${option}${near === null ? '' : `; did you mean --${near}?`}`
}
