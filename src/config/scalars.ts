// The general kinds of scalar: text, choices, numbers, booleans, quantities, durations, and `off` beside one of them.
import { formatDuration, parseDuration } from './duration.ts'
import { nearest } from './nearest.ts'
import { formatCores, formatQuantity, parseCores, parseQuantity } from './quantity.ts'
import type { Parsed, Scalar, YamlType } from './shapes.ts'

interface ScalarOptions<T> {
  expected: string
  accepts?: YamlType[]
  secret?: boolean
  file?: boolean
  parse: (text: string) => Parsed<T>
  format?: (value: T) => string | number | boolean
}

export function scalar<T>(options: ScalarOptions<T>): Scalar<T> {
  const { expected, accepts = ['string'], secret = false, file = false, parse, format = String } = options
  return { kind: 'scalar', expected, accepts, secret, file, parse, format }
}

/** Text that matches `pattern`, or any that is not empty. */
export function text(expected: string, pattern = /^.+$/s): Scalar<string> {
  return scalar({ expected, parse: (value) => (pattern.test(value) ? { value } : null) })
}

/** One of a few words. Where `off` is one of them, a boolean false means it too: YAML 1.1 read `off` so. */
export function choice<const V extends string>(values: readonly V[], later: Record<string, string> = {}): Scalar<V> {
  const expected = values.length === 1 ? values[0]! : `one of ${values.join(', ')}`
  const accepts: YamlType[] = (values as readonly string[]).includes('off') ? ['string', 'boolean'] : ['string']
  const parse = (given: string): Parsed<V> => {
    const word = given === 'false' && accepts.includes('boolean') ? 'off' : given
    const value = values.find((candidate) => candidate === word)
    if (value !== undefined) return { value }
    if (Object.hasOwn(later, word)) return { problem: later[word]! }
    const suggestion = nearest(word, values)
    return suggestion === null ? null : { problem: mismatch(expected, quoted(word)), suggestion }
  }
  return scalar({ expected, accepts, parse })
}

export function integer(min: number, max: number): Scalar<number> {
  const parse = (given: string): Parsed<number> => {
    const value = /^\d{1,15}$/.test(given) ? Number(given) : -1
    return value >= min && value <= max ? { value } : null
  }
  return scalar({ expected: `a whole number from ${min} to ${max}`, accepts: ['number'], parse, format: Number })
}

export function boolean(): Scalar<boolean> {
  const parse = (given: string): Parsed<boolean> =>
    given === 'true' || given === 'false' ? { value: given === 'true' } : null
  return scalar({ expected: 'true or false', accepts: ['boolean'], parse, format: Boolean })
}

/** Bytes. The bounds are quantities, and the upper one may be left out. */
export function quantity(min: string, max?: string): Scalar<number> {
  const bytesMin = parseQuantity(min)!
  const bytesMax = max === undefined ? Number.POSITIVE_INFINITY : parseQuantity(max)!
  const parse = (given: string): Parsed<number> => {
    const value = parseQuantity(given)
    return value !== null && value >= bytesMin && value <= bytesMax ? { value } : null
  }
  const range = max === undefined ? `of at least ${min}` : `from ${min} to ${max}`
  return scalar({ expected: `a quantity ${range}`, accepts: ['string', 'number'], parse, format: formatQuantity })
}

/** Thousandths of a core. The bounds are quantities. */
export function cores(min: string, max: string): Scalar<number> {
  const parse = (given: string): Parsed<number> => {
    const value = parseCores(given)
    return value !== null && value >= parseCores(min)! && value <= parseCores(max)! ? { value } : null
  }
  const expected = `an amount of CPU from ${min} to ${max} cores`
  return scalar({ expected, accepts: ['string', 'number'], parse, format: formatCores })
}

/** Milliseconds. The bounds are durations. */
export function duration(min: string, max: string): Scalar<number> {
  const msMin = parseDuration(min)!
  const msMax = parseDuration(max)!
  const parse = (given: string): Parsed<number> => {
    const value = parseDuration(given)
    return value !== null && value >= msMin && value <= msMax ? { value } : null
  }
  return scalar({ expected: `a duration from ${min} to ${max}`, parse, format: formatDuration })
}

/** The scalar, or `off` (also a boolean false), which gives null. */
export function orOff<T>(inner: Scalar<T>): Scalar<T | null> {
  const parse = (given: string): Parsed<T | null> =>
    given === 'off' || given === 'false' ? { value: null } : (inner.parse(given) as Parsed<T>)
  return scalar<T | null>({
    expected: `${inner.expected}, or off`,
    accepts: [...inner.accepts, 'boolean'],
    parse,
    format: (value) => (value === null ? 'off' : inner.format(value as never)),
  })
}

export function mismatch(expected: string, found: string): string {
  return `expected ${expected}, found ${found}`
}

/** `text` in quotes for a message, cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
