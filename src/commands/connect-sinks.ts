// What `taffrail check --connect` asks a store: whether it takes the credentials, whether they may write where the agent will
// write, and whether it is set up. Nothing is stored: Loki gets a push of nothing, Elasticsearch questions alone.
import type { Config, ElasticsearchSinkConfig, LokiSinkConfig, SinkConfig } from '../config/config.ts'
import { isAuditSource, takes } from '../config/sources.ts'
import type { HttpClient, HttpClientFactory, HttpResponse } from '../ports/http.ts'
import { authorization } from '../sinks/authorization.ts'
import { auditIndexPrefix, logsDataStream, namespaceOf } from '../sinks/elasticsearch/index-names.ts'
import { setupObjects } from '../sinks/elasticsearch/templates.ts'
import { compressByPackage } from '../sinks/loki/snappy.ts'
import { advised, overdue, SINK_WORDS } from './connect-advice.ts'

const TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 1024 * 1024
/** What a writer needs of an index or data stream that may not be there yet (Elasticsearch, security privileges). */
const PRIVILEGES = ['create_doc', 'auto_configure'] as const

/** What came of asking for one thing. */
export interface Finding {
  works: boolean
  /** It works, and yet may not be what is wanted. */
  isDoubtful?: true
  /** A sentence without its period. */
  text: string
}

/** One finding for each thing that the sink needs. Throws nothing. */
export async function* trySink(
  config: Config,
  sink: SinkConfig,
  createHttpClient: HttpClientFactory,
): AsyncGenerator<Finding> {
  if (sink.type === 'stdout') return
  const late = sink.tls === null ? null : overdue(sink.tls, Date.now())
  if (late !== null) yield { works: false, text: `sink ${sink.name}: ${late}` }
  for (const url of sink.type === 'loki' ? [sink.url] : sink.urls) {
    const http = createHttpClient(new URL(url).origin, { connections: 1, ...(sink.tls !== null && { tls: sink.tls }) })
    try {
      const store = new Store(sink, url, http)
      if (sink.type === 'loki') yield await tryLoki(sink, store)
      else yield* tryElasticsearch(config, sink, store)
    } catch (error) {
      yield { works: false, text: `sink ${sink.name}: ${advised(error, url, SINK_WORDS)}` }
    } finally {
      await http.close()
    }
  }
}

/** One host of a sink, asked with the sink's credentials. */
class Store {
  readonly #sink: LokiSinkConfig | ElasticsearchSinkConfig
  readonly #url: URL
  readonly #http: HttpClient

  constructor(sink: LokiSinkConfig | ElasticsearchSinkConfig, url: string, http: HttpClient) {
    this.#sink = sink
    this.#url = new URL(url)
    this.#http = http
  }

  /** Throws a TaffrailError for what became no answer, or for credentials that cannot be read. */
  async ask(method: 'GET' | 'POST', path = '', headers: Record<string, string> = {}, body?: Buffer): Promise<Answer> {
    const credentials = authorization(this.#sink.auth)()
    const response = await this.#http.send({
      method,
      path: path === '' ? this.#url.pathname + this.#url.search : path,
      headers: { ...headers, ...(credentials !== null && { authorization: credentials }) },
      timeoutMs: TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      ...(body !== undefined && { body }),
    })
    return { ...response, hasCredentials: credentials !== null }
  }

  finding(works: boolean, text: string): Finding {
    return { works, text: `sink ${this.#sink.name}: ${this.#url.origin}: ${text}` }
  }
}

interface Answer extends HttpResponse {
  hasCredentials: boolean
}

/** A push of nothing: Loki lets it in, or not, before it says that there is nothing in it. */
async function tryLoki({ tenant }: LokiSinkConfig, store: Store): Promise<Finding> {
  const headers: Record<string, string> = { 'content-type': 'application/x-protobuf' }
  if (tenant !== null) headers['x-scope-orgid'] = tenant
  const answer = await store.ask('POST', '', headers, compressByPackage(Buffer.alloc(0)))
  const { status } = answer
  if (status === 422 || status === 204) {
    return store.finding(true, `takes pushes${tenant === null ? '' : ` for the tenant ${tenant}`}`)
  }
  // A page for people: a log-in, or the wrong host.
  if (status >= 200 && status < 300 && !/html/i.test(answer.headers['content-type'] ?? '')) {
    return store.finding(true, `takes pushes (it answers ${status}, where Loki says 422 or 204)`)
  }
  return store.finding(false, `${said(answer)}${lokiHint(answer, tenant)}`)
}

