// Words of a filter: alternatives with `*` and `?`, and after `!` what is left out. Each says which bytes must stand in a line
// that it accepts, so that nearly all lines can be passed over without being taken apart. Pure.

/** All but characters that no writer of JSON has a reason to write as an escape. */
const ESCAPABLE = /[^\w .:@+=,;()[\]{}|~!$%^-]+/

export class Patterns {
  readonly #wanted: readonly RegExp[]
  readonly #unwanted: readonly RegExp[]
  /** The texts that are wanted, as they were given. */
  readonly texts: readonly string[]

  /** `texts` as they were given, each one alternative. */
  constructor(texts: readonly string[]) {
    this.texts = texts.filter((text) => !text.startsWith('!'))
    this.#wanted = this.texts.map(regExpOf)
    this.#unwanted = texts.filter((text) => text.startsWith('!')).map((text) => regExpOf(text.slice(1)))
  }

  get isEmpty(): boolean {
    return this.#wanted.length === 0 && this.#unwanted.length === 0
  }

  /** Whether something that is called by any of these names is accepted. */
  accepts(names: readonly string[]): boolean {
    if (this.#wanted.length > 0 && !names.some((name) => matches(this.#wanted, name))) return false
    return !names.some((name) => matches(this.#unwanted, name))
  }

  /**
   * Whether what several had a part in is: one of them is wanted, and not all of them are unwanted. So nobody hides by
   * impersonating somebody whom a filter leaves out.
   */
  acceptsAny(parties: readonly string[]): boolean {
    if (this.#wanted.length > 0 && !parties.some((party) => matches(this.#wanted, party))) return false
    return !parties.every((party) => matches(this.#unwanted, party))
  }
}

function matches(patterns: readonly RegExp[], name: string): boolean {
  return patterns.some((pattern) => pattern.test(name))
}

function regExpOf(pattern: string): RegExp {
  const source = pattern
    .split(/([*?])/)
    .map((part) => (part === '*' ? '.*' : part === '?' ? '.' : part.replace(/[\\^$.|+()[\]{}]/g, '\\$&')))
    .join('')
  return new RegExp(`^${source}$`, 's')
}

const NEEDLE_BYTES_MIN = 3

/**
 * A text that stands in every line in which a member `key` is a string that matches the pattern, provided that the line is
 * written as API servers do, without blanks: the longest there is. Null where there is none, because the pattern fits too
 * much or what it asks for may be written in several ways.
 */
export function needleOf(key: string, pattern: string): string | null {
  let best = ''
  const parts = pattern.split(/[*?]/)
  for (const [index, part] of parts.entries()) {
    const runs = part.split(ESCAPABLE)
    for (const [at, run] of runs.entries()) {
      // Key and quotes of the string stand where the pattern begins and ends.
      const before = index === 0 && at === 0 ? `"${key}":"` : ''
      const after = index === parts.length - 1 && at === runs.length - 1 ? '"' : ''
      const needle = before + run + after
      const isRare = run.length >= NEEDLE_BYTES_MIN || (before !== '' && needle.length > before.length)
      if (isRare && needle.length > best.length) best = needle
    }
  }
  return best === '' ? null : best
}
