// Messages of the API server. Some quote what was sent: the value that was invalid, or the whole body where it could not
// be read. Only the quotation is hidden. Of a request about secrets every quotation may be one, but for those of the few
// sentences that are known to name objects alone. Pure.
import { holdsCredential, looksRandom } from './looks.ts'
import type { Mask } from './mask.ts'
import { isCredentialName } from './names.ts'

/** Where the API server begins to quote a body: as JSON, or its first bytes in hex. */
const QUOTED_BODY =
  /(?:is missing in '|\(7b[0-9a-f]|[{[]\s*\\?"|error found in #|cannot unmarshal |couldn't get version\/kind|error decoding patch|json: |yaml: )/
const INVALID_VALUE = /(?:Invalid value|Unsupported value|Duplicate value): /g
const SECRET_FIELD =
  /(?:env|data|token|password|secret|credential|auth|value|args|command|annotations|extra|request)\b/i
/** A field that is never secret, before what is wrong with it. */
const NAME_FIELD = /metadata\.(?:name|namespace|generateName|uid|resourceVersion): $/
/** Sentences that quote names of objects, users and groups alone. */
const NAMES_ONLY =
  /^(?:[a-z][a-z0-9.-]* "[^"]*" (?:not found|already exists)$|[a-z0-9.-]+(?: "[^"]*")? is forbidden: (?:User|unable to create new content|exceeded quota)|Operation cannot be fulfilled on )/
const QUOTED = /"(?:[^"\\]|\\.)*(?:"|\\?$)|'[^']*'|`[^`]*`/g
/** Secret "db" is invalid: …; Secret in version "v1" cannot be handled as …; configmaps "a" is forbidden: admission webhook "b" denied the request: … */
const SUBJECT =
  /^(?:[A-Za-z0-9.-]+ "[^"]*" is (?:invalid|forbidden): |[A-Za-z]+ in version "[^"]*" cannot be handled as )?(?:(?:admission webhook "[^"]*"|ValidatingAdmissionPolicy '[^']*'(?: with binding '[^']*')?) denied (?:the )?request: )?/

/** A longer message quotes bodies, or values by the thousand: what stands behind its first quotation is hidden. */
export const MESSAGE_LENGTH_MAX = 16 * 1024
/** Where something may be quoted. */
const QUOTATION = /["'`{[(]/

/** Where a long message may begin to quote something, of which this is the beginning. */
export function firstQuotation(beginning: string): number {
  const subject = SUBJECT.exec(beginning)?.[0].length ?? 0
  const quotation = beginning.slice(subject).search(QUOTATION)
  return quotation < 0 ? beginning.length : subject + quotation
}

/** A value of a type that can hold variables of containers, as Go prints it: what may not be changed is told so, whole. */
const DUMP =
  /(?:\[\]|&)?\b(?:core|api|apps|batch|v1)\.(?:Pod|Container|Ephemeral|Env|Secret|ConfigMap|Job|CronJob|HTTP|Exec|Lifecycle|Probe|Volume|CSI|Flex)\w*\{/

/**
 * The message without what it quotes. `isAboutSecrets`: the request was about secrets or tokens, whatever field is named. `field`:
 * what stands before it, where it is told elsewhere.
 */
export function redactMessage(message: string, isAboutSecrets: boolean, mask: Mask, field = ''): string {
  const dump = DUMP.exec(message)
  if (dump !== null) {
    const end = Math.max(message.lastIndexOf('}') + 1, dump.index + dump[0].length)
    const before = withoutQuotations(message.slice(0, dump.index), isAboutSecrets, mask)
    return `${before}${mask(message.slice(dump.index, end))}${withoutQuotations(message.slice(end), isAboutSecrets, mask)}`
  }
  const at = message.search(QUOTED_BODY)
  if (at >= 0) return `${withoutQuotations(message.slice(0, at), isAboutSecrets, mask)}${mask(message.slice(at))}`
  let namesOnly = false
  let from = 0
  for (const invalid of message.matchAll(INVALID_VALUE)) {
    const named = `${from === 0 ? field : ''}${message.slice(from, invalid.index)}`
    const isName = NAME_FIELD.test(named)
    if (!isName && (isAboutSecrets || isSecretField(named))) return behind(message, invalid, mask)
    namesOnly = isName && (namesOnly || from === 0)
    from = invalid.index + invalid[0].length
  }
  return namesOnly ? message : withoutQuotations(message, isAboutSecrets, mask)
}

/** Whether what stands before an invalid value names a field that may be secret. */
function isSecretField(named: string): boolean {
  if (SECRET_FIELD.test(named)) return true
  if (!named.endsWith(': ')) return false
  // By hand: a pattern that is anchored at the end alone takes the square of a long word's time.
  const path = named
    .slice(0, -2)
    .split(/[\s,"']/)
    .at(-1) as string
  return path.split(/[.[\]]+/).some(isCredentialName)
}

/** The message up to the end of what was found in it; what follows is hidden. */
function behind(message: string, found: RegExpExecArray, mask: Mask): string {
  const from = found.index + found[0].length
  return from === message.length ? message : `${message.slice(0, from)}${mask(message.slice(from))}`
}

function withoutQuotations(message: string, isAboutSecrets: boolean, mask: Mask): string {
  if (holdsCredential(message, true)) return mask(message)
  const subject = SUBJECT.exec(message)?.[0] ?? ''
  const hidesAll = isAboutSecrets && !NAMES_ONLY.test(message)
  const rest = message
    .slice(subject.length)
    .replace(QUOTED, (quoted) => (hidesAll || looksRandom(quoted) ? mask(quoted.slice(1, -1)) : quoted))
  // A webhook need not quote.
  return subject + (hidesAll ? rest.replace(/\S{14,}/g, (word) => (looksRandom(word) ? mask(word) : word)) : rest)
}
