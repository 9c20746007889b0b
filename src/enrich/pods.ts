// The pods and namespaces that are known, by UID and by name: of each only what is used. Deleted pods stay, as
// tombstones, while their files may still be read. Invariant: a pod's lines get the metadata of its own UID or none; a
// name alone is never a key. Bound: what the node runs, and TOMBSTONES_MAX.
import type { Metadata } from '../core/metadata.ts'
import type { Clock } from '../ports/clock.ts'
import { keptDirectives, tenantOf, tenantsFor } from './directives.ts'
import type { Needs } from './needs.ts'
import { appOf, type OwnerReference, ownerOf } from './owner.ts'

const TOMBSTONES_MAX = 1000
/** A pod may be gone before its files are found. */
const TOMBSTONE_MS_MIN = 10 * 60_000

type Strings = Readonly<Record<string, string>>
const NONE: Strings = Object.freeze({})

/** A container as the pod's status has it. */
interface Container {
  image: string
  restarts: number
  /** Of the present instance, and of the one before it. */
  id: string
  idBefore: string
}

interface Pod {
  /** Of the pod itself; the key of a static pod is another. */
  uid: string
  namespace: string
  name: string
  app: string
  ownerKind: string
  ownerName: string
  labels: Strings
  annotations: Strings
  directives: Strings
  /** null: the status is not asked for. */
  containers: Readonly<Record<string, Container>> | null
}

interface Known {
  pod: Pod
  /** The UID in its files' paths. */
  pathUid: string
  /** Its namespace's labels as they were at the end of one of the two; null: as they are. */
  lastNamespaceLabels: Strings | null
  /** Monotonic ms; null while it is there. */
  deletedAt: number | null
  /** The list in which it was last seen. */
  list: number
  /** What was made of it, by container and restart. */
  made: Map<string, Metadata>
}

/** An object of the API, as far as it is looked at. */
interface PodObject {
  metadata?: {
    name?: string
    namespace?: string
    uid?: string
    labels?: Strings
    annotations?: Strings
    ownerReferences?: OwnerReference[]
  }
  spec?: { containers?: { name: string; image?: string }[]; initContainers?: { name: string; image?: string }[] }
  status?: Partial<Record<(typeof STATUSES)[number], ContainerStatus[]>>
}

interface ContainerStatus {
  name: string
  image?: string
  containerID?: string
  restartCount?: number
  lastState?: { terminated?: { containerID?: string } }
}

const STATUSES = ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'] as const
/**
 * A static pod's files carry the hash of its manifest for a UID; its mirror pod at the API server says so. But whoever may
 * make pods may say so, of any pod's UID: so it counts with name and namespace, and never for another pod's own UID.
 */
const MIRROR = 'kubernetes.io/config.mirror'

/** Which container of which pod, as its file's path says. */
export interface Place {
  namespace: string
  pod: string
  podUid: string
  container: string
}

export class Pods {
  /** Called with the UID in the paths of a pod whose metadata changed, and with null when many may have. */
  onChange: (pathUid: string | null) => void = () => {}
  readonly #needs: Needs
  readonly #nodeName: string
  readonly #clock: Clock
  readonly #pods = new Map<string, Known>()
  /** Keys of the deleted ones, the one deleted longest ago first. */
  readonly #tombstones = new Set<string>()
  readonly #namespaces = new Map<string, { labels: Strings; list: number }>()
  #podList = 0
  #namespaceList = 0
  #namespacesListed = false

  constructor(needs: Needs, nodeName: string, clock: Clock) {
    this.#needs = needs
    this.#nodeName = nodeName
    this.#clock = clock
  }

