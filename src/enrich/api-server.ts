// The API server: who it is, and one GET to it. Credentials are asked for before each request, since a service account's
// token rotates; certificates are read again by the HTTP port when their files change.
import type { AnswerStream, HttpClient, HttpClientFactory, HttpResponse, TlsFiles } from '../ports/http.ts'
import { VERSION } from '../version.ts'

/** How to reach an API server and as whom. */
export interface ApiAccess {
  /** `https://10.96.0.1:443` */
  origin: string
  /** Before every path; empty, or `/k8s/clusters/c-1` behind some proxies. */
  prefix: string
  tls: TlsFiles
  /** The value of the Authorization header, or null. Throws AUTH_FILE when the secret's file cannot be read. */
  authorization: () => string | null
  /** Where all this was found, for people. */
  from: string
}

export interface GetOptions {
  accept: string
  timeoutMs: number
  stream?: AnswerStream
}

/** Two watches for good, and a list beside each. */
const CONNECTIONS = 4

export class ApiServer {
  readonly access: ApiAccess
  readonly #http: HttpClient

  constructor(access: ApiAccess, createHttpClient: HttpClientFactory) {
    this.access = access
    this.#http = createHttpClient(access.origin, { connections: CONNECTIONS, tls: access.tls })
  }

  /** Throws a TaffrailError for what became no answer. */
  async get(path: string, { accept, timeoutMs, stream }: GetOptions): Promise<HttpResponse> {
    const { prefix, authorization } = this.access
    const headers: Record<string, string> = { accept, 'user-agent': `taffrail/${VERSION}` }
    const credentials = authorization()
    if (credentials !== null) headers.authorization = credentials
    return this.#http.send({ method: 'GET', path: prefix + path, headers, timeoutMs, ...(stream && { stream }) })
  }

  async close(): Promise<void> {
    await this.#http.close()
  }
}
