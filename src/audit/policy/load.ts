// From the text of a policy file to a Policy, or to all that the API server would refuse it for. What the API server only
// warns of (an unknown field, a key given twice) is a warning here too, with the same effect: the field is ignored, the
// last value counts. Pure. Follows apiserver/pkg/audit/policy/reader.go and apis/audit/validation.
import { isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, type YAMLMap } from 'yaml'
import type { ConfigError } from '../../config/config-error.ts'
import { nearest } from '../../config/nearest.ts'
import { described } from '../../config/nodes.ts'
import { type GroupResources, LEVELS, type Policy, type PolicyRule, STAGES, stageBit } from './policy.ts'

/** `places`: line and column of each rule. */
export type PolicyResult = { warnings: ConfigError[] } & (
  | { policy: Policy; places: { line: number; column: number }[] }
  | { errors: ConfigError[] }
)

const POLICY_FIELDS = ['apiVersion', 'kind', 'metadata', 'omitStages', 'omitManagedFields', 'rules']
const RULE_FIELDS = [
  'level',
  'users',
  'userGroups',
  'verbs',
  'resources',
  'namespaces',
  'nonResourceURLs',
  'omitStages',
  'omitManagedFields',
]
const RESOURCES_FIELDS = ['group', 'resources', 'resourceNames']
const API_VERSION = 'audit.k8s.io/v1'
const GROUP = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/

/** Reads a policy from YAML or JSON. `path` is for messages. Gives all errors and warnings, and throws none. */
export function loadPolicy(text: string, path: string): PolicyResult {
  const lines = new LineCounter()
  // YAML 1.1, as the API server reads it: a bare yes or on is a boolean, and so no name.
  const options = {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.1',
    logLevel: 'error',
  } as const
  const documents = parseAllDocuments(text, options)
  const reader = new PolicyReader(path, lines)
  const [document, second] = Array.isArray(documents) ? documents : []
  for (const error of document?.errors ?? []) reader.error(error.pos[0], '', error.message)
  if (second !== undefined) reader.warn(second.range[0], '', 'what follows the first document is ignored')
  const root = (document?.contents ?? null) as Node | null
  const read = reader.errors.length > 0 ? null : reader.policy(root)
  const { errors, warnings } = reader
  if (read === null || errors.length > 0) return { errors, warnings }
  return { policy: read.policy, places: read.places, warnings }
}

type Fields = Map<string, Node | null>

class PolicyReader {
  readonly errors: ConfigError[] = []
  readonly warnings: ConfigError[] = []
  readonly #path: string
  readonly #lines: LineCounter

  constructor(path: string, lines: LineCounter) {
    this.#path = path
    this.#lines = lines
  }

  error(offset: number, key: string, message: string, suggestion: string | null = null): void {
    this.errors.push(this.#located(offset, key, message, suggestion))
  }

  warn(offset: number, key: string, message: string, suggestion: string | null = null): void {
    this.warnings.push(this.#located(offset, key, message, suggestion))
  }

  policy(root: Node | null): { policy: Policy; places: { line: number; column: number }[] } | null {
    if (!isMap(root)) {
      this.error(
        0,
        '',
        `expected a policy (a mapping with apiVersion, kind and rules), found ${described(root, false)}`,
      )
      return null
    }
    const fields = this.#fields(root, '', POLICY_FIELDS)
    this.#header(fields)
    const omitStages = this.#stages(fields, '')
    const omitManagedFields = this.#boolean(fields, '', 'omitManagedFields') ?? false
    const nodes = this.#list(fields, '', 'rules')
    if (nodes.length === 0) this.error(0, 'rules', 'a policy needs at least one rule')
    const rules = nodes.map((node, index) => this.#rule(node, `rules[${index}]`, omitStages, omitManagedFields))
    const places = nodes.map((node) => this.#place(offsetOf(node)))
    return { policy: { rules, omitStages, omitManagedFields }, places }
  }

  #header(fields: Fields): void {
    const apiVersion = this.#text(fields, '', 'apiVersion')
    if (apiVersion !== API_VERSION) {
      this.error(offsetOf(fields.get('apiVersion')), 'apiVersion', `expected ${API_VERSION}, found "${apiVersion}"`)
    }
    const kind = this.#text(fields, '', 'kind')
    if (kind !== '' && kind !== 'Policy') {
      this.error(offsetOf(fields.get('kind')), 'kind', `expected Policy, found "${kind}"`)
    }
    const metadata = fields.get('metadata') ?? null
    if (metadata !== null && !isNull(metadata) && !isMap(metadata)) {
      this.error(offsetOf(metadata), 'metadata', `expected a mapping, found ${described(metadata, false)}`)
    }
  }

  #rule(node: Node | null, key: string, omitStages: number, omitManagedFields: boolean): PolicyRule {
    const fields = isNull(node) ? new Map() : this.#mapping(node, key, RULE_FIELDS)
    const resources = this.#list(fields, key, 'resources').map((item, index) =>
      this.#resources(item, `${key}.resources[${index}]`),
    )
    const rule: PolicyRule = {
      level: this.#level(fields, key, offsetOf(node)),
      users: this.#texts(fields, key, 'users'),
      userGroups: this.#texts(fields, key, 'userGroups'),
      verbs: this.#texts(fields, key, 'verbs'),
      resources,
      namespaces: this.#texts(fields, key, 'namespaces'),
      nonResourceURLs: this.#texts(fields, key, 'nonResourceURLs'),
      omitStages: omitStages | this.#stages(fields, key),
      omitManagedFields: this.#boolean(fields, key, 'omitManagedFields') ?? omitManagedFields,
    }
    this.#checkUrls(rule, fields, key)
    return rule
  }

  #level(fields: Fields, key: string, ruleOffset: number): number {
    const text = this.#text(fields, key, 'level')
    const level = (LEVELS as readonly string[]).indexOf(text)
    const offset = fields.has('level') ? offsetOf(fields.get('level')) : ruleOffset
    if (text === '') this.error(offset, `${key}.level`, 'a rule needs a level')
    else if (level < 0) {
      this.error(offset, `${key}.level`, `expected one of ${LEVELS.join(', ')}, found "${text}"`, nearest(text, LEVELS))
    }
    return Math.max(level, 0)
  }

