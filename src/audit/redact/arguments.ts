// Credentials among the arguments of a program, in a container's command or an exec: the argument of a flag that is named
// so, the variable that is set to one, what looks like one.
import { holdsCredential, looksRandom } from './looks.ts'
import { isCredentialName } from './names.ts'

const FLAG = /^--?([A-Za-z][\w.-]*)$/
/** Programs whose -p takes the password in the same argument, and those with -u USER:PASSWORD or -a PASSWORD. */
const SHORT_WITH_VALUE = /^-(?:p|a)\S{3,}$/
const PASSWORD_PROGRAM = /(?:^|\/)(?:mysql\w*|mariadb\w*|mysqladmin|sshpass|redis-cli|mongo\w*|7z\w*|zip|unzip)$/
const USER_FLAG = /^(?:-u|--user|--proxy-user|-U)$/
const HEADER_FLAG = /^(?:-H|--header|--cookie|-b)$/
const PASSWORD_FLAG = /^(?:-p|-a|-P|-w)$/

/** A judge of successive arguments: says of each in turn whether it has to be hidden. */
export function argumentHidden(): (argument: string) => boolean {
  let before = ''
  let isPasswordProgram = false
  return (argument) => {
    const flag = FLAG.exec(before)?.[1]
    const isValue =
      (flag !== undefined && !argument.startsWith('--') && isCredentialName(flag)) ||
      (USER_FLAG.test(before) && argument.includes(':')) ||
      (HEADER_FLAG.test(before) && isCredentialName(argument.split(':')[0]!)) ||
      (isPasswordProgram && PASSWORD_FLAG.test(before))
    const isShort = isPasswordProgram && SHORT_WITH_VALUE.test(argument)
    if (PASSWORD_PROGRAM.test(argument)) isPasswordProgram = true
    before = argument
    if (argument === '') return false
    return isValue || isShort || hasNamedValue(argument) || holdsCredential(argument) || looksRandom(argument)
  }
}

/** NAME=value or --name=value of a credential's name. */
function hasNamedValue(argument: string): boolean {
  const match = /^-{0,2}([A-Za-z_][\w.-]*)=./.exec(argument)
  return match !== null && isCredentialName(match[1]!)
}
