// Random secrets in every place where a Kubernetes type can carry one: none comes out, plain, in base64 or in part, and
// what comes out is JSON with everything else as it was.

import { test } from 'tap'
import { AuditFilter } from '../../../src/audit/filter.ts'
import { maskWith } from '../../../src/audit/redact/mask.ts'
import fc from '../../support/properties.ts'
import { hide, isByType, PLACES, SECOND_PATH } from './hiding.ts'

const LETTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789']
const HEX = [...'0123456789abcdef']
/** As generators make them, and with a digit, a lower and an upper letter at least: others may be words. */
const base62 = (length: number) =>
  fc
    .array(fc.constantFrom(...LETTERS), { minLength: length, maxLength: length + 20 })
    .map((letters) => `a7Q${letters.join('')}`)
const credential = fc.oneof(
  // Half of it in runs of small letters: that may be a name.
  base62(24).filter((text) => (text.match(/[a-z]{4,}/g) ?? []).join('').length < text.length / 2),
  fc.array(fc.constantFrom(...HEX), { minLength: 40, maxLength: 64 }).map((digits) => digits.join('')),
  // Of one case, as generators of passwords and of one-time codes make them; where letters and digits hardly change, they may be words.
  fc
    .array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789'), { minLength: 24, maxLength: 40 })
    .map((letters) => letters.join(''))
    .filter((text) => (text.match(/\d+/g) ?? []).length >= text.length / 8),
  base62(30).map((text) => `ghp_${text}`),
  fc.tuple(base62(20), base62(40), base62(20)).map(([a, b, c]) => `eyJ${a}.eyJ${b}.${c}`),
)
/** Any text that is long enough to be told from the rest of an event. */
const anyText = fc.oneof(
  credential,
  fc.array(fc.constantFrom(...'qxzjvk'), { minLength: 10, maxLength: 30 }).map((letters) => letters.join('')),
  fc
    .string({ unit: fc.constantFrom(...'qxzjvk"\\\n\t{}é🐢\u2028:,='), minLength: 12, maxLength: 40 })
    .map((text) => `q${text}zzqxxvkj`),
)
const simpleText = fc
  .array(fc.constantFrom(...'qxzjvk8'), { minLength: 10, maxLength: 30 })
  .map((letters) => letters.join(''))
/** Where a text stands within another one, its own punctuation would end it. */
const BARE =
  /properties|argument|exec|query|URL|manifest|quotes|file|encoded|refused|quotation|description|cause|changed|review|script|markup|bundle/

/** What of the secret may not be seen: itself and its parts, as they are, as JSON writes them, and in base64 at any offset. */
function traces(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const found = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]
  for (let at = 0; at + 9 <= secret.length; at++) found.push(secret.slice(at, at + 9))
  for (let offset = 0; offset < 3; offset++) {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    found.push(text.slice(offset === 0 ? 0 : 4, -2))
  }
  found.push(bytes.toString('hex'))
  return found.filter((trace) => trace.length >= 8)
}

const filters = [null, Buffer.from('key')].map(
  (key) => new AuditFilter({ policy: null, mask: maskWith(key), lineBytesMax: 1e9 }),
)

for (const where of PLACES) {
  test(`nothing of a secret comes out: ${where}`, (t) => {
    const secrets = !isByType(where) ? credential : BARE.test(where) ? fc.oneof(simpleText, base62(20)) : anyText
    fc.assert(
      fc.property(secrets, fc.infiniteStream(fc.nat()), fc.constantFrom(...filters), (secret, numbers, filter) => {
        const draw = <T>(from: readonly T[]): T => from[(numbers.next().value as number) % from.length]!
        const { event } = hide(where, secret, draw)
        const line = Buffer.from(`${JSON.stringify(event).replace(SECOND_PATH, 'path')}\n`)
        const end = filter.judge(line, 0, line.length - 1)
        const out = filter.buffer.toString('utf8', filter.start, filter.end)
        if (end !== 'kept' || !filter.isEvent || filter.isCut) return false
        const told = JSON.parse(out)
        if (told.auditID !== event.auditID || told.verb !== event.verb) return false
        return !traces(secret).some((trace) => out.includes(trace) || JSON.stringify(told).includes(trace))
      }),
      { numRuns: 60 },
    )
    t.end()
  })
}
