// Credentials that a text gives a name to: `password: x`, `"token": "x"`, `--api-key x`, `PGPASSWORD=x`, `<secret>x</secret>`.
// The whole name is judged, as those of members are: `secretName: x` names no credential, `secret_key_base: x` does. What
// only refers to one (`${TOKEN}`, `$(cat f)`) or turns something on (`token: true`) is none. Pure.
import { isCredentialName } from './names.ts'

/** A name of a credential holds one of these. */
const NAMED =
  /pass|pwd|secret|token|key|cred|authorization|bearer|jwt|cookie|sharedaccess|dsn|psk|mnemonic|conn(?:ection)?[-_.]?str/gi
/** Words of a name may stand apart in a text for people. */
const WORD_BEFORE = /\b(?:api|access|private|secret|account|encryption|shared) $/i
const NAME_BEFORE = /[A-Za-z0-9_.-]{0,64}$/
const NAME_BEHIND = /^[A-Za-z0-9_.-]{0,64}/
/** Of a Secret, or of a piece of one. */
const SECRET_MANIFEST = /["']?kind["']?\s*:\s*["']?[A-Za-z]*Secret\b(?!s)|\bstringData["']?:[ \t]*(?:\r?\n|\{)/
const OTHERS =
  /identified by\s+\\*["'`]|machine\s+\S+\s+login|\bpass(?:word|wd|phrase)\s+\\*["'`][^\s"'`\\$]{3,}|\binsecure-password\s+\S|\bdb\.auth\(|ConvertTo-SecureString\s+(?:-String\s+)?["'][^"'$]/i
/** In scripts: programs that are given the password itself. */
const COMMANDS =
  /\bcurl\b[^\n|;]{0,256}\s(?:-u|--user|--proxy-user)[ =]?["']?[\w.@%+-]{1,128}:[^\s"'$]{3}|\b(?:mysql|maria)\w{0,16}\b[^\n|;]{0,256}\s-p["']?[^\s"'$-][^\s"'$]{2,}|\bsshpass\s+-p\s*["']?[^\s"'$]{3,}|\bredis-cli\b[^\n|;]{0,256}\s-a\s+["']?[^\s"'$]{3,}/
/** Behind a name within quotes: `name="x" value="…"`, `<name>x</name><value>…`, `name="x">…</`, and `x "…";` */
const MARKUP =
  /^(?:\\*["']\s+val(?:ue)?\s*=\s*\\*["']|<\/name>\s*<value>\s*|\\*["']\s*>\s*)([^<"'\\\s][^<"'\\]{2,})(?:["'\\]|<\/)/
/** In YAML: the value of what the line before names, and the other way round. */
const NEXT_VALUE = /^\\*["']?[ \t]*\r?\n[ \t]*value[ \t]*:[ \t]*(?=\S)/
const VALUE_BEFORE = /\bvalue[ \t]*:[ \t]*["']?([^\s"']{3,})["']?[ \t]*\r?\n[ \t]*name[ \t]*:[ \t]*["']?$/
/** setPassword("x"), define('DB_PASSWORD', 'x') */
const CALL = /^(?:\(|["'],\s*)\\*["']([^"'$\\]{3,})/
const DIRECTIVE = /^[ \t]+\\*["']([^"'\n$\\]{3,})\\*["'][ \t]*;/
/** Of names that say so little they are left to members and variables. */
const WEAK = /^(?:[a-z]+[-_.])?(?:key|auth|tokens?|secrets?)(?:[-_.][a-z]+)?$/i

/** What may stand between a name and its value on one line; the value follows. */
const SEPARATOR = /^["'\\\]]*[ \t]*(?:=>|:=|==?|:)[ \t]*/
/** The value, behind its quotes. */
const VALUE = /^["'\\]*([^\s"',;{}[\]<>()|\\][^\s"',;{}[\]<>()\\]*)/
const QUOTED = /^\\*(["'])((?:(?!\\*\1).)+)/
/** `password: |`, `password = <<EOF`: the value begins on the next line. */
const BLOCK = /^(?:[|>][-+0-9]{0,2}|<<[-~]?["']?\w+["']?)[ \t]*\r?(?:\\r)?(?:\n|\\n)[ \t]*\S/
const REFERENCE = /^["']?(?:\$\{[^}]*\}?["']?$|\$\(|\$[A-Z_][A-Z0-9_]*["']?$|\{\{|%\(|%[A-Z_]+%|<[^>]*>?$)/
/** In front of the value: Authorization: Bearer x */
const SCHEME = /^(["'\\]*)(?:bearer|basic|token|digest|negotiate)\s+/i
const HARMLESS_VALUE =
  /^(?:true|false|null|nil|none|yes|no|on|off|required|optional|enabled|disabled|undefined|\*+)[.,;`]?$/i
/** The next words of a sentence. */
const PROSE = /^: [a-z]+,? [a-z]/
const STRONG = /^(?:[a-z0-9]+[._-])*(?:password|passwd|requirepass|masterauth|passphrase)$/i

/** Whether a credential is named in the text and a value follows. `isProse`: people wrote it, and a colon may be one of theirs. */
export function holdsAssignment(text: string, isProse = false): boolean {
  if (OTHERS.test(text) || SECRET_MANIFEST.test(text) || COMMANDS.test(text)) return true
  NAMED.lastIndex = 0
  for (let found = NAMED.exec(text); found !== null; found = NAMED.exec(text)) {
    const at = found.index
    let start = at - NAME_BEFORE.exec(text.slice(Math.max(0, at - 64), at))![0].length
    const end = at + NAME_BEHIND.exec(text.slice(at, at + 64))![0].length
    start -= WORD_BEFORE.exec(text.slice(Math.max(0, start - 12), start))?.[0].length ?? 0
    NAMED.lastIndex = end
    if (isAssigned(text, start, end, isProse)) return true
  }
  return false
}

function isAssigned(text: string, start: number, end: number, isProse: boolean): boolean {
  const written = text.slice(start, end)
  const name = written.replace(/^[-.]+|[-.]+$/g, '')
  if (!isCredentialName(name)) return false
  const after = text.slice(end, end + 256)
  const separator = SEPARATOR.exec(after)?.[0]
  if (separator !== undefined) {
    if (isProse && PROSE.test(after)) return false
    return isValue(after.slice(separator.length), name)
  }
  const isFlag = written.startsWith('-') && (start === 0 || /[\s"'[,]/.test(text[start - 1]!))
  if (isFlag && /^["',\s]*\s["',\s]*[^\s"',-]/.test(after)) return isValue(after.trimStart(), '')
  const marked = MARKUP.exec(after)?.[1] ?? DIRECTIVE.exec(after)?.[1]
  if (marked !== undefined && !isReference(marked)) return true
  const next = NEXT_VALUE.exec(after)?.[0]
  if (next !== undefined) return isValue(after.slice(next.length), name)
  const before = text.slice(Math.max(0, start - 256), start)
  const valued = VALUE_BEFORE.exec(before)?.[1]
  if (valued !== undefined && !isReference(valued)) return true
  if ((/(?:^|\.)(?:set|with)[A-Z][^.]*$/.test(name) || /\bdefine\(["']$/.test(before)) && CALL.test(after)) return true
  if (text[start - 1] === '<' && /^(?:\s[^>]*)?>\s*[^<\s][^<]*<\//.test(after)) return true
  return STRONG.test(name) && isOnlyWord(text, start) && /^[ \t]+[^\s:=]\S*[ \t]*(?:\r?\n|$)/.test(after)
}

/** Whether a value only says where the credential is: `${TOKEN}`, `$(cat file)`, `{{ .Values.x }}`. */
export function isReference(value: string): boolean {
  return REFERENCE.test(value)
}

/** Whether nothing but blanks stands before it on its line. */
function isOnlyWord(text: string, start: number): boolean {
  const line = text.lastIndexOf('\n', start - 1) + 1
  return text.slice(line, start).trim() === ''
}

/** Whether what follows is a value that has to be hidden. */
function isValue(behind: string, name: string): boolean {
  if (BLOCK.test(behind)) return true
  const after = behind.replace(SCHEME, '$1')
  const quoted = QUOTED.exec(after)?.[2]
  const value = quoted ?? VALUE.exec(after)?.[1]
  if (value === undefined) return false
  if (REFERENCE.test(value) || HARMLESS_VALUE.test(value)) return false
  if (value.length < 3) return false
  return !(WEAK.test(name) && /^\d{1,4}$/.test(value))
}