  get counts(): { pods: number; tombstones: number; namespaces: number } {
    const tombstones = this.#tombstones.size
    return { pods: this.#pods.size - tombstones, tombstones, namespaces: this.#namespaces.size }
  }

  /**
   * The metadata of a container in its `restart`th instance; the same object as long as it is the same. null when the pod
   * is not known, or more of it is to be expected: its namespace, the container's ID. With `isLast` what there is will do.
   */
  metadata(place: Place, restart: number, isLast = false): Metadata | null {
    const known = this.#pods.get(place.podUid) ?? this.#pods.get(mirrorKey(place.podUid, place.namespace, place.pod))
    // The path may be anybody's: a UID alone does not make it this pod's.
    if (known === undefined || known.pod.name !== place.pod || known.pod.namespace !== place.namespace) return null
    const namespaceLabels = known.lastNamespaceLabels ?? this.#namespaces.get(place.namespace)?.labels
    // A new namespace's first pod may be told of before it.
    if (namespaceLabels === undefined && this.#needs.namespaces && known.deletedAt === null && !isLast) return null
    const key = `${place.container} ${this.#needs.containers ? restart : ''}`
    let metadata = known.made.get(key)
    if (metadata === undefined) {
      metadata = this.#make(known.pod, place.container, restart, namespaceLabels ?? NONE)
      known.made.set(key, metadata)
    }
    if (this.#needs.containers && metadata.containerId === '' && !isLast) {
      const status = known.pod.containers?.[place.container]
      // Of instances longer ago than the last one nothing will be told.
      if (known.deletedAt === null && (status === undefined || restart >= status.restarts)) return null
    }
    return metadata
  }

  readonly podReceiver = {
    listing: () => void this.#podList++,
    put: (object: object) => this.#putPod(object as PodObject),
    listed: () => {
      for (const [key, known] of this.#pods) if (known.list !== this.#podList) this.#bury(key, known)
    },
    deleted: (object: object) => {
      const key = keyOf(object as PodObject)
      const known = this.#pods.get(key)
      if (known !== undefined) this.#bury(key, known)
    },
  }

  readonly namespaceReceiver = {
    listing: () => void this.#namespaceList++,
    put: ({ metadata }: PodObject) => this.#putNamespace(metadata?.name ?? '', metadata?.labels ?? NONE),
    listed: () => {
      for (const [name, { list }] of this.#namespaces) if (list !== this.#namespaceList) this.#dropNamespace(name)
      this.#namespacesListed = true
      this.onChange(null)
    },
    deleted: ({ metadata }: PodObject) => this.#dropNamespace(metadata?.name ?? ''),
  }

  /** Forgets deleted pods that nobody uses any more (by the UID in paths). */
  sweep(isUsed: (pathUid: string) => boolean): void {
    const now = this.#clock.monotonic()
    for (const key of this.#tombstones) {
      const { deletedAt, pathUid } = this.#pods.get(key) as Known
      if (now - (deletedAt as number) >= TOMBSTONE_MS_MIN && !isUsed(pathUid)) this.#forget(key)
    }
  }

  #putPod(object: PodObject): void {
    const key = keyOf(object)
    if (key === '') return
    const pod = this.#podOf(object)
    const pathUid = object.metadata?.annotations?.[MIRROR] || pod.uid
    let known = this.#pods.get(key)
    if (known === undefined) {
      known = { pod, pathUid, lastNamespaceLabels: null, deletedAt: null, list: this.#podList, made: new Map() }
      this.#pods.set(key, known)
    } else {
      known.list = this.#podList
      known.deletedAt = null
      this.#tombstones.delete(key)
      if (isSame(known.pod, pod)) return
      known.pod = pod
      known.made.clear()
    }
    this.onChange(pathUid)
  }

  #podOf({ metadata = {}, spec, status }: PodObject): Pod {
    const { name = '', namespace = '', uid = '', labels = NONE, annotations = NONE, ownerReferences = [] } = metadata
    const { kind: ownerKind, name: ownerName } = ownerOf(ownerReferences, labels)
    return {
      uid,
      namespace,
      name,
      app: appOf(name, labels, { kind: ownerKind, name: ownerName }, this.#nodeName),
      ownerKind,
      ownerName,
      labels: picked(labels, this.#needs.podLabel),
      annotations: picked(annotations, this.#needs.podAnnotation),
      directives: keptDirectives(picked(annotations, this.#needs.directive)),
      containers: this.#needs.containers ? containersOf(spec, status) : null,
    }
  }

  #make(pod: Pod, container: string, restart: number, namespaceLabels: Strings): Metadata {
    const { uid: podUid, name, namespace, app, ownerKind, ownerName, labels, annotations, directives } = pod
    const status = pod.containers?.[container]
    const isBefore = status !== undefined && restart === status.restarts - 1
    const tenant = tenantOf(directives, container, tenantsFor(namespace, this.#needs.tenants))
    const containerId = restart === status?.restarts ? status.id : isBefore ? status.idBefore : ''
    return {
      mark: '',
      namespace,
      pod: name,
      podUid,
      container,
      node: this.#nodeName,
      app,
      ownerKind,
      ownerName,
      image: status?.image ?? '',
      containerId,
      restartCount: this.#needs.containers ? restart : -1,
      labels,
      annotations,
      namespaceLabels,
      ...(directives !== NONE && { directives }),
      ...(tenant !== null && { tenant }),
    }
  }

  #putNamespace(name: string, all: Strings): void {
    const labels = picked(all, this.#needs.namespaceLabel)
    const known = this.#namespaces.get(name)
    this.#namespaces.set(name, { labels, list: this.#namespaceList })
    if (known !== undefined && isSame(known.labels, labels)) return
    // Most namespaces of a cluster have no pod here.
    let isConcerned = false
    for (const each of this.#pods.values()) {
      if (each.pod.namespace !== name || each.deletedAt !== null) continue
      each.lastNamespaceLabels = null
      each.made.clear()
      isConcerned = true
    }
    if (isConcerned && this.#namespacesListed) this.onChange(null)
  }

  /** Its pods are read to their end with what was known of it: one that comes later under its name is another. */
  #dropNamespace(name: string): void {
    const labels = this.#namespaces.get(name)?.labels ?? null
    this.#namespaces.delete(name)
    for (const each of this.#pods.values()) if (each.pod.namespace === name) each.lastNamespaceLabels ??= labels
  }

  #bury(key: string, known: Known): void {
    known.deletedAt ??= this.#clock.monotonic()
    known.lastNamespaceLabels ??= this.#namespaces.get(known.pod.namespace)?.labels ?? null
    this.#tombstones.add(key)
    const [oldest] = this.#tombstones
    if (this.#tombstones.size > TOMBSTONES_MAX) this.#forget(oldest as string)
  }

  #forget(key: string): void {
    this.#tombstones.delete(key)
    this.#pods.delete(key)
  }
}

function keyOf({ metadata: { uid = '', namespace = '', name = '', annotations } = {} }: PodObject): string {
  const hash = annotations?.[MIRROR]
  return hash ? mirrorKey(hash, namespace, name) : uid
}

/** No UID has blanks. */
function mirrorKey(hash: string, namespace: string, name: string): string {
  return `${hash} ${namespace} ${name}`
}

function containersOf(spec: PodObject['spec'], status: PodObject['status']): Record<string, Container> {
  const containers: Record<string, Container> = {}
  for (const { name, image = '' } of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]) {
    containers[name] = { image, restarts: 0, id: '', idBefore: '' }
  }
  for (const each of STATUSES.flatMap((field) => status?.[field] ?? [])) {
    containers[each.name] = {
      // As it was asked for: the status may name the same image by another of its names.
      image: containers[each.name]?.image || (each.image ?? ''),
      restarts: each.restartCount ?? 0,
      id: bareId(each.containerID),
      idBefore: bareId(each.lastState?.terminated?.containerID),
    }
  }
  return containers
}

/** `containerd://0123…` without the runtime. */
function bareId(id: string | undefined): string {
  return id?.replace(/^[a-z0-9.+-]+:\/\//, '') ?? ''
}

/** Strings alone, whatever an answer holds: what is kept is looked at where nobody expects anything else. */
function picked(all: Strings, isWanted: (name: string) => boolean): Strings {
  const wanted = Object.keys(all)
    .filter((name) => typeof all[name] === 'string' && isWanted(name))
    .sort()
    .map((name) => [name, all[name] as string])
  return wanted.length === 0 ? NONE : Object.fromEntries(wanted)
}

function isSame(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
