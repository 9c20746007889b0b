// Reads a YAML document by a schema. It is the only interpreter of shapes that meets an operator's file: it collects
// every problem with its place, never throws for what the file says, and yields nothing (undefined) for what is wrong.
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parse, type YAMLMap } from 'yaml'
import { nearest } from './nearest.ts'
import { described, textOf } from './nodes.ts'
import { mismatch, quoted } from './scalars.ts'
import {
  type AnyKey,
  type AnyShape,
  type ListShape,
  type Machine,
  type MapShape,
  type RecordShape,
  record,
  type ScalarShape,
  type VariantsShape,
  variantOf,
} from './shapes.ts'

export interface Problem {
  /** Offset in the text, in UTF-16 units. */
  offset: number
  /** Path of the key, e.g. `sinks[0].url`; empty for the whole. */
  key: string
  message: string
  /** The known word that was probably meant. */
  suggestion: string | null
}

export interface WalkOptions extends Machine {
  /** What is wrong with a file that is referred to, or null; without it files are not looked at. */
  checkFile?: (path: string) => string | null
}

/** What of the machine a value was taken from, by the path of its key; for those that it was taken from. */
export type Origins = ReadonlyMap<string, string>

interface Walk {
  document: Document
  options: WalkOptions
  problems: Problem[]
  /** Where each value stands, by its path. */
  offsets: Map<string, number>
  origins: Map<string, string>
}

/** Where the walk is: the path there, and whether values below it are to be kept out of messages. */
interface Place {
  path: string
  secret: boolean
}

/** Reads the contents of `document` as `shape`. The value is whole only when there are no problems. */
export function walk(
  shape: AnyShape,
  document: Document,
  options: WalkOptions,
): { value: unknown; problems: Problem[]; origins: Origins } {
  const state: Walk = { document, options, problems: [], offsets: new Map(), origins: new Map() }
  const root = document.contents as Node | null
  setOffset(state, '', root)
  const value = read(state, shape, root, { path: '', secret: false })
  return { value, problems: state.problems, origins: state.origins }
}

function read(walk: Walk, shape: AnyShape, given: Node | null, place: Place): unknown {
  const node = resolved(walk, given)
  if (node === undefined)
    return problem(walk, place.path, 'an alias (*) without its anchor (&); if it is text, quote it')
  switch (shape.kind) {
    case 'scalar':
      return readScalar(walk, shape, node, place)
    case 'list':
      return readList(walk, shape, node, place)
    case 'map':
      return readMap(walk, shape, node, place)
    case 'record':
      return readRecord(walk, shape, node, place, false)
    case 'variants':
      return readVariants(walk, shape, node, place)
  }
}

/** What an alias stands for, which is undefined without its anchor; any other node itself. */
function resolved(walk: Walk, node: Node | null): Node | null | undefined {
  return isAlias(node) ? node.resolve(walk.document) : node
}

function readScalar(walk: Walk, shape: ScalarShape, node: Node | null, at: Place): unknown {
  const place = { path: at.path, secret: at.secret || shape.secret }
  const given = textOf(node, walk.options.env)
  if (given === null) return unexpected(walk, shape.expected, node, place)
  if (given.problems.length > 0) return problems(walk, place.path, given.problems)
  const parsed = shape.parse(given.text)
  if (given.type !== 'substituted' && !shape.accepts.includes(given.type)) {
    const hint = `; write it ${given.type === 'string' ? 'without' : 'in'} quotes`
    return unexpected(walk, shape.expected, node, place, parsed !== null && 'value' in parsed ? hint : '')
  }
  if (parsed === null) return unexpected(walk, shape.expected, given.type === 'substituted' ? given.text : node, place)
  if ('problem' in parsed) return problem(walk, place.path, parsed.problem, parsed.suggestion)
  const fileProblem = shape.file ? walk.options.checkFile?.(given.text) : null
  if (fileProblem) return problem(walk, place.path, `cannot read ${given.text}: ${fileProblem}`)
  return parsed.value
}

