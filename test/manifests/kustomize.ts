// What kustomize makes of our manifests, for machines without it: the small part of it that they use, and an error for the
// rest. cluster.conformance.ts holds it against kubectl's own. Names of generated ConfigMaps get no hash here.
// Spec: kubectl.docs.kubernetes.io/references/kustomize/kustomization, RFC 6902 (add, replace).
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'

/** The directory of the manifests, and the overlays below it. */
export const ROOT = fileURLToPath(new URL('../../manifests', import.meta.url))
export const OVERLAYS = readdirSync(`${ROOT}/overlays`).map((name) => `overlays/${name}`)

export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  // biome-ignore lint/suspicious/noExplicitAny: what is below is what the test asks about.
  [field: string]: any
}

interface Patch {
  target: { kind: string; name?: string; labelSelector?: string }
  path?: string
  patch?: string
}

interface Operation {
  op: string
  path: string
  value: unknown
}

interface Kustomization {
  apiVersion: string
  kind: string
  namespace?: string
  nameSuffix?: string
  resources?: string[]
  components?: string[]
  configMapGenerator?: { name: string; files?: string[]; literals?: string[] }[]
  patches?: Patch[]
}

const KNOWN = [
  'apiVersion',
  'kind',
  'namespace',
  'nameSuffix',
  'resources',
  'components',
  'configMapGenerator',
  'patches',
]
/** As kustomize has it, a namespace is given to all but these. */
const OF_THE_CLUSTER = ['Namespace', 'ClusterRole', 'ClusterRoleBinding']

/** The names that an object had before suffixes; patches find it by these, too. */
const formerNames = new WeakMap<KubeObject, string[]>()

/** All objects that the directory's kustomization.yaml comes to. Throws for what is not known here. */
export function build(directory: string): KubeObject[] {
  return buildOn(directory, [])
}

/** An overlay of ours with components, as an operator would write it: the directory of its kustomization.yaml. */
export function ownOverlay(t: Test, overlay: string, ...components: string[]): string {
  const from = (path: string) => relative(t.testdirName, join(ROOT, path))
  const own = { resources: [from(overlay)], components: components.map((name) => from(`components/${name}`)) }
  return t.testdir({ 'kustomization.yaml': JSON.stringify(own) })
}

/** A component changes what is there already; another kustomization begins with nothing. */
function buildOn(directory: string, objects: KubeObject[]): KubeObject[] {
  const file = join(directory, 'kustomization.yaml')
  const kustomization = parse(readFileSync(file, 'utf8')) as Kustomization
  const unknown = Object.keys(kustomization).filter((key) => !KNOWN.includes(key))
  if (unknown.length > 0) throw new Error(`${file}: the test's kustomize does not know ${unknown}`)
  const { resources = [], components = [], configMapGenerator = [], patches = [] } = kustomization
  for (const path of resources) objects.push(...resource(join(directory, path)))
  for (const map of configMapGenerator) objects.push(configMap(directory, map))
  for (const path of components) buildOn(join(directory, path), objects)
  for (const patch of patches) applyPatch(directory, patch, objects)
  for (const object of objects) {
    if (kustomization.nameSuffix !== undefined) rename(object, object.metadata.name + kustomization.nameSuffix)
    const { namespace } = kustomization
    if (namespace !== undefined && !OF_THE_CLUSTER.includes(object.kind)) object.metadata.namespace = namespace
  }
  return objects
}

function resource(path: string): KubeObject[] {
  if (statSync(path).isDirectory()) return build(path)
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => {
    const problems = 'errors' in document ? [...document.errors, ...document.warnings] : []
    if (problems.length > 0) throw new Error(`${path}: ${problems}`)
    return (document as { toJS(): KubeObject }).toJS()
  })
}

function configMap(directory: string, { name, files = [], literals = [] }: { name: string } & Record<string, unknown>) {
  const ofFiles = (files as string[]).map((file) => [basename(file), readFileSync(join(directory, file), 'utf8')])
  const ofLiterals = (literals as string[]).map((literal) => {
    const at = literal.indexOf('=')
    return [literal.slice(0, at), literal.slice(at + 1)]
  })
  const data = Object.fromEntries([...ofFiles, ...ofLiterals])
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data }
}

function rename(object: KubeObject, name: string): void {
  formerNames.set(object, [...(formerNames.get(object) ?? []), object.metadata.name])
  object.metadata.name = name
}

function applyPatch(directory: string, { target, path, patch }: Patch, objects: KubeObject[]): void {
  const text = patch ?? readFileSync(join(directory, path as string), 'utf8')
  const meant = objects.filter((object) => isTarget(object, target))
  if (meant.length === 0) throw new Error(`${directory}: a patch has no target: ${JSON.stringify(target)}`)
  for (const object of meant) for (const operation of parse(text) as Operation[]) apply(object, operation)
}

function isTarget(object: KubeObject, { kind, name, labelSelector, ...rest }: Patch['target']): boolean {
  if (Object.keys(rest).length > 0) throw new Error(`the test's kustomize does not know target.${Object.keys(rest)}`)
  const [label = '', value] = labelSelector?.split('=') ?? []
  const names = [object.metadata.name, ...(formerNames.get(object) ?? [])]
  return (
    object.kind === kind &&
    (name === undefined || names.includes(name)) &&
    (labelSelector === undefined || object.metadata.labels?.[label] === value)
  )
}

function apply(object: KubeObject, { op, path, value }: Operation): void {
  const keys = path.split('/').slice(1)
  const key = (keys.pop() as string).replaceAll('~1', '/').replaceAll('~0', '~')
  // biome-ignore lint/suspicious/noExplicitAny: any tree.
  let parent: any = object
  for (const each of keys) parent = parent?.[each.replaceAll('~1', '/').replaceAll('~0', '~')]
  if (parent === undefined) throw new Error(`${op} ${path}: there is no such place in ${object.metadata.name}`)
  if (op === 'add' && key === '-') parent.push(value)
  else if (op === 'add' || (op === 'replace' && Object.hasOwn(parent, key))) parent[key] = structuredClone(value)
  else throw new Error(`${op} ${path}: cannot be done to ${object.metadata.name}`)
}