  #checkUrls(rule: PolicyRule, fields: Fields, key: string): void {
    const urls = rule.nonResourceURLs
    const offset = offsetOf(fields.get('nonResourceURLs'))
    for (const [index, url] of urls.entries()) {
      const item = `${key}.nonResourceURLs[${index}]`
      if (url === '*') continue
      if (!url.startsWith('/')) this.error(offset, item, `expected a path that begins with /, found "${url}"`)
      if (url.slice(0, -1).includes('*')) this.error(offset, item, `a * may only be the last character, found "${url}"`)
    }
    if (urls.length > 0 && (rule.resources.length > 0 || rule.namespaces.length > 0)) {
      this.error(offset, `${key}.nonResourceURLs`, 'a rule is about resources and namespaces or about paths, not both')
    }
  }

  #resources(node: Node | null, key: string): GroupResources {
    const fields = isNull(node) ? new Map() : this.#mapping(node, key, RESOURCES_FIELDS)
    const group = this.#text(fields, key, 'group')
    if (group !== '' && group !== '*' && (!GROUP.test(group) || group.length > 253)) {
      const hint = group.includes('/') ? ' (without a version)' : ''
      this.error(offsetOf(fields.get('group')), `${key}.group`, `expected a group${hint}, found "${group}"`)
    }
    const resources = this.#texts(fields, key, 'resources')
    const resourceNames = this.#texts(fields, key, 'resourceNames')
    if (resourceNames.length > 0 && resources.length === 0) {
      this.error(offsetOf(fields.get('resourceNames')), `${key}.resourceNames`, 'needs resources beside it')
    }
    return { group, resources, resourceNames }
  }

  #stages(fields: Fields, key: string): number {
    let bits = 0
    for (const [index, stage] of this.#texts(fields, key, 'omitStages').entries()) {
      const bit = stageBit(stage)
      if (bit === 0) {
        const item = joined(key, `omitStages[${index}]`)
        const message = `expected one of ${STAGES.join(', ')}, found "${stage}"`
        this.error(offsetOf(fields.get('omitStages')), item, message, nearest(stage, STAGES))
      }
      bits |= bit
    }
    return bits
  }

  #mapping(node: Node | null, key: string, known: readonly string[]): Fields {
    if (isMap(node)) return this.#fields(node, key, known)
    this.error(offsetOf(node), key, `expected a mapping, found ${described(node, false)}`)
    return new Map()
  }

  /** The fields of a mapping. Of a key that is given twice the last one counts. */
  #fields(node: YAMLMap, key: string, known: readonly string[]): Fields {
    const fields: Fields = new Map()
    for (const pair of node.items as { key: Node; value: Node | null }[]) {
      const name = isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
      const offset = offsetOf(pair.key)
      if (fields.has(name)) this.warn(offset, joined(key, name), 'is given twice; the last one counts')
      if (!known.includes(name)) {
        this.warn(offset, joined(key, name), 'unknown field, which is ignored', nearest(name, known))
      }
      fields.set(name, pair.value)
    }
    return fields
  }

  #list(fields: Fields, key: string, name: string): (Node | null)[] {
    const node = fields.get(name) ?? null
    if (isNull(node)) return []
    if (isSeq(node)) return node.items as (Node | null)[]
    this.error(offsetOf(node), joined(key, name), `expected a list, found ${described(node, false)}`)
    return []
  }

  #texts(fields: Fields, key: string, name: string): string[] {
    return this.#list(fields, key, name).map((node, index) => this.#scalarText(node, joined(key, `${name}[${index}]`)))
  }

  #text(fields: Fields, key: string, name: string): string {
    return this.#scalarText(fields.get(name) ?? null, joined(key, name))
  }

  #scalarText(node: Node | null, key: string): string {
    if (isNull(node)) return ''
    if (isScalar(node) && typeof node.value === 'string') return node.value
    const hint = isScalar(node) ? '; write it in quotes' : ''
    this.error(offsetOf(node), key, `expected a string, found ${described(node, false)}${hint}`)
    return ''
  }

  #boolean(fields: Fields, key: string, name: string): boolean | null {
    const node = fields.get(name) ?? null
    if (isNull(node)) return null
    if (isScalar(node) && typeof node.value === 'boolean') return node.value
    this.error(offsetOf(node), joined(key, name), `expected true or false, found ${described(node, false)}`)
    return null
  }

  #located(offset: number, key: string, message: string, suggestion: string | null): ConfigError {
    return { path: this.#path, ...this.#place(offset), key, message, suggestion }
  }

  #place(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset)
    return { line, column: col }
  }
}

function isNull(node: Node | null): node is null {
  return node === null || (isScalar(node) && node.value === null)
}

function offsetOf(node: Node | null | undefined): number {
  return node?.range?.[0] ?? 0
}

function joined(key: string, name: string): string {
  return key === '' ? name : `${key}.${name}`
}
