// Requests to a sink, as a port. An answer, whatever its status, is a value; what never became an answer is thrown.

export interface HttpRequest {
  method: 'POST' | 'GET' | 'PUT' | 'HEAD'
  /** Path with query, relative to the client's origin. */
  path: string
  headers: Record<string, string>
  /** Sent as it is; the client neither keeps nor changes it after the promise settles. */
  body?: Buffer
  timeoutMs: number
  /** How much of the answer's body is kept; 64 KiB unless given. */
  answerBytesMax?: number
  /** The body of a 2xx is handed on as it comes. `timeoutMs` then holds until the status is there, and no longer. */
  stream?: AnswerStream
}

/** Who takes the body of an answer that may never end. */
export interface AnswerStream {
  /** The chunk is valid during the call only. What is thrown ends the request; a TaffrailError keeps its code. */
  onChunk(chunk: Buffer): void
  /** A silence of so long ends the request with HTTP_TIMEOUT. */
  idleMs: number
  /** Ends the request with HTTP_FAILED. */
  signal: AbortSignal
}

export interface HttpResponse {
  status: number
  /** Names in lower case; a repeated header is joined with ", ". */
  headers: Record<string, string>
  /** At most `answerBytesMax` of the body; the rest is read and thrown away. Empty where it was streamed. */
  body: Buffer
}

/**
 * One client per sink, keep-alive. A request that meets a kept connection which ends without a byte of an answer is sent
 * once more, over a new one. `send` throws a TaffrailError with `code`
 * HTTP_REFUSED, HTTP_RESET, HTTP_TIMEOUT, HTTP_TLS, HTTP_DNS, HTTP_PROTOCOL or HTTP_FAILED, and the cause.
 */
export interface HttpClient {
  send(request: HttpRequest): Promise<HttpResponse>
  close(): Promise<void>
}

/** PEM files; each is read again when its modification time or size changes. */
export interface TlsFiles {
  caFile?: string
  certFile?: string
  keyFile?: string
  /** The same as PEM text, where there is no file. */
  ca?: string
  cert?: string
  key?: string
  serverName?: string
  insecureSkipVerify?: boolean
}

/** Makes the client for one origin, such as `https://loki:3100`. */
export type HttpClientFactory = (origin: string, options: { connections: number; tls?: TlsFiles }) => HttpClient
