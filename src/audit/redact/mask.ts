// What stands in place of a secret: `[redacted]`, or with a key a token that is the same for equal secrets, so that one
// can search for where else a secret was used without knowing it.
import { createHmac } from 'node:crypto'

export const REDACTED = '[redacted]'
const TOKEN_HEX = 16
const TOKENS_MAX = 256

/** Makes the replacement of a secret, given as its own bytes (decoded where it was in base64). */
export type Mask = (secret: Buffer | string) => string

/** `key` null: the same word for all. */
export function maskWith(key: Buffer | null): Mask {
  if (key === null) return () => REDACTED
  const tokens = new Map<string, string>()
  return (secret) => {
    const text = typeof secret === 'string' ? secret : secret.toString('latin1')
    const kept = `${typeof secret === 'string' ? 's' : 'b'}${text}`
    let token = tokens.get(kept)
    if (token === undefined) {
      token = `[redacted:${createHmac('sha256', key).update(secret).digest('hex').slice(0, TOKEN_HEX)}]`
      // One client's credential id comes with each of its requests.
      if (tokens.size >= TOKENS_MAX) tokens.clear()
      if (text.length <= 256) tokens.set(kept, token)
    }
    return token
  }
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** The bytes that a text in base64 stands for; the text itself where it is none. */
export function decoded(text: string): Buffer | string {
  return text.length >= 4 && BASE64.test(text) ? Buffer.from(text, 'base64') : text
}