function lokiHint(answer: Answer, tenant: string | null): string {
  const { status } = answer
  if (status >= 200 && status < 300) return '; this is a page for people, no Loki: is the url right?'
  if (status === 401 && tenant === null && /org id/i.test(answer.body.toString()))
    return '; it wants a tenant: set tenant'
  if (status === 404) return '; is the path of the url right?'
  if (status === 403 && tenant !== null)
    return `${accessHint(answer, 'may push')} for the tenant ${tenant}, or is tenant wrong?`
  return accessHint(answer, 'may push')
}

async function* tryElasticsearch(config: Config, sink: ElasticsearchSinkConfig, store: Store): AsyncGenerator<Finding> {
  const root = await store.ask('GET', '/')
  // Who may only write need not be let in here (the cluster privilege monitor).
  if (root.status !== 200 && root.status !== 403) {
    yield store.finding(false, `${said(root)}${accessHint(root, 'write')}`)
    return
  }
  const { version } = parsed(root.body) as { version?: { number?: string; distribution?: string } }
  if (root.status === 200 && version?.number === undefined) {
    yield store.finding(false, `${said(root)}; this is neither Elasticsearch nor OpenSearch: is the url right?`)
    return
  }
  const product = version?.distribution === 'opensearch' ? 'opensearch' : 'elasticsearch'
  const what = root.status === 403 ? 'knows the credentials' : `${product} ${version?.number} knows the credentials`
  const namespace = sink.namespace ?? namespaceOf(config.clusterName)
  const written = indicesOf(config, sink, namespace)
  yield await tryPrivileges(store, what, written)
  if (!sink.setupAtStart) yield* tryTemplates(config.clusterName, sink, store, product, namespace, written)
}

/** Where the sink will write: application logs, audit events, or both. */
function indicesOf({ sources }: Config, sink: ElasticsearchSinkConfig, namespace: string): string[] {
  const taken = sources.filter(({ name }) => takes(sink, name))
  const audits = taken.filter(isAuditSource)
  return [
    ...(audits.length < taken.length ? [logsDataStream(namespace)] : []),
    ...(audits.length > 0 ? [`${auditIndexPrefix(namespace)}-*`] : []),
  ]
}

/** Asks what the account may do, where the product can say it (Elasticsearch with security). */
async function tryPrivileges(store: Store, what: string, names: string[]): Promise<Finding> {
  const question = JSON.stringify({ index: [{ names, privileges: PRIVILEGES }] })
  const json = { 'content-type': 'application/json' }
  const answer = await store.ask('POST', '/_security/user/_has_privileges', json, Buffer.from(question))
  const { index } = parsed(answer.body) as { index?: Record<string, Record<string, boolean>> }
  if (answer.status !== 200 || index === undefined) {
    return store.finding(
      true,
      `${what}; whether they may write to ${names.join(' and ')} it does not say: the first records show it`,
    )
  }
  const missing = names.flatMap((name) => PRIVILEGES.filter((each) => index[name]?.[each] !== true))
  if (missing.length === 0) return store.finding(true, `${what}, and lets them write to ${names.join(' and ')}`)
  const rule = `{"names": ${JSON.stringify(names)}, "privileges": ${JSON.stringify([...new Set(missing)])}}`
  return store.finding(false, `${what}, but does not let them write; grant the role the index privileges ${rule}`)
}

/** Without its template an index has guessed fields; the agent writes all the same. */
async function* tryTemplates(
  clusterName: string,
  sink: ElasticsearchSinkConfig,
  store: Store,
  product: 'elasticsearch' | 'opensearch',
  namespace: string,
  written: readonly string[],
): AsyncGenerator<Finding> {
  for (const { name, path, body } of setupObjects({ product, clusterName, namespace, retention: sink.retention })) {
    const { index_patterns: patterns = [] } = body as { index_patterns?: string[] }
    if (!patterns.some((pattern) => written.includes(pattern))) continue
    const { status } = await store.ask('GET', path)
    if (status === 200) yield store.finding(true, `the index template ${name} is there`)
    if (status === 404) {
      yield store.finding(false, `the index template ${name} is missing: run taffrail setup with an account that may`)
    }
  }
}

function accessHint({ status, headers, hasCredentials }: Answer, what: string): string {
  if (status === 401)
    return hasCredentials ? '; it does not know the credentials in auth' : '; it wants credentials: set auth'
  if (status === 403) return `; it knows the credentials and does not let them in: grant the account that it ${what}`
  if (status >= 300 && status < 400)
    return `; it sends elsewhere, to ${headers.location ?? 'nowhere'}: is that the url?`
  return ''
}

function said({ status, body }: HttpResponse): string {
  const text = body.toString('utf8', 0, 300).trim().replace(/\s+/g, ' ')
  return `answers ${status}${text === '' ? '' : `: ${text}`}`
}

function parsed(body: Buffer): object {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {} // a proxy's page, perhaps
  }
}
