// Credentials among the arguments of a program, in a container's command or an exec: the argument of a flag that is named
// so, the variable that is set to one, what looks like one; and the same in the script that a shell is given. Pure.
import { isReference } from './assignments.ts'
import { holdsCredential, looksRandom } from './looks.ts'
import { isCredentialName } from './names.ts'

const FLAG = /^--?([A-Za-z][\w.-]*)$/
/** Programs that take a password by a short flag, in the same argument or in the next one. */
const PASSWORD_PROGRAM =
  /(?:^|\/)(?:mysql\w*|mariadb\w*|sshpass|redis-cli|mongo\w*|7z\w*|zip|unzip|login|useradd|usermod|chpasswd|htpasswd|openssl|smbclient|ldap\w*)$/
const SHORT_WITH_VALUE = /^-(?:p|a)\S{3,}$/
const PASSWORD_FLAG = /^-(?:p|a|P|w|k|K|pass|passin|passout)$/
const USER_FLAG = /^(?:-u|--user|--proxy-user|-U)$/
/** -uUSER:PASSWORD, --user=USER:PASSWORD */
const USER_WITH_PASSWORD = /^(?:-u|-U|--(?:proxy-)?user=)[^\s:/]+:\S{3,}$/
const HEADER_FLAG = /^(?:-H|--header|--cookie|-b)$/
/** What follows is the credential itself: vault login X, mysqladmin password X, aws configure set aws_secret_access_key X. */
const POSITION = /^(?:vault login|password|passwd|requirepass|masterauth|reset-admin-password)$|[_-].*[_-]key$/i
/** A port for some of the programs, whose passwords are longer. */
const PORT = /^\d{1,5}$/
const FILE_NAME = /key$/i
const FILE = /^(?:\/[\w.-]+){2,}$/
const LITERAL = /^--from-literal(?:=|$)/
/** Of rabbitmqctl. */
const USER_COMMAND = /^(?:add_user|change_password|authenticate_user)$/
/** The password comes from what stands before the pipe. */
const FROM_INPUT =
  /--(?:password|token)-stdin|\bchpasswd\b|\bpasswd\s+--stdin|\becho\b[^|;>$]{0,256}(?:>|\|\s*tee\b(?:\s+-a)?)\s{0,8}["']?\S{0,128}(?:passw|token|secret|credential|\.pgpass|id_rsa|private)/i
const WORDS_MAX = 512
/** It is nothing by itself, and says nothing of what follows. */
const PLAIN = /^[A-Za-z0-9_.*/]{0,13}$/
const TELLING = /pass|login|auth|key|vault|sql|maria|mongo|zip|7z|user|ldap|openssl|smb/i

/** A judge of successive arguments: says of each in turn whether it has to be hidden. */
export function argumentHidden(): (argument: string) => boolean {
  let before = ''
  let isTelling = false
  let program = ''
  /** A user and his password follow. */
  let isUser = false
  return (argument) => {
    // Most lists are of verbs, finalizers and the like.
    if (!isTelling && !isUser && program === '' && PLAIN.test(argument) && !TELLING.test(argument)) {
      before = argument
      return false
    }
    const isHidden =
      isUser || (argument !== '' && (isHiddenBehind(before, argument, program) || isHiddenScript(argument)))
    if (USER_COMMAND.test(argument)) isUser = true
    const found = PASSWORD_PROGRAM.exec(argument)
    if (found !== null && !/\s/.test(argument)) program = found[0].replace('/', '')
    before = before === 'vault' ? `vault ${argument}` : argument
    isTelling = !PLAIN.test(argument) || TELLING.test(argument)
    return isHidden
  }
}

function isHiddenBehind(before: string, argument: string, program: string): boolean {
  if (isReference(argument)) return false
  const flag = FLAG.exec(before)?.[1]
  if (flag !== undefined && !argument.startsWith('--') && isCredentialOf(flag, argument)) return true
  if (USER_FLAG.test(before) && argument.includes(':')) return true
  if (HEADER_FLAG.test(before) && /:./.test(argument) && isCredentialName(argument.split(':')[0]!)) return true
  if (LITERAL.test(before) || (LITERAL.test(argument) && argument.includes('=', 15))) return true
  if (USER_WITH_PASSWORD.test(argument)) return true
  if (POSITION.test(before) && /^[^-/.]/.test(argument)) return true
  if (program !== '' && ((PASSWORD_FLAG.test(before) && !PORT.test(argument)) || SHORT_WITH_VALUE.test(argument)))
    return true
  if (program === 'htpasswd' && !argument.startsWith('-')) return true
  if (program === 'redis-cli' && /^auth$/i.test(before)) return true
  return hasNamedValue(argument) || holdsCredential(argument) || looksRandom(argument)
}

/** NAME=value or --name=value of a credential's name. */
function hasNamedValue(argument: string): boolean {
  const match = /^-{0,2}([A-Za-z_][\w.-]*)=(.+)/s.exec(argument)
  return match !== null && !isReference(match[2]!) && isCredentialOf(match[1]!, match[2]!)
}

/** Whether a name is a credential's and its value one: that of --tls-private-key is a file. */
function isCredentialOf(name: string, value: string): boolean {
  return isCredentialName(name) && !(FILE_NAME.test(name) && FILE.test(value) && !looksRandom(value))
}

/** A shell's script, or several arguments in one: its words are arguments. */
function isHiddenScript(argument: string): boolean {
  if (!/\s/.test(argument)) return false
  if (FROM_INPUT.test(argument)) return true
  const words = argument.split(/["']?[\s;|&]+["']?/, WORDS_MAX)
  const judge = argumentHidden()
  return words.some((word) => judge(word))
}
