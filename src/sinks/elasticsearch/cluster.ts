// The cluster of an elasticsearch sink, as its configuration names it: hosts, credentials, and what has to be there before the
// first document.
import type { ElasticsearchSinkConfig } from '../../config/config.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClientFactory } from '../../ports/http.ts'
import { authorization } from '../authorization.ts'
import { Hosts } from './hosts.ts'
import { logsDataStream, namespaceOf } from './index-names.ts'
import { BulkRequests } from './requests.ts'
import { type SetupResult, setUp } from './setup.ts'

export interface ClusterDeps {
  createHttpClient: HttpClientFactory
  clock: Clock
}

/** Puts what is missing on a sink's cluster. Throws as `setUp` does. */
export async function setUpSink(
  config: ElasticsearchSinkConfig,
  clusterName: string,
  deps: ClusterDeps,
): Promise<SetupResult[]> {
  const cluster = new Cluster(config, clusterName, deps)
  try {
    return await cluster.setUp()
  } finally {
    await cluster.close()
  }
}

export class Cluster {
  readonly requests: BulkRequests
  /** The last part of the names of its indices. */
  readonly namespace: string
  /** Where documents go that name no index. */
  readonly dataStream: string
  readonly #config: ElasticsearchSinkConfig
  readonly #name: string
  readonly #hosts: Hosts
  readonly #authorization: () => string | null

  constructor(config: ElasticsearchSinkConfig, clusterName: string, { createHttpClient, clock }: ClusterDeps) {
    this.#config = config
    this.#name = clusterName
    this.namespace = config.namespace ?? namespaceOf(clusterName)
    this.dataStream = logsDataStream(this.namespace)
    const options = { connections: config.concurrency, ...(config.tls !== null && { tls: config.tls }) }
    this.#hosts = new Hosts(config.urls, (origin) => createHttpClient(origin, options), clock)
    this.#authorization = authorization(config.auth)
    this.requests = new BulkRequests(this.#hosts, clock, {
      index: this.dataStream,
      authorization: this.#authorization,
      timeoutMs: config.requestTimeout,
      gzipLevel: config.gzipLevel,
    })
  }

  setUp(): Promise<SetupResult[]> {
    const { retention, requestTimeout: timeoutMs } = this.#config
    const options = { clusterName: this.#name, namespace: this.namespace, retention }
    return setUp(options, {
      send: (request) => this.#hosts.send(request),
      authorization: this.#authorization,
      timeoutMs,
    })
  }

  close(): Promise<void> {
    return this.#hosts.close()
  }
}
