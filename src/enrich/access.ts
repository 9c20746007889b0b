// How the API server is reached and as whom: the pod's own service account, or a kubeconfig. Files that rotate (the
// token, certificates) are named, not read, so that each use finds what is in them then.
// Specs: kubernetes.io/docs/tasks/run-application/access-api-from-pod, k8s.io/client-go/tools/clientcmd/api/v1.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import type { Config } from '../config/config.ts'
import { errorMessage, TaffrailError } from '../core/errors.ts'
import type { TlsFiles } from '../ports/http.ts'
import { authorization } from '../sinks/authorization.ts'
import type { ApiAccess } from './api-server.ts'

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * The access of the pod that we are in; null when this is no pod with a service account. `directory` holds `token` and
 * `ca.crt`.
 */
export function inClusterAccess(env: NodeJS.ProcessEnv, directory = SERVICE_ACCOUNT): ApiAccess | null {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  const tokenFile = `${directory}/token`
  if (!host || !isReadable(tokenFile)) return null
  return {
    origin: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`).origin,
    prefix: '',
    tls: { caFile: `${directory}/ca.crt` },
    authorization: authorization({ bearer: { tokenFile } }),
    from: `the service account in ${directory}`,
  }
}

/** The access that a configuration asks for; null: none, as where there is no service account. Throws KUBECONFIG. */
export function accessFor({ metadata }: Config['kubernetes'], env: NodeJS.ProcessEnv): ApiAccess | null {
  if (metadata === 'off') return null
  return metadata === 'auto' ? inClusterAccess(env) : kubeconfigAccess(metadata.kubeconfig)
}

type Entry = Record<string, unknown>

/**
 * The access that a kubeconfig's current context gives. Throws KUBECONFIG with what is missing or not supported, and
 * where. Relative paths are relative to the file.
 */
export function kubeconfigAccess(path: string): ApiAccess {
  const fail = (text: string, cause?: unknown) => new TaffrailError('KUBECONFIG', `${path}: ${text}`, cause)
  let file: Entry
  try {
    file = entry(parse(readFileSync(path, 'utf8')))
  } catch (error) {
    throw fail(`cannot be read: ${errorMessage(error)}`, error)
  }
  const contextName = text(file['current-context'])
  if (contextName === '') throw fail('there is no current-context')
  const named = (list: string, name: string, what: string): Entry => {
    const items = Array.isArray(file[list]) ? (file[list] as unknown[]).map(entry) : []
    const found = items.find((item) => item.name === name)
    if (found === undefined) throw fail(`there is no ${what} named ${JSON.stringify(name)}`)
    return entry(found[what])
  }
  const context = named('contexts', contextName, 'context')
  const cluster = named('clusters', text(context.cluster), 'cluster')
  const user = context.user === undefined ? {} : named('users', text(context.user), 'user')
  for (const unsupported of ['exec', 'auth-provider']) {
    if (user[unsupported] !== undefined) {
      throw fail(`the user has ${unsupported}, which is not supported: give it a token, a tokenFile or a certificate`)
    }
  }
  const url = serverUrl(text(cluster.server))
  if (url === null) throw fail(`the cluster's server is no http(s) URL: ${JSON.stringify(cluster.server ?? null)}`)
  const resolved = (name: unknown) => resolve(dirname(path), text(name))
  const bearer = bearerOf(user, resolved)
  return {
    origin: url.origin,
    prefix: url.pathname.replace(/\/+$/, ''),
    tls: url.protocol === 'https:' ? tlsOf(cluster, user, resolved) : {},
    authorization: authorization(bearer ?? basicOf(user)),
    from: `the context ${contextName} of ${path}`,
  }
}

type Resolve = (name: unknown) => string

function bearerOf(user: Entry, resolved: Resolve): Parameters<typeof authorization>[0] {
  if (user.tokenFile !== undefined) return { bearer: { tokenFile: resolved(user.tokenFile) } }
  return user.token === undefined ? null : { bearer: { token: text(user.token) } }
}

function basicOf(user: Entry): Parameters<typeof authorization>[0] {
  if (user.username === undefined) return null
  return { basic: { username: text(user.username), password: text(user.password) } }
}

/** Inline data comes before files, as with kubectl. */
function tlsOf(cluster: Entry, user: Entry, resolved: Resolve): TlsFiles {
  const tls: TlsFiles = {}
  const pick = (from: Entry, name: string, data: 'ca' | 'cert' | 'key', file: 'caFile' | 'certFile' | 'keyFile') => {
    if (from[`${name}-data`] !== undefined) tls[data] = decoded(from[`${name}-data`])
    else if (from[name] !== undefined) tls[file] = resolved(from[name])
  }
  pick(cluster, 'certificate-authority', 'ca', 'caFile')
  pick(user, 'client-certificate', 'cert', 'certFile')
  pick(user, 'client-key', 'key', 'keyFile')
  if (cluster['tls-server-name'] !== undefined) tls.serverName = text(cluster['tls-server-name'])
  if (cluster['insecure-skip-tls-verify'] === true) tls.insecureSkipVerify = true
  return tls
}

function serverUrl(server: string): URL | null {
  const url = URL.canParse(server) ? new URL(server) : null
  return url !== null && /^https?:$/.test(url.protocol) ? url : null
}

function decoded(data: unknown): string {
  return Buffer.from(text(data), 'base64').toString()
}

function entry(value: unknown): Entry {
  return typeof value === 'object' && value !== null ? (value as Entry) : {}
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : String(value)
}

function isReadable(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch {
    return false // no service account is mounted: this is not a pod that may ask
  }
}
