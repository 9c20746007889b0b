// Puts what is missing on a server (templates.ts), and nothing else: what is there is an operator's, whoever made it, and is
// left as it is. Which of the two products it is, the server says itself (`GET /`).
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
 * Makes what is missing. Throws `SETUP_FAILED` with the server's words when it does not let us, and what the client throws
 * when there is no answer.
 */
export async function setUp(options: Omit<SetupOptions, 'product'>, deps: SetupDeps): Promise<SetupResult[]> {
  const product = await productOf(deps)
  const results: SetupResult[] = []
  for (const object of setupObjects({ ...options, product })) {
    results.push({ kind: object.kind, name: object.name, end: await put(object, deps) })
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

async function put(object: SetupObject, deps: SetupDeps): Promise<SetupResult['end']> {
  const mark = createHash('sha256').update(JSON.stringify(object.body)).digest('hex').slice(0, 16)
  const there = await ask(deps, 'GET', object.path)
  const text = there.body.toString()
  if (there.status === 200) return text.includes(mark) ? 'same' : 'left'
  if (there.status === 400 && text.includes('no handler found')) return 'unavailable'
  if (there.status !== 404) throw failed(`GET ${object.path}`, there.status, there.body)
  const made = await ask(deps, 'PUT', object.path, marked(object, mark))
  if (made.status !== 200 && made.status !== 201) throw failed(`PUT ${object.path}`, made.status, made.body)
  return 'made'
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
    'SETUP_FAILED',
    `${what}: ${status} ${reason || body.toString('utf8', 0, 200).trim() || 'without a word'}`,
  )
}
