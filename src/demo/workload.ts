// The pods of the demo's node, and the names that Kubernetes would give them.
import { randomBytes } from 'node:crypto'
import type { Program } from './messages.ts'

export type Runtime = 'containerd' | 'conmon'

export interface ContainerSpec {
  name: string
  program: Program
  /** Of all lines, in parts of the sum over all containers. */
  share: number
}

export interface PodSpec {
  namespace: string
  kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job'
  /** Of the owner; the pod's own name follows from it (`podName`). */
  owner: string
  runtime: Runtime
  containers: readonly ContainerSpec[]
}

const storefront: PodSpec = {
  namespace: 'shop',
  kind: 'Deployment',
  owner: 'storefront',
  runtime: 'containerd',
  containers: [
    { name: 'storefront', program: 'storefront', share: 10 },
    { name: 'istio-proxy', program: 'proxy', share: 6 },
  ],
}

/** Shares sum up to 100. */
export const PODS: readonly PodSpec[] = [
  storefront,
  storefront,
  {
    namespace: 'shop',
    kind: 'Deployment',
    owner: 'cart',
    runtime: 'containerd',
    containers: [{ name: 'cart', program: 'cart', share: 12 }],
  },
  {
    namespace: 'payments',
    kind: 'Deployment',
    owner: 'checkout',
    runtime: 'containerd',
    containers: [{ name: 'checkout', program: 'checkout', share: 13 }],
  },
  {
    namespace: 'payments',
    kind: 'StatefulSet',
    owner: 'ledger',
    runtime: 'conmon',
    containers: [{ name: 'ledger', program: 'ledger', share: 8 }],
  },
  {
    namespace: 'payments',
    kind: 'Job',
    owner: 'settlement',
    runtime: 'containerd',
    containers: [{ name: 'settlement', program: 'checkout', share: 4 }],
  },
  {
    namespace: 'data',
    kind: 'StatefulSet',
    owner: 'postgres',
    runtime: 'conmon',
    containers: [
      { name: 'postgres', program: 'postgres', share: 9 },
      { name: 'metrics', program: 'exporter', share: 1 },
    ],
  },
  {
    namespace: 'data',
    kind: 'Deployment',
    owner: 'ingest',
    runtime: 'conmon',
    containers: [{ name: 'ingest', program: 'ingest', share: 8 }],
  },
  {
    namespace: 'kube-system',
    kind: 'Deployment',
    owner: 'coredns',
    runtime: 'containerd',
    containers: [{ name: 'coredns', program: 'dns', share: 10 }],
  },
  {
    namespace: 'kube-system',
    kind: 'DaemonSet',
    owner: 'node-exporter',
    runtime: 'containerd',
    containers: [{ name: 'node-exporter', program: 'exporter', share: 3 }],
  },
]

// Kubernetes makes random names of letters and digits that spell no words (apimachinery/pkg/util/rand).
const SAFE = 'bcdfghjklmnpqrstvwxz2456789'

const safeName = (length: number) =>
  Array.from(randomBytes(length), (byte) => SAFE[byte % SAFE.length] as string).join('')

/** A name for a pod: a StatefulSet's is always the same, the others' are new each time. */
export function podName({ kind, owner }: PodSpec): string {
  if (kind === 'StatefulSet') return `${owner}-0`
  if (kind === 'DaemonSet') return `${owner}-${safeName(5)}`
  // A CronJob's Job is named after the minute, the demo's after the tenth of a second.
  if (kind === 'Job') return `${owner}-${Math.floor(Date.now() / 100) % 100_000_000}-${safeName(5)}`
  return `${owner}-${safeName(9)}-${safeName(5)}`
}
