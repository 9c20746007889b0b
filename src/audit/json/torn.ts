// What a torn piece of JSON lacks to be whole: the end of its last value, and of all that is open. So its beginning can be read
// as what it would have been. Pure. Bound: one pass over the text.

const LITERALS = ['true', 'false', 'null']
const LITERAL = /[-+.0-9A-Za-z]/

/** The shortest end for a text that is the beginning of a JSON object or list; null when it is the beginning of none. */
export function missingEnd(text: string): string | null {
  const open: ('{' | '[')[] = []
  /** What came last on this level: `start` of it, a key, a colon, a value, a comma. */
  let last: 'start' | 'key' | 'colon' | 'value' | 'comma' = 'start'
  let end = ''
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!
    if (/\s/.test(letter)) continue
    const isKey: boolean = open.at(-1) === '{' && (last === 'start' || last === 'comma')
    if (letter === '}' || letter === ']') {
      if (open.pop() !== (letter === '}' ? '{' : '[')) return null
      last = 'value'
    } else if (letter === ',') last = 'comma'
    else if (letter === ':') last = 'colon'
    else if (letter === '{' || letter === '[') {
      open.push(letter)
      last = 'start'
    } else if (letter === '"') {
      const close = closingQuote(text, at + 1)
      if (close < 0) end = `${endOfEscape(text.slice(at + 1))}"`
      at = close < 0 ? text.length : close
      last = isKey ? 'key' : 'value'
    } else if (LITERAL.test(letter)) {
      const from = at
      while (at + 1 < text.length && LITERAL.test(text[at + 1]!)) at++
      if (at + 1 === text.length) end = endOfLiteral(text.slice(from))
      last = 'value'
    } else return null
  }
  if (last === 'key') end += ':null'
  else if (last === 'colon') end += 'null'
  else if (last === 'comma') end += open.at(-1) === '{' ? '"":null' : 'null'
  return (
    end +
    open
      .map((each) => (each === '{' ? '}' : ']'))
      .reverse()
      .join('')
  )
}

/** Where the string that begins at `from` is closed; -1: nowhere. */
function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return -1
}

function endOfEscape(text: string): string {
  const found = /(?:^|[^\\])(?:\\\\)*\\(u[0-9A-Fa-f]{0,3})?$/.exec(text)
  if (found === null) return ''
  return found[1] === undefined ? '\\' : '0'.repeat(5 - found[1].length)
}

function endOfLiteral(text: string): string {
  const literal = LITERALS.find((each) => each.startsWith(text))
  if (literal !== undefined) return literal.slice(text.length)
  return /[0-9]$/.test(text) ? '' : '0'
}
