// Messages of the API server. Some quote what was sent: the value that was invalid, or the whole body where it could not
// be read. Only the quotation is hidden. Pure.
import { holdsCredential } from './looks.ts'
import type { Mask } from './mask.ts'

/** Where the API server begins to quote a body: as JSON, or its first bytes in hex. */
const QUOTED_BODY =
  /(?:is missing in '|\(7b[0-9a-f]|[{[]\s*\\?"|cannot unmarshal |couldn't get version\/kind|error decoding patch|json: |yaml: )/
const INVALID_VALUE = /(Invalid value|Unsupported value|Duplicate value): /
const SECRET_FIELD =
  /(?:env|data|token|password|secret|credential|auth|value|args|command|annotations|extra|request)\b/i

/** The message without what it quotes. `isAboutSecrets`: the request was about secrets or tokens, whatever field is named. */
export function redactMessage(message: string, isAboutSecrets: boolean, mask: Mask): string {
  const at = message.search(QUOTED_BODY)
  if (at >= 0) return `${message.slice(0, at)}${mask(message.slice(at))}`
  const invalid = INVALID_VALUE.exec(message)
  if (invalid !== null && (isAboutSecrets || SECRET_FIELD.test(message.slice(0, invalid.index)))) {
    const from = invalid.index + invalid[0].length
    return `${message.slice(0, from)}${mask(message.slice(from))}`
  }
  return holdsCredential(message) ? mask(message) : message
}
