// The vocabulary in which the schema is written: what kinds of value there are. Data only; walk.ts reads a file with it,
// describe.ts writes a configuration with it, document.ts makes the reference page of it. A shape carries the type of
// what it yields, so that the compiler holds the schema against Config.
import type { CgroupLimits } from './cgroup.ts'

/** How text becomes a value. null: it is not of this kind (the message then says what was expected and what was found). */
export type Parsed<T> = { value: T } | { problem: string; suggestion?: string | null } | null

export type YamlType = 'string' | 'number' | 'boolean'

export interface ScalarShape {
  readonly kind: 'scalar'
  /** With its article: "a quantity of at least 48Mi". */
  readonly expected: string
  /** The types that YAML may give it. A value from the environment is text and always accepted. */
  readonly accepts: readonly YamlType[]
  /** Its value appears in no message and no description. */
  readonly secret: boolean
  /** It names a file that must be there. */
  readonly file: boolean
  readonly parse: (text: string) => Parsed<unknown>
  readonly format: (value: never) => string | number | boolean
}

export interface ListShape {
  readonly kind: 'list'
  /** Plural, for messages and tables: "absolute paths". */
  readonly noun: string
  readonly of: AnyShape
  readonly itemsMin: number
}

export interface MapShape {
  readonly kind: 'map'
  readonly noun: string
  /** What is wrong with a key, or null. */
  readonly checkKey: (key: string) => string | null
  readonly of: ScalarShape
}

export interface RecordShape {
  readonly kind: 'record'
  readonly keys: Readonly<Record<string, AnyKey>>
  /** `off` may stand instead, and gives null. */
  readonly orOff: boolean
  /** Words that may stand instead, and give themselves. */
  readonly words?: readonly string[]
  /** Nothing that is written below it, right or wrong, appears in a message. */
  readonly secret: boolean
  /** Of each group exactly one key is given. */
  readonly exactlyOne: readonly (readonly string[])[]
  /** Of each group all keys are given, or none. */
  readonly together: readonly (readonly string[])[]
  /** What a single key cannot know. Values that were wrong by themselves are missing in `draft`. */
  readonly check: ((draft: never, report: Report) => void) | null
}

export interface VariantsShape {
  readonly kind: 'variants'
  /** The key `type`, which chooses the variant. */
  readonly type: AnyKey
  /** The keys that every variant has. */
  readonly common: Readonly<Record<string, AnyKey>>
  /** By `type`; each with the common keys. */
  readonly variants: Readonly<Record<string, RecordShape>>
}

export type AnyShape = ScalarShape | ListShape | MapShape | RecordShape | VariantsShape

interface Yields<T> {
  /** Never set: it only carries the type. */
  readonly yields?: T
}
export type Shape<T> = AnyShape & Yields<T>
export type Scalar<T> = ScalarShape & Yields<T>

/** Reports a problem with the key at `path`, which is relative to the record (`tls.keyFile`, `sources[0].name`; empty: the record). */
export type Report = (path: string, message: string, suggestion?: string | null) => void

/** What of the machine a default may depend on. */
export interface Machine {
  env: NodeJS.ProcessEnv
  hostname: string
  cgroup: CgroupLimits
}

/** A default that the machine gave: a scalar's text, and what it was taken from, for people. */
export interface Derived {
  text: string
  from: string
}

/** What holds where a key is left out. */
export type Default =
  /** Nothing: the key must be there. */
  | { kind: 'required' }
  /** This, as it would stand in the file. */
  | { kind: 'yaml'; yaml: string }
  /** What the machine says. */
  | { kind: 'machine'; says: string; text: (machine: Machine) => Derived }
  /** No value (null, or no property at all). */
  | { kind: 'none'; says: string; value: null | undefined }

export interface AnyKey {
  readonly shape: AnyShape
  readonly doc: string
  readonly default: Default
}
export type Key<T> = AnyKey & { readonly shape: Yields<T> }
export type Keys<T> = { readonly [K in keyof T]-?: Key<T[K]> }

export const REQUIRED: Default = { kind: 'required' }

/** A default written as in the file. */
export function yaml(text: string): Default {
  return { kind: 'yaml', yaml: text }
}

/** null by default; `says` is what the reference page calls it. */
export function none(says: string): Default {
  return { kind: 'none', says, value: null }
}

/** By default the property is not there. */
export const UNSET: Default = { kind: 'none', says: '', value: undefined }

export function key<T>(shape: Shape<T>, fallback: Default, doc: string): Key<T> {
  return { shape, default: fallback, doc }
}

export function list<T>(of: Shape<T>, noun: string, itemsMin: number): Shape<T[]> {
  return { kind: 'list', of, noun, itemsMin }
}

export interface RecordRules<T> {
  orOff?: boolean
  secret?: boolean
  exactlyOne?: (keyof T & string)[][]
  together?: (keyof T & string)[][]
  check?: (draft: Partial<T>, report: Report) => void
}

export function record<T>(keys: Keys<T>, rules: RecordRules<T> = {}): RecordShape & Yields<T> {
  const { orOff = false, secret = false, exactlyOne = [], together = [], check = null } = rules
  return { kind: 'record', keys, orOff, secret, exactlyOne, together, check }
}

/** The record that holds for `type`, with `name` and `type` as its first keys; null where there is no such variant. */
export function variantOf(shape: VariantsShape, type: string | null): RecordShape | null {
  if (type === null || !Object.hasOwn(shape.variants, type)) return null
  const variant = shape.variants[type]!
  return { ...variant, keys: { name: variant.keys.name!, type: shape.type, ...variant.keys } }
}

/** One of several records, chosen by the key `type`. */
export function variants<T extends { type: string }>(
  type: Key<T['type']>,
  common: Readonly<Record<string, AnyKey>>,
  byType: { [K in T['type']]: RecordShape & Yields<Omit<Extract<T, { type: K }>, 'type'>> },
): Shape<T> {
  return { kind: 'variants', type, common, variants: byType }
}
