// What of pods and namespaces a configuration uses: nothing else is kept, and what nobody uses is not asked for. Pure.
import type { Config } from '../config/config.ts'
import { FIELD_PREFIXES, type FieldReference } from '../core/fields.ts'
import { isDirective } from './directives.ts'

export interface Needs {
  podLabel: (name: string) => boolean
  podAnnotation: (name: string) => boolean
  namespaceLabel: (name: string) => boolean
  /** Annotations by which pods direct the agent. */
  directive: (name: string) => boolean
  /** Loki tenants that pods may name, and the namespaces (globs) whose pods may. */
  tenants: Config['kubernetes']['annotations']['tenants']
  /** Whether namespaces are asked for at all. */
  namespaces: boolean
  /** Image, container ID, restart count: only whole pods have them, others come without spec and status. */
  containers: boolean
}

const OF_CONTAINERS: readonly FieldReference[] = ['container_id', 'restart_count', 'image']

export function needsOf({ kubernetes, sources, sinks }: Config): Needs {
  const references = sinks.flatMap((sink) =>
    sink.type === 'loki' ? [...sink.structuredMetadata, ...Object.values(sink.labelsFrom)] : [],
  )
  const selected = [...sources.filter((source) => source.type !== 'auditWebhook'), ...sinks]
    .flatMap(({ select }) => [...(select?.include ?? []), ...(select?.exclude ?? [])])
    .flatMap(({ podLabels = {} }) => Object.keys(podLabels).map((name) => `pod.labels.${name}`))
  references.push(...selected)
  // Sinks that store documents take all that is let in; the others what they name.
  const takesAll = sinks.some((sink) => sink.type !== 'loki' && sink.type !== 'stdout')
  const [podLabel, podAnnotation, namespaceLabel] = [
    takesAll ? kubernetes.podLabels : [],
    takesAll ? kubernetes.podAnnotations : [],
    takesAll ? kubernetes.namespaceLabels : [],
  ].map((globs, index) => {
    const prefix = FIELD_PREFIXES[index] as string
    const named = references.filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length))
    return matcher([...globs, ...named])
  }) as [Matcher, Matcher, Matcher]
  return {
    podLabel,
    podAnnotation,
    namespaceLabel,
    directive: kubernetes.annotations.honour ? (name) => isDirective(name, kubernetes.annotations.foreign) : nothing,
    tenants: kubernetes.annotations.honour ? kubernetes.annotations.tenants : [],
    namespaces: namespaceLabel !== nothing,
    containers: takesAll || references.some((each) => OF_CONTAINERS.includes(each)),
  }
}

type Matcher = (name: string) => boolean

const nothing: Matcher = () => false

/** Whether a name is one of `globs`, in which `*` stands for anything. */
function matcher(globs: readonly string[]): Matcher {
  if (globs.length === 0) return nothing
  const names = new Set(globs.filter((glob) => !glob.includes('*')))
  const patterns = globs
    .filter((glob) => glob.includes('*'))
    .map((glob) => new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '.*')}$`))
  return (name) => names.has(name) || patterns.some((pattern) => pattern.test(name))
}
