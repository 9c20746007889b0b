// Puts what is missing on a server (templates.ts), and nothing else: what is there is an operator's, whoever made it, and is
// left as it is, also when it came between our look and our request: every node of a cluster may do this at once. Which of
// the two products it is, the server says itself (`GET /`).
import { createHash } from 'node:crypto'
import { TaffrailError } from '../../core/errors.ts'
import type { HttpRequest, HttpResponse } from '../../ports/http.ts'
import { type Product, type SetupObject, type SetupOptions, setupObjects } from './templates.ts'

const ANSWER_BYTES_MAX = 1024 * 1024

/**
 * What became of one object. `made`; `same`: this version has put it before; `left`: there is another one, from another
 * version or an operator; `unavailable`: the server has no such thing (a plug-in that is not installed).
 */
export interface SetupResult {
  kind: SetupObject['kind']
  name: string
  end: 'made' | 'same' | 'left' | 'unavailable'
}

export interface SetupDeps {
  send(request: HttpRequest): Promise<HttpResponse>
  authorization: () => string | null
  timeoutMs: number
}

/**
 * Makes what is missing. Throws `SETUP_FAILED` with the server's words when it does not let us, or when the templates there
 * say of all documents that they are another cluster's; `SETUP_UNAVAILABLE` when it cannot now; and what the client throws
 * when there is no answer.
 */
export async function setUp(options: Omit<SetupOptions, 'product'>, deps: SetupDeps): Promise<SetupResult[]> {
  const product = await productOf(deps)
  const results: SetupResult[] = []
  for (const object of setupObjects({ ...options, product })) {
    results.push({ kind: object.kind, name: object.name, end: await put(object, options.clusterName, deps) })
  }
  // Days of audit events are indices, and those are kept for ever there.
  if (product === 'serverless' && options.retention.audit !== null) {
    results.push({ kind: 'lifecycle policy', name: `taffrail-audit-${options.namespace}`, end: 'unavailable' })
  }
  return results
}

async function productOf(deps: SetupDeps): Promise<Product> {
  const { status, body } = await ask(deps, 'GET', '/')
  const { version } = parsed(body) as { version?: { distribution?: string; build_flavor?: string; number?: string } }
  if (status !== 200 || version?.number === undefined) throw failed('GET /', status, body)
  if (version.distribution === 'opensearch') return 'opensearch'
  return version.build_flavor === 'serverless' ? 'serverless' : 'elasticsearch'
}

async function put(object: SetupObject, clusterName: string, deps: SetupDeps): Promise<SetupResult['end']> {
  const mark = createHash('sha256').update(JSON.stringify(object.body)).digest('hex').slice(0, 16)
  const found = await look(object, mark, clusterName, deps)
  if (found !== null) return found
  const path = object.kind === 'index template' ? `${object.path}?create=true` : object.path
  const { status, body } = await ask(deps, 'PUT', path, marked(object, mark))
  if (status === 200 || status === 201) return 'made'
  // Somebody was faster. (A template's answer is a 400 with these words.)
  const isThere = status === 409 || (status === 400 && body.includes('already exists'))
  const made = isThere ? await look(object, mark, clusterName, deps) : null
  if (made === null) throw failed(`PUT ${path}`, status, body)
  return made
}

/** What is said of an object that needs no making; null: it is missing. */
async function look(
  { path, name }: SetupObject,
  mark: string,
  clusterName: string,
  deps: SetupDeps,
): Promise<SetupResult['end'] | null> {
  const { status, body } = await ask(deps, 'GET', path)
  if (status === 404) return null
  if (status === 400 && body.includes('no handler found')) return 'unavailable'
  if (status !== 200) throw failed(`GET ${path}`, status, body)
  const other = clusterIn(body)
  if (other !== undefined && other !== clusterName) {
    const problem = `the index template ${name} says that all documents are of the cluster ${JSON.stringify(other)}`
    throw new TaffrailError('SETUP_FAILED', `${problem}: give ${JSON.stringify(clusterName)} another namespace`)
  }
  return body.includes(mark) ? 'same' : 'left'
}

/** The cluster whose documents an index template is for, if it says so. */
function clusterIn(body: Buffer): string | undefined {
  interface Tree {
    [name: string]: Tree | undefined
  }
  const { index_templates: templates } = parsed(body) as { index_templates?: Tree[] }
  const properties = templates?.[0]?.index_template?.template?.mappings?.properties
  const value: unknown = properties?.orchestrator?.properties?.cluster?.properties?.name?.value
  return typeof value === 'string' ? value : undefined
}

/** With the mark that tells that it is ours. Policies of OpenSearch have no place for it but the description. */
function marked({ kind, path, body }: SetupObject, mark: string): object {
  const _meta = { managed_by: 'taffrail', taffrail: mark }
  if (kind === 'index template') return { ...body, _meta }
  if (path.startsWith('/_ilm/')) return { policy: { ...(body as { policy: object }).policy, _meta } }
  const { policy } = body as { policy: { description: string } }
  return { policy: { ...policy, description: `${policy.description} (taffrail ${mark})` } }
}

async function ask(deps: SetupDeps, method: 'GET' | 'PUT', path: string, body?: object): Promise<HttpResponse> {
  const headers: Record<string, string> = { 'user-agent': 'taffrail' }
  const credentials = deps.authorization()
  if (credentials !== null) headers.authorization = credentials
  if (body !== undefined) headers['content-type'] = 'application/json'
  const content = body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }
  return deps.send({ method, path, headers, timeoutMs: deps.timeoutMs, answerBytesMax: ANSWER_BYTES_MAX, ...content })
}

function parsed(body: Buffer): object {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function failed(what: string, status: number, body: Buffer): TaffrailError {
  const { error } = parsed(body) as { error?: { reason?: string; caused_by?: { reason?: string } } | string }
  const reason =
    typeof error === 'string' ? error : [error?.reason, error?.caused_by?.reason].filter(Boolean).join(': ')
  return new TaffrailError(
    status === 429 || status >= 500 ? 'SETUP_UNAVAILABLE' : 'SETUP_FAILED',
    `${what}: ${status} ${reason || body.toString('utf8', 0, 200).trim() || 'without a word'}`,
  )
}
