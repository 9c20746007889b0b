// Names for what became no answer. Node, OpenSSL and undici each have error codes of their own; here they become the few
// of http.ts, with a message that says who, what and how far it came. Pure.

import { createRequire } from 'node:module'
import type { PeerCertificate } from 'node:tls'
import type { errors as UndiciErrors } from 'undici'
import { errorCode, errorMessage, TaffrailError } from '../core/errors.ts'

// See real-http.ts: not the whole of undici.
const errors = createRequire(import.meta.url)('undici/lib/core/errors.js') as typeof UndiciErrors

/** How far a request came. */
export type Stage = 'queued' | 'connecting' | 'waiting' | 'answering'

/** What is known of a request when it fails. `certificate` is the server's, if it showed one. */
export interface Progress {
  origin: string
  stage: Stage
  /** This connection is TLS and has carried no answer yet. */
  freshTls: boolean
  certificate: PeerCertificate | null
}

const timeoutTexts: Record<Stage, string> = {
  queued: 'no connection came free',
  connecting: 'no connection',
  waiting: 'no answer',
  answering: 'the answer was not complete',
}

/** HTTP_TIMEOUT of a request that was given `timeoutMs` in all. */
export function timeoutFailure(progress: Progress, timeoutMs: number): TaffrailError {
  return new TaffrailError('HTTP_TIMEOUT', `${progress.origin}: ${timeoutTexts[progress.stage]} within ${timeoutMs} ms`)
}

/** The TaffrailError for whatever a connection or undici threw; `error` becomes its cause. */
export function httpFailure(progress: Progress, error: unknown): TaffrailError {
  const known = errorCode(error)
  const [code, text] = name(progress, known, error)
  return new TaffrailError(code, `${progress.origin}: ${text}`, error instanceof TaffrailError ? error.cause : error)
}

function name(progress: Progress, code: string, error: unknown): [code: string, text: string] {
  if (error instanceof TaffrailError) return [error.code, error.message]
  switch (code) {
    case 'ECONNREFUSED':
      return ['HTTP_REFUSED', `connection refused (${code}${addresses(error)})`]
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
    case 'EAI_FAIL':
      return ['HTTP_DNS', `the host name cannot be resolved (${code})`]
    case 'ETIMEDOUT':
      return ['HTTP_TIMEOUT', `the connection timed out (${code}${addresses(error)})`]
    case 'UND_ERR_SOCKET':
      if (errorMessage(error).startsWith('bad ')) return ['HTTP_PROTOCOL', `not an answer that was asked for (${code})`]
      return ['HTTP_RESET', closed(progress, errorMessage(error))]
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return ['HTTP_RESET', closed(progress, code)]
    case 'UND_ERR_HEADERS_OVERFLOW':
      return ['HTTP_PROTOCOL', `the headers of the answer are too large (${code})`]
  }
  if (error instanceof errors.HTTPParserError) {
    // A chunked answer that ends early, on a connection that was to close after it.
    if (error.message.includes('Invalid EOF state')) return ['HTTP_RESET', closed(progress, 'unexpected end')]
    return ['HTTP_PROTOCOL', `the answer is not HTTP (${/\((.*)\)/.exec(error.message)?.[1] ?? error.message})`]
  }
  if (isTls(code)) return ['HTTP_TLS', tlsText(code, error, progress.certificate)]
  return ['HTTP_FAILED', `${errorMessage(error) || 'failed'} (${code}${addresses(error)})`]
}

function closed(progress: Progress, code: string): string {
  if (progress.stage === 'connecting') return `closed while connecting (${code})`
  if (progress.stage === 'answering') return `closed before the answer was complete (${code})`
  // Under TLS 1.3 the refusal of a client's certificate comes after the handshake, and a reset can overtake it.
  return `closed before an answer (${code})${progress.freshTls ? '; does it want a client certificate, or another one?' : ''}`
}

/** OpenSSL's verify results (`CERT_HAS_EXPIRED`), Node's (`ERR_TLS_…`) and OpenSSL's protocol errors (`ERR_SSL_…`). */
function isTls(code: string): boolean {
  return (
    /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|HOSTNAME_MISMATCH)/.test(
      code,
    ) ||
    code.includes('SELF_SIGNED_CERT') ||
    code === 'EPROTO'
  )
}

function tlsText(code: string, error: unknown, certificate: PeerCertificate | null): string {
  // OpenSSL's own texts look like "40270F…:error:0A000410:SSL routines:ssl3_read_bytes:ssl/tls alert …:../deps/…:912:\n".
  const parts = /:error:[^:]*:[^:]*:[^:]*:([^:]+):/.exec(errorMessage(error))
  // Node appends advice on its own command line, after a semicolon.
  const text = `${parts?.[1] ?? errorMessage(error).split('; if the root')[0]} (${code})`
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return `${text}; does it speak plain HTTP?`
  if (certificate === null) return text
  if (code === 'CERT_HAS_EXPIRED')
    return `${text}, valid to ${day(culprit(certificate, (to) => to < Date.now()).valid_to)}`
  if (code === 'CERT_NOT_YET_VALID') return `${text}, valid from ${day(certificate.valid_from)}`
  if (/ISSUER|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)) return `${text}, issued by ${nameOf(certificate.issuer)}`
  return text
}

/** The first certificate of the chain whose end is `wrong`, or the server's own. */
function culprit(certificate: PeerCertificate, wrong: (validToMs: number) => boolean): PeerCertificate {
  let link = certificate
  for (let depth = 0; depth < 10; depth++) {
    if (wrong(Date.parse(link.valid_to))) return link
    const issuer = (link as { issuerCertificate?: PeerCertificate }).issuerCertificate
    if (issuer === undefined || issuer === link) break
    link = issuer
  }
  return certificate
}

function day(text: string): string {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? text : new Date(ms).toISOString()
}

function nameOf(subject: PeerCertificate['issuer'] | undefined): string {
  return JSON.stringify(subject?.CN ?? subject?.O ?? 'an unnamed authority')
}

/** ` 127.0.0.1:3100, ::1:3100`: where it was tried, of an error or of an AggregateError's parts. */
function addresses(error: unknown): string {
  const parts = error instanceof AggregateError ? error.errors : [error]
  const texts = parts.flatMap((part: { address?: string; port?: number } | null) =>
    part?.address === undefined ? [] : [`${part.address}:${part.port}`],
  )
  return texts.length === 0 ? '' : ` ${texts.join(', ')}`
}
