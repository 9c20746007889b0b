// What stands in place of a secret: `[redacted]`, or with a key a token that is the same for equal secrets, so that one
// can search for where else a secret was used without knowing it.
import { createHmac } from 'node:crypto'

export const REDACTED = '[redacted]'
const TOKEN_HEX = 16
const TOKENS_MAX = 256
/** Longer secrets are few. */
const KEPT_MAX = 256

/** Makes the replacement of a secret, given as its own bytes (decoded where it was in base64). It needs no escapes in JSON. */
export type Mask = (secret: Buffer | string) => string

/** `key` null: the same word for all. */
export function maskWith(key: Buffer | null): Mask {
  if (key === null) return () => REDACTED
  const tokens = new Map<string, string>()
  return (secret) => {
    if (secret.length > KEPT_MAX) return tokenOf(key, secret)
    const text = typeof secret === 'string' ? secret : secret.toString('latin1')
    const kept = `${typeof secret === 'string' ? 's' : 'b'}${text}`
    let token = tokens.get(kept)
    if (token === undefined) {
      token = tokenOf(key, secret)
      // One client's credential id comes with each of its requests.
      if (tokens.size >= TOKENS_MAX) tokens.clear()
      tokens.set(kept, token)
    }
    return token
  }
}

function tokenOf(key: Buffer, secret: Buffer | string): string {
  return `[redacted:${createHmac('sha256', key).update(secret).digest('hex').slice(0, TOKEN_HEX)}]`
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** The bytes that a text in base64 stands for; the text itself where it is none. */
export function decoded(text: string): Buffer | string {
  return text.length >= 4 && BASE64.test(text) ? Buffer.from(text, 'base64') : text
}

/** The same of a text that is given as its bytes. */
export function decodedBytes(text: Buffer): Buffer {
  if (text.length < 4 || text.length % 4 !== 0) return text
  let end = text.length
  for (let padding = 0; padding < 2 && text[end - 1] === 0x3d; padding++) end--
  for (let at = 0; at < end; at++) if (IS_BASE64[text[at]!] === 0) return text
  return Buffer.from(text.toString('latin1'), 'base64')
}

const IS_BASE64 = new Uint8Array(256)
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/') {
  IS_BASE64[letter.charCodeAt(0)] = 1
}