function readList(walk: Walk, shape: ListShape, node: Node | null, place: Place): unknown[] | undefined {
  if (!isSeq(node)) return unexpected(walk, `a list of ${shape.noun}`, node, place)
  if (node.items.length < shape.itemsMin) return problem(walk, place.path, `expected at least one of ${shape.noun}`)
  const values: unknown[] = []
  for (const [index, item] of (node.items as (Node | null)[]).entries()) {
    const path = `${place.path}[${index}]`
    setOffset(walk, path, item)
    const value = read(walk, shape.of, item, { ...place, path })
    if (typeof value === 'string' && values.includes(value)) problem(walk, path, 'is listed twice')
    values.push(value)
  }
  return values
}

function readMap(walk: Walk, shape: MapShape, node: Node | null, place: Place): Record<string, unknown> | undefined {
  if (!isMap(node)) return unexpected(walk, `a mapping of ${shape.noun}`, node, place)
  const values: [string, unknown][] = []
  for (const [name, pair] of pairsOf(walk, node, place)) {
    const path = joined(place.path, name)
    const keyProblem = shape.checkKey(name)
    if (keyProblem !== null)
      walk.problems.push({ offset: pair.offset, key: path, message: keyProblem, suggestion: null })
    values.push([name, read(walk, shape.of, pair.value, { ...place, path })])
  }
  return Object.fromEntries(values)
}

function readVariants(walk: Walk, shape: VariantsShape, node: Node | null, place: Place): unknown {
  const typeNode = isMap(node) ? resolved(walk, (node.get('type', true) ?? null) as Node | null) : null
  const type = textOf(typeNode ?? null, walk.options.env)
  const variant = variantOf(shape, type?.text ?? null)
  if (variant !== null) return readRecord(walk, variant, node, place, false)
  // Without a valid type only the common keys can be judged; the others may be right.
  return readRecord(walk, record({ ...shape.common, type: shape.type }), node, place, true)
}

function readRecord(walk: Walk, shape: RecordShape, node: Node | null, at: Place, othersAllowed: boolean): unknown {
  const place = { path: at.path, secret: at.secret || shape.secret }
  if (shape.orOff) {
    const given = textOf(node, walk.options.env)
    if (given?.text === 'off' || given?.text === 'false') return null
    if (given !== null && given.problems.length > 0) return problems(walk, place.path, given.problems)
  }
  if (shape.words !== undefined) {
    const given = textOf(node, walk.options.env)
    if (given !== null && given.problems.length > 0) return problems(walk, place.path, given.problems)
    // YAML of the older kind reads `off` as false.
    const word = given?.text === 'false' ? 'off' : given?.text
    if (word !== undefined && shape.words.includes(word)) return word
  }
  const instead = [...(shape.words ?? []), ...(shape.orOff ? ['off'] : [])].join(' or ')
  if (!isMap(node)) return unexpected(walk, `a mapping${instead === '' ? '' : `, or ${instead}`}`, node, place)
  const pairs = pairsOf(walk, node, place)
  if (!othersAllowed) checkKnown(walk, shape, pairs, place)
  const values: Record<string, unknown> = {}
  for (const [name, key] of Object.entries(shape.keys)) {
    const below = { ...place, path: joined(place.path, name) }
    const pair = pairs.get(name)
    const value = pair === undefined ? defaultOf(walk, key, below) : read(walk, key.shape, pair.value, below)
    if (value !== undefined) values[name] = value
  }
  checkGroups(walk, shape, pairs, place)
  shape.check?.(values as never, (path, message, suggestion) =>
    problem(walk, joinedPath(place.path, path), message, suggestion),
  )
  return values
}

