// Whether a line is a JSON object that a store takes as it stands under a field of type flattened or flat_object. Stricter
// than JSON: whatever may make a server refuse the document (a name twice, a number without end, a term too long, depth)
// makes it no such object, and the line is delivered as text alone. Pure; holds no more than the names of the objects
// that are open.

/** As `depth_limit` of `flattened` has it unless changed. */
const DEPTH_MAX = 20
/** Of one object. */
const NAMES_MAX = 256
/** So many names are compared with each other; with more a set is asked, or an object of 256 names would take 7 ms. */
const NAMES_COMPARED_MAX = 4
/** In bytes, as written. Lucene takes terms of 32,766 bytes: a path and a value. */
const NAME_BYTES_MAX = 512
const STRING_BYTES_MAX = 8191
const NUMBER_BYTES_MAX = 64

const [QUOTE, BACKSLASH, COMMA, COLON, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = Buffer.from('"\\,:{}[]') as unknown as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
]
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const LITERALS = ['true', 'false', 'null'].map((word) => Buffer.from(word))
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'))
const U = 0x75

let source: Buffer = Buffer.alloc(0)
let at = 0
let end = 0
/** Start and end of the names of all objects that are open, in pairs. */
let names: number[] = []
/** The last string that was read has a backslash in it. */
let hasEscape = false

/** Whether buffer[start, stop) is such an object and nothing else. Ends with the line's last brace: no space behind it. */
export function isPlainJsonObject(buffer: Buffer, start: number, stop: number): boolean {
  if (buffer[start] !== OPEN || buffer[stop - 1] !== CLOSE) return false
  source = buffer
  at = start
  end = stop
  names = []
  return readObject(1) && at === end
}

// Each of these begins at the first byte of what it reads and leaves `at` behind its last one; false: not such an object.

function readValue(depth: number): boolean {
  const byte = source[at]
  if (byte === QUOTE) return readString(STRING_BYTES_MAX)
  if (byte === OPEN) return depth <= DEPTH_MAX && readObject(depth)
  if (byte === OPEN_LIST) return depth <= DEPTH_MAX && readList(depth)
  const literal = LITERALS.find((word) => word[0] === byte)
  if (literal === undefined) return readNumber()
  if (literal.compare(source, at, Math.min(end, at + literal.length)) !== 0) return false
  at += literal.length
  return true
}

function readObject(depth: number): boolean {
  const firstName = names.length
  let known: Set<string> | null = null
  at++
  skipSpace()
  if (source[at] === CLOSE) {
    at++
    return true
  }
  for (;;) {
    const nameStart = at + 1
    if (source[at] !== QUOTE || !readString(NAME_BYTES_MAX)) return false
    if (names.length - firstName === 2 * NAMES_COMPARED_MAX) known = namesFrom(firstName)
    if (!takeName(firstName, nameStart, at - 1, known)) return false
    skipSpace()
    if (source[at++] !== COLON) return false
    skipSpace()
    if (!readValue(depth + 1)) return false
    skipSpace()
    const next = source[at++]
    if (next === CLOSE) break
    if (next !== COMMA) return false
    skipSpace()
  }
  names.length = firstName
  return true
}

/**
 * Notes a name of the object whose names begin at `first` (`known`: all of them, where they are many); false when it is there, empty,
 * escaped, or one too many.
 */
function takeName(first: number, start: number, stop: number, known: Set<string> | null): boolean {
  if (hasEscape || stop === start || names.length - first >= 2 * NAMES_MAX) return false
  if (known !== null) {
    const before = known.size
    if (known.add(nameAt(start, stop)).size === before) return false
  } else {
    for (let i = first; i < names.length; i += 2) {
      if (source.compare(source, names[i], names[i + 1], start, stop) === 0) return false
    }
  }
  names.push(start, stop)
  return true
}

function namesFrom(first: number): Set<string> {
  const known = new Set<string>()
  for (let i = first; i < names.length; i += 2) known.add(nameAt(names[i] as number, names[i + 1] as number))
  return known
}

/** One character for each byte. */
function nameAt(start: number, stop: number): string {
  return source.toString('latin1', start, stop)
}

function readList(depth: number): boolean {
  at++
  skipSpace()
  if (source[at] === CLOSE_LIST) {
    at++
    return true
  }
  for (;;) {
    if (!readValue(depth + 1)) return false
    skipSpace()
    const next = source[at++]
    if (next === CLOSE_LIST) return true
    if (next !== COMMA) return false
    skipSpace()
  }
}

function readString(bytesMax: number): boolean {
  const limit = Math.min(end, ++at + bytesMax + 1)
  hasEscape = false
  while (at < limit) {
    const byte = source[at++] as number
    if (byte === QUOTE) return true
    if (byte < 0x20) return false
    if (byte !== BACKSLASH) continue
    hasEscape = true
    const letter = source[at++] as number
    if (letter === U) {
      // NUL is what separates names in a flattened field.
      const digits = source.toString('latin1', at, Math.min(end, at + 4))
      if (!/^[0-9a-fA-F]{4}$/.test(digits) || digits === '0000') return false
      at += 4
    } else if (!ESCAPED.has(letter)) return false
  }
  return false
}

function readNumber(): boolean {
  const start = at
  while (at < end && at - start <= NUMBER_BYTES_MAX && isOfNumber(source[at] as number)) at++
  const text = source.toString('latin1', start, at)
  return at - start <= NUMBER_BYTES_MAX && NUMBER.test(text) && Number.isFinite(Number(text))
}

function isOfNumber(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65
}

function skipSpace(): void {
  while (at < end && (source[at] === 0x20 || source[at] === 0x09 || source[at] === 0x0d)) at++
}
