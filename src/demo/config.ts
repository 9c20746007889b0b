// The demo's configuration file: what an operator would write, for a node below a temporary directory.

export interface LokiTarget {
  /** Without credentials. */
  url: string
  tenant: string | null
}

/**
 * The Loki that the environment names, or null; `env` is what the configuration's references are looked up in.
 * Credentials in LOKI_URL become basic authentication, as with curl.
 */
export function lokiFromEnv(given: NodeJS.ProcessEnv): { loki: LokiTarget | null; env: NodeJS.ProcessEnv } {
  const { LOKI_URL, LOKI_TENANT } = given
  if (!LOKI_URL) return { loki: null, env: given }
  const tenant = LOKI_TENANT || null
  const url = URL.canParse(LOKI_URL) ? new URL(LOKI_URL) : null
  if (url === null || (url.username === '' && url.password === ''))
    return { loki: { url: LOKI_URL, tenant }, env: given }
  const LOKI_USER = decodeURIComponent(url.username)
  const LOKI_PASSWORD = decodeURIComponent(url.password)
  url.username = ''
  url.password = ''
  return { loki: { url: url.href, tenant }, env: { ...given, LOKI_URL: url.href, LOKI_USER, LOKI_PASSWORD } }
}

/** The text of a configuration that tails `directory`/log and keeps its state in `directory`/state. Secrets stay references. */
export function demoConfig(directory: string, receiverUrl: string | null, env: NodeJS.ProcessEnv): string {
  const reference = (name: string) => `"\${${name}}"`
  const sink = [`url: ${receiverUrl === null ? reference('LOKI_URL') : JSON.stringify(receiverUrl)}`]
  if (receiverUrl === null && env.LOKI_TENANT) sink.push(`tenant: ${reference('LOKI_TENANT')}`)
  if (receiverUrl === null && env.LOKI_PASSWORD) {
    sink.push(`auth: {basic: {username: ${reference('LOKI_USER')}, password: ${reference('LOKI_PASSWORD')}}}`)
  }
  return `clusterName: taffrail-demo
nodeName: node-1
stateDir: ${JSON.stringify(`${directory}/state`)}
sources:
  - name: containers
    type: containers
    paths: [${JSON.stringify(`${directory}/log/containers/*.log`)}]
sinks:
  - name: loki
    type: loki
    ${sink.join('\n    ')}
limits: {memory: 96Mi}
server: off
`
}
