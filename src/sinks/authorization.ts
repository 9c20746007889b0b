// The Authorization header, from values or from files that are read again when they change (Kubernetes swaps them).
import { readFileSync, statSync } from 'node:fs'
import type { ElasticsearchAuthConfig } from '../config/config.ts'
import { errorCode, TaffrailError } from '../core/errors.ts'

/** A function that gives the header's value, or null. It throws AUTH_FILE when a secret's file cannot be read. */
export function authorization(auth: ElasticsearchAuthConfig | null): () => string | null {
  if (auth === null) return () => null
  if ('bearer' in auth) {
    const token = 'token' in auth.bearer ? constant(auth.bearer.token) : fromFile(auth.bearer.tokenFile)
    return () => `Bearer ${token()}`
  }
  if ('apiKey' in auth) {
    const key = 'key' in auth.apiKey ? constant(auth.apiKey.key) : fromFile(auth.apiKey.keyFile)
    return () => `ApiKey ${encodedKey(key())}`
  }
  const { basic } = auth
  const password = 'password' in basic ? constant(basic.password) : fromFile(basic.passwordFile)
  return () => `Basic ${Buffer.from(`${basic.username}:${password()}`).toString('base64')}`
}

/** As the server wants it; `id:api_key`, which base64 never looks like, is what other agents take. */
function encodedKey(key: string): string {
  return key.includes(':') ? Buffer.from(key).toString('base64') : key
}

function constant(value: string): () => string {
  return () => value
}

function fromFile(path: string): () => string {
  let seen = ''
  let value = ''
  return () => {
    try {
      const { mtimeMs, size, ino } = statSync(path)
      const now = `${mtimeMs} ${size} ${ino}`
      if (now !== seen) {
        value = readFileSync(path, 'utf8').trim()
        seen = now
      }
      return value
    } catch (error) {
      throw new TaffrailError('AUTH_FILE', `${path}: cannot read the secret (${errorCode(error)})`, error)
    }
  }
}
