// What the API server knows, for whoever wants the metadata of a container: two watches over one client, and what they
// found. It decides nothing about lines; who uses it decides when to wait and when to take a change up.
import type { Config } from '../config/config.ts'
import type { Events } from '../core/events.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import type { Metadata } from '../core/metadata.ts'
import type { KubernetesStatus } from '../core/status.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpClientFactory } from '../ports/http.ts'
import type { Random } from '../ports/random.ts'
import { type ApiAccess, ApiServer } from './api-server.ts'
import { type Needs, needsOf } from './needs.ts'
import { Pods } from './pods.ts'
import { type Collection, Watcher } from './watcher.ts'

export interface EnrichmentDeps {
  clock: Clock
  random: Random
  events: Events
  createHttpClient: HttpClientFactory
}

/** What is asked of the API server for a node, with exactly these needs. */
export function collectionsFor(needs: Needs, nodeName: string): Collection[] {
  const selector = new URLSearchParams({ fieldSelector: `spec.nodeName=${nodeName}` }).toString()
  const pods: Collection = { resource: 'pods', selector, metadataOnly: !needs.containers }
  return needs.namespaces ? [pods, { resource: 'namespaces', selector: '', metadataOnly: true }] : [pods]
}

export class Enrichment {
  readonly needs: Needs
  readonly #api: ApiServer
  readonly #pods: Pods
  readonly #watchers: readonly Watcher[]

  constructor(config: Config, access: ApiAccess, deps: EnrichmentDeps) {
    const { nodeName } = config
    this.needs = needsOf(config)
    this.#api = new ApiServer(access, deps.createHttpClient)
    this.#pods = new Pods(this.needs, nodeName, deps.clock)
    const { podReceiver, namespaceReceiver } = this.#pods
    const shared = { api: this.#api, ...deps }
    this.#watchers = collectionsFor(this.needs, nodeName).map(
      (each) => new Watcher(each, each.resource === 'pods' ? podReceiver : namespaceReceiver, shared),
    )
  }

  /** Begins to ask. `onChange` is called with the UID in the paths of a pod whose metadata changed; null: of many, perhaps. */
  start(onChange: (podUid: string | null) => void): void {
    this.#pods.onChange = onChange
    for (const watcher of this.#watchers) watcher.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#watchers.map((watcher) => watcher.stop()))
    await this.#api.close()
  }

  /** See Pods.metadata. */
  metadata(info: LineageInfo, restart: number, isLast = false): Metadata | null {
    return this.#pods.metadata(info, restart, isLast)
  }

  /** Forgets deleted pods of which no files are left. */
  sweep(isUsed: (podUid: string) => boolean): void {
    this.#pods.sweep(isUsed)
  }

  status(): Omit<KubernetesStatus, 'annotations' | 'waiting' | 'unknown'> {
    const watches = this.#watchers.map((watcher) => ({ ...watcher.status }))
    return { from: this.#api.access.from, watches, ...this.#pods.counts }
  }
}
