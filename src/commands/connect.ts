// What `taffrail check --connect` does: asks the API server and each sink, with the credentials of the configuration, for
// what the agent will ask them for, and says what works, what does not and what to grant. It stores nothing anywhere.
// Stores are asked in connect-sinks.ts, files are looked for in connect-files.ts.
import type { Config } from '../config/config.ts'
import { errorMessage } from '../core/errors.ts'
import { accessFor } from '../enrich/access.ts'
import { ApiServer } from '../enrich/api-server.ts'
import { collectionsFor } from '../enrich/enrichment.ts'
import { needsOf } from '../enrich/needs.ts'
import { missingRule, statusError } from '../enrich/watcher.ts'
import { realClock } from '../ports/clock.ts'
import type { HttpClientFactory } from '../ports/http.ts'
import { realFileSystem } from '../ports/real-fs.ts'
import { advised, KUBECONFIG_WORDS, overdue } from './connect-advice.ts'
import { trySources } from './connect-files.ts'
import { type Finding, trySink } from './connect-sinks.ts'

const TIMEOUT_MS = 10_000
/** A watch answers at once, whatever there is to tell; it is ended then. */
const WATCH_MS = 2000

/** One finding for each thing that the agent will need, in the order of the configuration. Throws nothing. */
export async function* tryConnections(
  config: Config,
  env: NodeJS.ProcessEnv,
  createHttpClient: HttpClientFactory,
): AsyncGenerator<Finding> {
  yield* tryApiServer(config, env, createHttpClient)
  for (const sink of config.sinks) yield* trySink(config, sink, createHttpClient)
  yield* trySources(config, realFileSystem.reads, realClock)
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
      if (config.kubernetes.metadata !== 'off' && env.KUBERNETES_SERVICE_HOST) {
        const text = 'API server: not asked, for no token is mounted in this pod: set automountServiceAccountToken'
        yield { works: false, text: `${text}, or kubernetes.metadata to off` }
        return
      }
      const why = config.kubernetes.metadata === 'off' ? 'kubernetes.metadata is off' : 'this is no pod'
      yield { works: true, text: `API server: not asked, ${why}` }
      return
    }
    yield { works: true, text: `API server: ${access.origin}, by ${access.from}` }
    const late = overdue(access.tls, Date.now())
    if (late !== null) yield { works: false, text: `API server: ${late}` }
    api = new ApiServer(access, createHttpClient)
  } catch (error) {
    yield { works: false, text: `API server: ${errorMessage(error)}` }
    return
  }
  for (const { resource, selector } of collectionsFor(needsOf(config), config.nodeName)) {
    const path = `/api/v1/${resource}?${selector}${selector === '' ? '' : '&'}`
    const list = await tryVerb(api, resource, 'list', `${path}limit=1`)
    yield list
    if (list.isEmpty && resource === 'pods') {
      // The agent's own pod would be one.
      const text = `API server: there is no pod on the node ${config.nodeName}; is nodeName right? Lines would go out without metadata`
      yield { works: false, text }
    }
    yield await tryVerb(api, resource, 'watch', `${path}watch=1&timeoutSeconds=1&resourceVersion=0`)
  }
  await api.close()
}

async function tryVerb(
  api: ApiServer,
  resource: string,
  verb: string,
  path: string,
): Promise<Finding & { isEmpty?: boolean }> {
  const stream = { onChunk: () => {}, idleMs: 2 * WATCH_MS, signal: AbortSignal.timeout(WATCH_MS) }
  const name = `API server: ${verb} ${resource}`
  try {
    const options = { accept: 'application/json', timeoutMs: TIMEOUT_MS }
    const answer = await api.get(path, verb === 'watch' ? { ...options, stream } : options)
    if (answer.status === 200) return { works: true, text: name, isEmpty: verb === 'list' && isEmptyList(answer.body) }
    const { message } = statusError(answer, 0)
    const advice =
      answer.status === 403
        ? `; grant the agent's ClusterRole ${missingRule(resource)}`
        : answer.status === 401
          ? '; it does not know the token or certificate, or that has expired'
          : ''
    return { works: false, text: `${name}: ${message}${advice}` }
  } catch (error) {
    // Ended by us: it had been let in.
    if (verb === 'watch' && stream.signal.aborted) return { works: true, text: name }
    return { works: false, text: `${name}: ${advised(error, api.access.origin, KUBECONFIG_WORDS)}` }
  }
}

/** The beginning of a large answer suffices. */
function isEmptyList(body: Buffer): boolean {
  const text = body.toString()
  return /"items":\s*(?:\[\s*\]|null)/.test(text) && !/"continue":\s*"[^"]/.test(text)
}
