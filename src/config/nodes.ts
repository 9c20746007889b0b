// What a YAML node holds: its text, and how a message calls it.
import { isMap, isScalar, isSeq, type Node } from 'yaml'
import { substitute } from './env.ts'
import { quoted } from './scalars.ts'
import type { YamlType } from './shapes.ts'

export interface ScalarText {
  text: string
  /** What YAML took it for; text with something from the environment in it counts as whatever is needed. */
  type: YamlType | 'substituted'
  /** References that could not be replaced. */
  problems: string[]
}

/** The text of a scalar as it was written, with references replaced; null for anything else, and for nothing. */
export function textOf(node: Node | null, env: NodeJS.ProcessEnv): ScalarText | null {
  if (!isScalar(node) || node.value === null) return null
  if (typeof node.value === 'string') {
    const { text, substituted, problems } = substitute(node.value, env)
    return { text, type: substituted ? 'substituted' : 'string', problems }
  }
  return { text: node.source ?? String(node.value), type: typeof node.value as YamlType, problems: [] }
}

/** What a message calls a node, or text that came from the environment: "a list", `the number 5`, `"text"`; of a secret only its kind. */
export function described(found: Node | string | null, secret: boolean): string {
  if (isMap(found)) return 'a mapping'
  if (isSeq(found)) return 'a list'
  const value = isScalar(found) ? found.value : found
  if (value === null) return 'nothing'
  if (secret) return `a ${typeof value}`
  if (typeof value === 'string') return quoted(value)
  return `the ${typeof value} ${isScalar(found) ? found.source : value}`
}
