// Loki's label set as text, `{a="b", c="d\"e"}`: the part of PromQL that it accepts, with the words it uses to refuse
// (grafana/loki parses it with Prometheus' ParseMetric; the grammar is `label_set` in generated_parser.y).
import type { LabelPair } from './push-proto.ts'

/** `message` is Prometheus' own, with the place: `1:6: parse error: unexpected identifier "a" in label set, …`. */
export class LabelSetError extends Error {}

interface Token {
  type: '{' | '}' | '=' | ',' | 'other' | 'identifier' | 'string' | 'end'
  text: string
  start: number
}

const ESCAPES: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\' }
const TOKEN = /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|(=~|!~|!=|[{}=,])|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`))/y

/**
 * Parses a label set into pairs sorted by name; pairs with an empty value are left out, repeated names stay. Throws a
 * LabelSetError.
 */
export function parseLabelSet(text: string): LabelPair[] {
  const pairs: LabelPair[] = []
  let position = 0
  let inside = false
  const next = (): Token => {
    const token = readToken(text, position, inside)
    position = token.start + token.text.length
    if (token.type === '{') inside = true
    if (token.type === '}') inside = false
    return token
  }
  const refuse = (token: Token, expected: string): never =>
    fail(text, token.start, `unexpected ${described(token)} in label set, expected ${expected}`)

  let token = next()
  if (token.type === 'identifier') {
    pairs.push({ name: '__name__', value: token.text })
    token = next()
  }
  if (token.type === '{') {
    token = next()
    while (token.type !== '}') {
      if (token.type !== 'identifier' && token.type !== 'string') refuse(token, 'identifier or "}"')
      const name = token.type === 'string' ? unquote(text, token) : token.text
      if ((token = next()).type !== '=') refuse(token, '"="')
      if ((token = next()).type !== 'string') refuse(token, 'string')
      pairs.push({ name, value: unquote(text, token) })
      if ((token = next()).type === ',') token = next()
      else if (token.type !== '}') refuse(token, '"," or "}"')
    }
    token = next()
  }
  if (token.type !== 'end') fail(text, token.start, `unexpected ${described(token)}`)
  return pairs.filter((pair) => pair.value !== '').sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

/** The text that Loki makes of a label set: `{a="1", b="2"}`. */
export function formatLabelSet(pairs: readonly LabelPair[]): string {
  return `{${pairs.map(({ name, value }) => `${name}=${quote(value)}`).join(', ')}}`
}

function readToken(text: string, from: number, inside: boolean): Token {
  TOKEN.lastIndex = from
  const match = TOKEN.exec(text)
  if (match !== null) {
    const [, identifier, punctuation, string] = match
    const value = identifier ?? punctuation ?? string ?? ''
    const start = TOKEN.lastIndex - value.length
    if (identifier !== undefined) return { type: 'identifier', text: value, start }
    if (string !== undefined) return { type: 'string', text: value, start }
    if (value === '{' && inside) fail(text, start, "unexpected left brace '{'")
    return { type: value.length === 1 ? (value as Token['type']) : 'other', text: value, start }
  }
  const start = from + /^\s*/.exec(text.slice(from))![0].length
  const character = String.fromCodePoint(text.codePointAt(start) ?? 0)
  if (start < text.length) {
    if (character === '"' || character === "'") fail(text, start, 'unterminated quoted string')
    if (character === '`') fail(text, start, 'unterminated raw string')
    fail(text, start, `unexpected character${inside ? ' inside braces' : ''}: '${character}'`)
  }
  if (inside) fail(text, start, 'unexpected end of input inside braces')
  return { type: 'end', text: '', start }
}

function described(token: Token): string {
  if (token.type === 'end') return 'end of input'
  if (token.type === 'identifier') return `identifier ${quote(token.text)}`
  if (token.type === 'other') return `<op:${token.text}>`
  const quoted = token.text.length > 10 ? `${quote(token.text.slice(0, 10))}...` : quote(token.text)
  return token.type === 'string' ? `string ${quoted}` : quoted
}

function unquote(text: string, token: Token): string {
  const inner = token.text.slice(1, -1)
  if (token.text[0] === '`' || !inner.includes('\\')) return inner
  return inner.replace(
    /\\(?:x([\dA-Fa-f]{2})|u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|([0-7]{3})|([\s\S]))/g,
    (_, hex, short, long, octal, plain) => {
      const digits: string | undefined = hex ?? short ?? long
      if (digits !== undefined) return String.fromCodePoint(Number.parseInt(digits, 16))
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
      if (plain === token.text[0]) return plain
      return ESCAPES[plain] ?? fail(text, token.start, `unknown escape sequence ${unicodeName(plain)}`)
    },
  )
}

function unicodeName(character: string): string {
  const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
  return `U+${code} '${character}'`
}

/** Go's strconv.Quote, for all that is likely to be in a label. */
function quote(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to be escaped
  const escaped = value.replace(/["\\\x00-\x1f\x7f]/g, (character) => {
    if (character === '"') return '\\"'
    for (const letter in ESCAPES) if (ESCAPES[letter] === character) return `\\${letter}`
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
  return `"${escaped}"`
}

/** Prometheus counts lines from 1 and columns, in bytes, from 1. */
function fail(text: string, at: number, reason: string): never {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1)) + 1
  throw new LabelSetError(`${line}:${column}: parse error: ${reason}`)
}
