// The name that a list or watch asks for by its field selector. The API server takes it for the request's name only when
// all of the query's options can be read: one that cannot be makes the name as none. So what can be read has to be known.
import { unescapeBytes } from './percent.ts'

const INTEGER = /^[+-]?\d+$/
const INT64_MAX = 9223372036854775807n
const LABEL_NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?'
const LABEL_KEY = new RegExp(
  `^(?:(?=[^/]{1,253}/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?${LABEL_NAME}$`,
)
const LABEL_VALUE = new RegExp(`^(?:${LABEL_NAME})?$`)
const LABEL_TOKEN = /[ \t\r\n]*(==|=(?!=)|!=|!|[(),><]|[^=!(),>< \t\r\n]+|$)/y

/** The value that the field selector of a query requires of metadata.name; empty when there is none, or none that counts. */
export function nameInFieldSelector(query: string): string {
  const values = queryValues(query)
  const selector = values.get('fieldSelector')
  if (selector === undefined || !selector.includes('metadata.name')) return ''
  if (!isInt64(values.get('limit')) || !isInt64(values.get('timeoutSeconds'))) return ''
  if (!isLabelSelector(values.get('labelSelector') ?? '')) return ''
  const terms = fieldTerms(selector)
  const name = terms?.find(([field, isEqual]) => isEqual && field === 'metadata.name')?.[2] ?? ''
  return name === '.' || name === '..' || /[/%]/.test(name) ? '' : name
}

/** The first value of each key. What holds a semicolon or a broken escape is left out, as by Go. */
export function queryValues(query: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';') || /%(?![0-9A-Fa-f]{2})/.test(pair)) continue
    const equals = pair.indexOf('=')
    const decode = (text: string) => unescapeBytes(text.replaceAll('+', ' '))
    const key = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (!values.has(key)) values.set(key, equals < 0 ? '' : decode(pair.slice(equals + 1)))
  }
  return values
}

function isInt64(text: string | undefined): boolean {
  if (text === undefined) return true
  if (!INTEGER.test(text)) return false
  const value = BigInt(text.replace('+', ''))
  return value <= INT64_MAX && value >= -INT64_MAX - 1n
}

/** [field, whether it is = or ==, value] of each term, in byte order; null when the selector cannot be read. */
function fieldTerms(selector: string): [string, boolean, string][] | null {
  const terms: [string, boolean, string][] = []
  const parts = selector.match(/(?:\\.|[^,\\])+|\\$/gs) ?? []
  parts.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const part of parts) {
    const split = /^(.*?)(!=|==|=)(.*)$/s.exec(part)
    if (split === null) return null
    const [, field = '', operator, raw = ''] = split
    if (!/^(?:\\[\\,=]|[^\\,=])*$/s.test(raw)) return null
    terms.push([field, operator !== '!=', raw.replace(/\\(.)/gs, '$1')])
  }
  return terms
}

/** Whether the API server can read a label selector. */
export function isLabelSelector(selector: string): boolean {
  const tokens: string[] = []
  LABEL_TOKEN.lastIndex = 0
  for (;;) {
    const match = LABEL_TOKEN.exec(selector)
    if (match === null) return false
    if (match[1] === '') break
    tokens.push(match[1]!)
  }
  let at = 0
  while (at < tokens.length) {
    const end = requirementEnd(tokens, at)
    if (end < 0) return false
    if (end === tokens.length) return true
    if (tokens[end] !== ',' || end + 1 === tokens.length) return false
    at = end + 1
  }
  return true
}

/** Index after the requirement that begins at `start`, -1 when it is none. */
function requirementEnd(tokens: readonly string[], start: number): number {
  const isNot = tokens[start] === '!'
  let at = isNot ? start + 1 : start
  if (!LABEL_KEY.test(tokens[at++] ?? '')) return -1
  const operator = tokens[at]
  if (operator === undefined || operator === ',') return at
  if (isNot) return -1
  at++
  if (operator === 'in' || operator === 'notin') return setEnd(tokens, at)
  if (!['=', '==', '!=', '>', '<'].includes(operator)) return -1
  const value = tokens[at]
  if (value === undefined || value === ',') return operator === '>' || operator === '<' ? -1 : at
  const isValue =
    operator === '>' || operator === '<' ? isInt64(value) && LABEL_VALUE.test(value) : LABEL_VALUE.test(value)
  return isValue ? at + 1 : -1
}

/** Index after `(a, b,)`, -1 when that is not what stands there. */
function setEnd(tokens: readonly string[], start: number): number {
  if (tokens[start] !== '(') return -1
  let at = start + 1
  let isValueAllowed = true
  for (;;) {
    const token = tokens[at++]
    if (token === ')') return at
    if (token === ',') isValueAllowed = true
    else if (token === undefined || !isValueAllowed || !LABEL_VALUE.test(token)) return -1
    else isValueAllowed = false
  }
}
