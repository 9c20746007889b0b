// Which texts look like a credential, or hold one: by the form that issuers give their tokens, by the word that stands
// before it, by its randomness. Pure. It errs to the safe side: what is hidden for nothing is told by its hash, what is
// shown by mistake is out.

import { holdsAssignment } from './assignments.ts'
import { decoded } from './mask.ts'

/** Forms that issuers give to what they issue, and that nothing else has. */
const FORMS = new RegExp(
  [
    '(?:(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}|eyJ[A-Za-z0-9_-]{6,256})\\.[A-Za-z0-9_-]{4,}', // JWT
    '-----BEGIN [A-Z0-9 ]*PRIVATE KEY',
    '\\bPuTTY-User-Key-File',
    '\\bAGE-SECRET-KEY-',
    '\\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\\b',
    '\\bgh[opsur]_[A-Za-z0-9]{20,}',
    '\\bgithub_pat_\\w{20,}',
    '\\bgl(?:pat|dt|rt|cbt|ptt|soat)-[\\w-]{16,}',
    '\\bxox[abeoprs]-[\\w-]{8,}',
    '\\b(?:sk|rk|pk)[-_](?:live|test|ant|proj|or)?[-_]?[A-Za-z0-9_-]{16,}',
    '\\bAIza[\\w-]{30,}',
    '\\bya29\\.[\\w-]{10,}',
    '\\b(?:npm|pypi|dop_v1|hvs|hvb|SG|shpat|lin_api|dckr_pat)[_.-][\\w.-]{16,}',
    '\\$2[aby]\\$\\d\\d\\$', // bcrypt
    '\\$(?:apr1|1|5|6|argon2[id]*)\\$',
    '\\bhooks\\.slack\\.com/(?:services|workflows)/\\w+/\\w+/\\w{6,}',
    '\\bdiscord(?:app)?\\.com/api/webhooks/\\d+/[\\w-]{6,}',
    '\\b[\\w.-]{1,64}:[^\\s:@/]{1,128}@(?:tcp|unix)\\(', // of a Go program for MySQL
  ].join('|'),
)
/** A scheme and what follows it. */
const SCHEME = /\b(bearer|basic|digest|negotiate|token)\s+([A-Za-z0-9+/_.=~-]{6,})/gi
/** No word of a sentence is like that. */
const NO_WORD = /\d|[a-z][A-Z]|=/
const WORD_BEHIND_BEARER = /^(?:auth|token|cred|realm)/i
const USERINFO = /(?:\b[a-z][a-z0-9+.-]{0,31}:|(?<![:\w/]))\/\/[^\s/?#@:]*:[^\s/?#@]+@/i

/** Nothing that follows matches a text without one of these. */
const ANY =
  /pass|pwd|secret|token|key|cred|auth|bearer|basic|digest|negotiate|jwt|cookie|identified|machine|conn|psk|mnemonic|dsn|stringData|eyJ|-----|\/\/|PuTTY|AGE-|AKIA|ASIA|ABIA|ACCA|gh[opsur]_|github_|gl[a-z]+-|xox|[srp]k[-_]|AIza|ya29|npm|pypi|dop_|hv[sb]|SG|shpat|lin_|dckr|\$[2aby156]|hooks\.slack|webhooks|@(?:tcp|unix)\(|curl|mysql|maria|redis-cli|SecureString/i

/**
 * Whether the text has the form of a credential, or holds one that is called so. `isProse`: people or programs wrote it for
 * people.
 */
export function holdsCredential(text: string, isProse = false): boolean {
  if (!ANY.test(text)) return false
  return FORMS.test(text) || holdsScheme(text) || USERINFO.test(text) || holdsAssignment(text, isProse)
}

function holdsScheme(text: string): boolean {
  for (const [, scheme = '', value = ''] of text.matchAll(SCHEME)) {
    if (NO_WORD.test(value)) return true
    if (scheme.toLowerCase() === 'bearer' && !WORD_BEHIND_BEARER.test(value)) return true
  }
  return false
}

const RANDOM_BYTES_MIN = 14
const BASE = /[A-Za-z0-9+/_=~.-]{14,}/g
const INNER_EQUALS = /(?<!=)=+(?=[^=])/
const HEX = /^(?:[0-9a-f]{32,}|[0-9A-F]{32,})$/
/** sha256:…, of an image or a file */
const DIGEST_BEFORE = /\b(?:sha\d{1,3}|md5):$/i
/** Public keys as ssh writes them: ssh-rsa, ssh-ed25519, ecdsa-sha2-… */
const PUBLIC_KEY = /^AAAA(?:B3NzaC1|C3NzaC1|E2VjZHNhLXNoYTI|GnNrL|InNrL)/
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** Whether some word of the text looks as if drawn at random: long, of several kinds of letters, unlike words. */
export function looksRandom(text: string): boolean {
  if (text.length < RANDOM_BYTES_MIN || text.startsWith('-----BEGIN CERTIFICATE')) return false
  for (const { 0: found, index } of text.matchAll(BASE)) {
    // NAME=value: each for itself.
    if (found.split(INNER_EQUALS).some(isRandomWord) && !DIGEST_BEFORE.test(text.slice(Math.max(0, index - 8), index)))
      return true
  }
  return isRandomPassword(text)
}

function isRandomWord(word: string): boolean {
  if (HEX.test(word)) return true
  if (UUID.test(word) || PUBLIC_KEY.test(word)) return false
  if (/^\d{4}-\d\d-\d\dT/.test(word)) return false
  // Parts between separators: a path or a name in words has short ones, a token has a long one.
  const parts = word.split(/[/_.=+~-]/)
  const longest = parts.reduce((a, b) => (b.length > a.length ? b : a), '')
  const isMixed = /[a-z]/.test(word) && /[A-Z]/.test(word) && /[0-9]/.test(word)
  if (isMixed && longest.length >= 10 && alternations(longest) >= longest.length / 4) return true
  if (isMixed && longest.length >= 20 && lettersInWords(longest) < (longest.length * 2) / 3) return true
  // A dot is a separator of versions, files and hosts, and no letter of base64.
  const changes = word.includes('.') ? parts.reduce((sum, part) => sum + alternations(part), 0) : alternations(word)
  if (isMixed && word.length >= 20 && changes >= word.length / 3) return true
  // Letters in both cases, or of one and digits: where they change often they are no words. Names in camel case change, too.
  if (longest.length < 20) return false
  const isOfOneCase = !/[a-z]/.test(longest) || !/[A-Z]/.test(longest)
  return alternations(longest) >= longest.length / (isOfOneCase && longest.length >= 24 ? 6 : 3.5)
}

/** Punctuation in the middle of letters and digits, no blanks: S3cr3t!pass, unlike a sentence, a path or an expression. */
function isRandomPassword(text: string): boolean {
  if (text.length > 64 || /[\s/:,"'{}()[\]<>]/.test(text)) return false
  return /[a-z]/.test(text) && /[A-Z]/.test(text) && /[0-9]/.test(text) && /[!#$%^&*?]/.test(text)
}

/** How many letters stand in runs that may be words, such as those of a name in camel case. */
function lettersInWords(text: string): number {
  let letters = 0
  for (const [run] of text.matchAll(/[A-Z]?[a-z]{3,}/g)) letters += run.length
  return letters
}

/** How often the kind of letter changes: lower, upper, digit. An upper letter before a lower one is the start of a word. */
function alternations(word: string): number {
  let changes = 0
  for (let i = 1; i < word.length; i++) {
    const before = kindOf(word.charCodeAt(i - 1))
    const kind = kindOf(word.charCodeAt(i))
    if (before !== kind && !(before === 2 && kind === 1)) changes++
  }
  return changes
}

function kindOf(code: number): number {
  if (code >= 0x61 && code <= 0x7a) return 1
  if (code >= 0x41 && code <= 0x5a) return 2
  return code >= 0x30 && code <= 0x39 ? 3 : 4
}

/** What kinds of bytes a value has: the looks that it can have at all. */
export const HAS_LOWER = 1
export const HAS_UPPER = 2
export const HAS_DIGIT = 4
export const HAS_SPACE = 8
/** `=`, `:` or `<` */
export const HAS_ASSIGNMENT = 16
export const HAS_BRACE = 32
export const HAS_ESCAPE = 64
/** `$`, `!` and other punctuation of passwords */
export const HAS_SYMBOL = 128

const BYTES = new Uint8Array(256)
for (let code = 0x61; code <= 0x7a; code++) BYTES[code] = HAS_LOWER
for (let code = 0x41; code <= 0x5a; code++) BYTES[code] = HAS_UPPER
for (let code = 0x30; code <= 0x39; code++) BYTES[code] = HAS_DIGIT
for (const letter of '=:<') BYTES[letter.charCodeAt(0)] = HAS_ASSIGNMENT
for (const letter of ' \t') BYTES[letter.charCodeAt(0)] = HAS_SPACE
for (const letter of '{[') BYTES[letter.charCodeAt(0)] = HAS_BRACE
for (const letter of '!#$%^&*?') BYTES[letter.charCodeAt(0)] = HAS_SYMBOL
BYTES[0x5c] = HAS_ESCAPE

/** The kinds of bytes in b[start, end), as HAS_ bits. */
export function bytesIn(b: Buffer, start: number, end: number): number {
  let found = 0
  for (let at = start; at < end; at++) found |= BYTES[b[at]!]!
  return found
}

/** Whether a text with these kinds of bytes, and so long, can look like a credential at all. Most cannot. */
export function mayBeCredential(kinds: number, bytes: number): boolean {
  if (bytes < 5) return false
  if ((kinds & (HAS_ASSIGNMENT | HAS_SPACE | HAS_ESCAPE | HAS_SYMBOL)) !== 0) return true
  if (bytes < RANDOM_BYTES_MIN) return false
  if ((kinds & HAS_UPPER) !== 0 && (kinds & HAS_LOWER) !== 0 && ((kinds & HAS_DIGIT) !== 0 || bytes >= 20)) return true
  return bytes >= 20 && (kinds & HAS_DIGIT) !== 0
}

/** Whether a text looks like a credential. `isValue`: randomness counts; `isBinary`: what it may be in base64 does too. */
export function looksSecret(text: string, isValue: boolean, isBinary: boolean): boolean {
  if (holdsCredential(text, !isValue) || (isValue && looksRandom(text))) return true
  if (isBinary) {
    const bytes = decoded(text)
    if (typeof bytes !== 'string' && holdsCredential(bytes.toString('latin1'))) return true
  }
  return (
    isValue &&
    text.includes('\n') &&
    !text.startsWith('-----BEGIN CERTIFICATE') &&
    text.split(/[\s"'=:,;]+/).some(looksRandom)
  )
}

const PRIVATE_KEY = Buffer.from('PRIVATE KEY-----')

/** Whether b[start, end) holds a private key as PEM, or is one or several in base64. */
export function holdsPrivateKey(b: Buffer, start: number, end: number): boolean {
  const text = b.subarray(start, end)
  return text.includes(PRIVATE_KEY) || Buffer.from(text.toString('latin1'), 'base64').includes(PRIVATE_KEY)
}

/** true or false as a text: what turns something on is no credential. */
export function isSwitch(b: Buffer, start: number, end: number): boolean {
  const text = end - start > 5 ? '' : b.toString('latin1', start, end)
  return text === 'true' || text === 'false'
}
