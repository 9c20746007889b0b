// What `taffrail check --connect` adds to a failure that says what is wrong and not what to do about it: certificates that are
// over or of another name, authorities that are not known, a URL of the wrong scheme. Reads no more than the client's own certificate.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { errorCode, errorMessage } from '../core/errors.ts'
import type { TlsFiles } from '../ports/http.ts'

/** What the one who configures calls the things that may have to be set. */
export interface Words {
  serverName: string
  ca: string
}

export const SINK_WORDS: Words = { serverName: 'tls.serverName', ca: 'tls.caFile' }
export const KUBECONFIG_WORDS: Words = { serverName: 'tls-server-name', ca: 'certificate-authority' }

/** The message of an error that a request to `origin` met, and what to do about it where that is known. */
export function advised(error: unknown, origin: string, words: Words): string {
  const message = errorMessage(error)
  const isFailed = errorCode(error) === 'HTTP_TLS'
  if (isFailed && /ALTNAME_INVALID/.test(message)) {
    return `${message}; use a url with one of these names, or set ${words.serverName} to one that the server shall have`
  }
  if (isFailed && /UNABLE_TO_(?:VERIFY|GET_ISSUER)|SELF_SIGNED/.test(message)) {
    return `${message}; set ${words.ca} to the certificate of the authority that the server's is from`
  }
  if (errorCode(error) === 'HTTP_RESET' && origin.startsWith('http:')) return `${message}; does it want https?`
  return message
}

/** What is wrong with the time of the client's own certificate; null: nothing, or it cannot be read, which the request tells. */
export function overdue({ certFile, cert }: TlsFiles, nowMs: number): string | null {
  try {
    if (certFile === undefined && cert === undefined) return null
    const { validFrom, validTo } = new X509Certificate(
      certFile === undefined ? (cert as string) : readFileSync(certFile),
    )
    const name = `its own client certificate${certFile === undefined ? '' : ` ${certFile}`}`
    if (Date.parse(validTo) < nowMs) return `${name} was valid to ${iso(validTo)}: it has to be renewed`
    if (Date.parse(validFrom) > nowMs) return `${name} is valid from ${iso(validFrom)}: is the clock right?`
    return null
  } catch {
    return null
  }
}

function iso(time: string): string {
  return new Date(time).toISOString()
}
