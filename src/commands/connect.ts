// What `taffrail check --connect` does: asks the API server and each sink, with the credentials of the configuration, for
// what the agent will ask them for, and says what works, what does not and what to grant. It stores nothing anywhere.
import { compressSync } from 'snappy'
import type { Config, ElasticsearchSinkConfig, LokiSinkConfig, SinkConfig } from '../config/config.ts'
import { errorMessage } from '../core/errors.ts'
import { accessFor } from '../enrich/access.ts'
import { ApiServer } from '../enrich/api-server.ts'
import { collectionsFor } from '../enrich/enrichment.ts'
import { needsOf } from '../enrich/needs.ts'
import { missingRule, statusError } from '../enrich/watcher.ts'
import type { HttpClientFactory, HttpResponse } from '../ports/http.ts'
import { authorization } from '../sinks/authorization.ts'

const TIMEOUT_MS = 10_000
/** A watch answers at once, whatever there is to tell; it is ended then. */
const WATCH_MS = 2000

export interface Finding {
  works: boolean
  /** A sentence without its period. */
  text: string
}

/** One finding for each thing that the agent will need, in the order of the configuration. Throws nothing. */
export async function* tryConnections(
  config: Config,
  env: NodeJS.ProcessEnv,
  createHttpClient: HttpClientFactory,
): AsyncGenerator<Finding> {
  yield* tryApiServer(config, env, createHttpClient)
  for (const sink of config.sinks) yield* trySink(sink, createHttpClient)
}

async function* tryApiServer(
  config: Config,
  env: NodeJS.ProcessEnv,
  createHttpClient: HttpClientFactory,
): AsyncGenerator<Finding> {
  let api: ApiServer
  try {
    const access = accessFor(config.kubernetes, env)
    if (access === null) {
      const why =
        config.kubernetes.metadata === 'off' ? 'kubernetes.metadata is off' : 'there is no service account here'
      yield { works: true, text: `API server: not asked, ${why}` }
      return
    }
    yield { works: true, text: `API server: ${access.origin}, by ${access.from}` }
    api = new ApiServer(access, createHttpClient)
  } catch (error) {
    yield { works: false, text: `API server: ${errorMessage(error)}` }
    return
  }
  for (const { resource, selector } of collectionsFor(needsOf(config), config.nodeName)) {
    const path = `/api/v1/${resource}?${selector}${selector === '' ? '' : '&'}`
    yield await tryVerb(api, resource, 'list', `${path}limit=1`)
    yield await tryVerb(api, resource, 'watch', `${path}watch=1&timeoutSeconds=1&resourceVersion=0`)
  }
  await api.close()
}

async function tryVerb(api: ApiServer, resource: string, verb: string, path: string): Promise<Finding> {
  const stream = { onChunk: () => {}, idleMs: 2 * WATCH_MS, signal: AbortSignal.timeout(WATCH_MS) }
  const name = `API server: ${verb} ${resource}`
  try {
    const options = { accept: 'application/json', timeoutMs: TIMEOUT_MS }
    const answer = await api.get(path, verb === 'watch' ? { ...options, stream } : options)
    if (answer.status === 200) return { works: true, text: name }
    const { message } = statusError(answer, 0)
    const advice = answer.status === 403 ? `; grant the agent's ClusterRole ${missingRule(resource)}` : ''
    return { works: false, text: `${name}: ${message}${advice}` }
  } catch (error) {
    // Ended by us: it had been let in.
    if (verb === 'watch' && stream.signal.aborted) return { works: true, text: name }
    return { works: false, text: `${name}: ${errorMessage(error)}` }
  }
}

async function* trySink(sink: SinkConfig, createHttpClient: HttpClientFactory): AsyncGenerator<Finding> {
  if (sink.type === 'loki') yield await tryLoki(sink, createHttpClient)
  if (sink.type === 'elasticsearch')
    for (const url of sink.urls) yield await tryElasticsearch(sink, url, createHttpClient)
}

/** A push of nothing: Loki lets it in, or not, before it says that there is nothing in it. */
async function tryLoki(sink: LokiSinkConfig, createHttpClient: HttpClientFactory): Promise<Finding> {
  const headers: Record<string, string> = { 'content-type': 'application/x-protobuf' }
  if (sink.tenant !== null) headers['x-scope-orgid'] = sink.tenant
  const body = compressSync(Buffer.alloc(0)) as Buffer
  return trySend(sink, new URL(sink.url), { method: 'POST', headers, body }, createHttpClient, ({ status, body }) => {
    if (status === 422 || (status >= 200 && status < 300)) return { works: true, text: 'takes pushes' }
    const hint =
      status === 401 && sink.tenant === null
        ? '; is a tenant missing?'
        : status === 404
          ? '; is the path of the url right?'
          : ''
    return { works: false, text: `${said(status, body)}${hint}` }
  })
}

async function tryElasticsearch(
  sink: ElasticsearchSinkConfig,
  url: string,
  createHttpClient: HttpClientFactory,
): Promise<Finding> {
  return trySend(sink, new URL(url), { method: 'GET', headers: {} }, createHttpClient, ({ status, body }) => {
    if (status !== 200) return { works: false, text: said(status, body) }
    const { version } = parsed(body) as { version?: { number?: string; distribution?: string } }
    const what = `${version?.distribution ?? 'elasticsearch'} ${version?.number ?? 'of an unknown version'}`
    return { works: true, text: `${what} knows the credentials; whether they may write shows with the first records` }
  })
}

async function trySend(
  sink: LokiSinkConfig | ElasticsearchSinkConfig,
  url: URL,
  request: { method: 'GET' | 'POST'; headers: Record<string, string>; body?: Buffer },
  createHttpClient: HttpClientFactory,
  judge: (answer: HttpResponse) => Finding,
): Promise<Finding> {
  const http = createHttpClient(url.origin, { connections: 1, ...(sink.tls !== null && { tls: sink.tls }) })
  const name = `sink ${sink.name}: ${url.origin}`
  try {
    const credentials = authorization(sink.auth)()
    const headers = { ...request.headers, ...(credentials !== null && { authorization: credentials }) }
    const answer = await http.send({ ...request, headers, path: url.pathname + url.search, timeoutMs: TIMEOUT_MS })
    const { works, text } = judge(answer)
    return { works, text: `${name}: ${text}` }
  } catch (error) {
    return { works: false, text: `sink ${sink.name}: ${errorMessage(error)}` }
  } finally {
    await http.close()
  }
}

function said(status: number, body: Buffer): string {
  const text = body.toString('utf8', 0, 300).trim().replace(/\s+/g, ' ')
  return `answers ${status}${text === '' ? '' : `: ${text}`}`
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) ?? {}
  } catch {
    return {} // a proxy's page, perhaps: the version stays unknown
  }
}