function checkKnown(walk: Walk, shape: RecordShape, pairs: Pairs, place: Place): void {
  const known = Object.keys(shape.keys)
  const free = known.filter((name) => !pairs.has(name))
  for (const [name, { offset }] of pairs) {
    if (known.includes(name)) continue
    const suggestion = nearest(name, free)
    const unknown = { offset, key: joined(place.path, name), message: 'unknown key', suggestion }
    // Where a colon was forgotten the key is the secret itself; line and column say which it is.
    const unnamed = { ...unknown, key: place.path, message: `unknown key; there are ${known.join(', ')}` }
    walk.problems.push(place.secret && suggestion === null ? unnamed : unknown)
  }
}

function checkGroups(walk: Walk, shape: RecordShape, pairs: Pairs, place: Place): void {
  for (const group of shape.exactlyOne) {
    const given = group.filter((name) => pairs.has(name))
    if (given.length === 0) problem(walk, place.path, `needs exactly one of ${group.join(', ')}`)
    if (given.length > 1) problem(walk, place.path, `${given.join(' and ')} exclude each other`)
  }
  for (const group of shape.together) {
    const missing = group.filter((name) => !pairs.has(name))
    const given = group.find((name) => pairs.has(name))
    if (given !== undefined && missing.length > 0)
      problem(walk, joined(place.path, given), `needs ${missing.join(', ')} as well`)
  }
}

function defaultOf(walk: Walk, key: AnyKey, place: Place): unknown {
  const { shape, default: fallback } = key
  switch (fallback.kind) {
    case 'required':
      return problem(walk, place.path, 'required key is missing')
    case 'none':
      return fallback.value
    case 'yaml':
      // A node that is made here has no place in the text, so that a problem is reported where the key is missing.
      return read(walk, shape, walk.document.createNode(parse(fallback.yaml)) as Node, place)
    case 'machine': {
      const { parse: parseText, expected } = shape as ScalarShape
      const { text, from } = fallback.text(walk.options)
      walk.origins.set(place.path, from)
      const parsed = parseText(text)
      if (parsed !== null && 'value' in parsed) return parsed.value
      return problem(walk, place.path, `${mismatch(expected, quoted(text))} (the default: ${fallback.says})`)
    }
  }
}

type Pairs = Map<string, { value: Node | null; offset: number }>

/** The pairs of a mapping by their keys; a key that appears twice is a problem. */
function pairsOf(walk: Walk, node: YAMLMap, place: Place): Pairs {
  const pairs: Pairs = new Map()
  for (const pair of node.items as { key: Node; value: Node | null }[]) {
    const name = isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
    const path = joined(place.path, name)
    const offset = pair.key.range?.[0] ?? 0
    if (pairs.has(name)) walk.problems.push({ offset, key: path, message: 'the key is given twice', suggestion: null })
    setOffset(walk, path, pair.value ?? pair.key)
    pairs.set(name, { value: pair.value ?? null, offset })
  }
  return pairs
}

function setOffset(walk: Walk, path: string, node: Node | null): void {
  if (node?.range) walk.offsets.set(path, node.range[0])
}

function joined(path: string, key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? joinedPath(path, key) : `${path}[${quoted(key)}]`
}

function joinedPath(path: string, rest: string): string {
  return path === '' || rest === '' ? path + rest : `${path}.${rest}`
}

/** Records a problem with the value at `path`, at the place of the nearest thing around it that is in the text. */
function problem(walk: Walk, path: string, message: string, suggestion: string | null = null): undefined {
  let around = path
  while (around !== '' && !walk.offsets.has(around)) {
    around = around.slice(0, Math.max(0, around.lastIndexOf('.'), around.lastIndexOf('[')))
  }
  walk.problems.push({ offset: walk.offsets.get(around) ?? 0, key: path, message, suggestion })
  return undefined
}

function problems(walk: Walk, path: string, messages: string[]): undefined {
  for (const message of messages) problem(walk, path, message)
  return undefined
}

/** Records that `found` (a node, or text that came from the environment) is not what was expected. */
function unexpected(walk: Walk, expected: string, found: Node | string | null, place: Place, hint = ''): undefined {
  return problem(walk, place.path, mismatch(expected, described(found, place.secret)) + hint)
}
