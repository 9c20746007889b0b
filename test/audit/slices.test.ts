// A large event is worked on in slices, whatever it is made of: no slice looks through more than a little of it, and what is
// hidden of a long secret is the same as of a short one.
import { createHash, createHmac } from 'node:crypto'
import { test } from 'tap'
import { AuditFilter } from '../../src/audit/filter.ts'
import { unescaped, unescapeInto } from '../../src/audit/json/strings.ts'
import { decoded, decodedBytes, maskWith } from '../../src/audit/redact/mask.ts'
import fc from '../support/properties.ts'

const KEY = Buffer.from('a key of 16 bytes')
const SLICE_BYTES_MAX = 512 * 1024

function eventWith(responseObject: unknown, uri = '/api/v1/namespaces/a/configmaps'): Buffer {
  const event = {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'RequestResponse',
    auditID: 'a',
    stage: 'ResponseComplete',
    requestURI: uri,
    verb: 'get',
    user: { username: 'u' },
    sourceIPs: ['::1'],
    userAgent: 'k',
    responseObject,
    stageTimestamp: '2026-11-21T08:00:00.000000Z',
  }
  return Buffer.from(`${JSON.stringify(event)}\n        `)
}

/** The result, and how many slices it took. */
function judged(line: Buffer, lineBytesMax = 1e9): { text: string; slices: number } {
  const filter = new AuditFilter({ policy: null, mask: maskWith(KEY), lineBytesMax })
  let slices = 0
  let end = filter.judge(line, 0, line.lastIndexOf(10))
  while (end === 'working') {
    end = filter.step()
    slices++
  }
  return { text: filter.buffer.toString('utf8', filter.start, filter.end), slices }
}

const words = (bytes: number) => 'the key of 12 words, and a number: 7 token '.repeat(bytes / 40).slice(0, bytes)
const manifest = JSON.stringify({
  items: Array.from({ length: 1500 }, (_, i) => ({ name: `web-${i}`, text: words(100) })),
})
const SHAPES: Record<string, unknown> = {
  'many texts of some kilobytes': Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`k${i}`, words(15_900)])),
  'JSON in texts': Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`k${i}`, manifest])),
}

for (const [name, data] of Object.entries(SHAPES)) {
  test(`slices of an event with ${name}`, async (t) => {
    const line = eventWith({ kind: 'ConfigMap', data })
    const { slices } = judged(line)
    t.ok(slices > line.length / SLICE_BYTES_MAX, `${slices} of ${line.length} bytes`)
  })
}

test('of secrets that are many and short a slice hides a few', async (t) => {
  const data = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, `qxzjvk${i}`]))
  const { slices } = judged(eventWith({ kind: 'Secret', stringData: data }))
  t.ok(slices > 20_000 / 100, `${slices}`)
})

test('a URI of a megabyte is looked through in slices, and to its end', async (t) => {
  const query = Array.from({ length: 40_000 }, (_, i) => `parameter${i}=some-value`).join('&')
  const uri = `/api/v1/namespaces/a/services/b/proxy/x?token=qxzjvkqxzj&${query}&password=qxzjvkqxzj`
  const { text, slices } = judged(eventWith({}, uri))
  t.ok(slices > uri.length / 65_536, `${slices} slices`)
  t.ok(text.includes(query))
  t.notMatch(text, 'qxzjvk')
})

test('of a path or a parameter that is too long to be looked through the beginning is told', async (t) => {
  const long = 'qxzjvk/'.repeat(20_000)
  const { text } = judged(eventWith({}, `/api/v1/proxy/${long}?a=b&command=${long}&c=d`))
  const { requestURI } = JSON.parse(text)
  t.match(
    requestURI,
    /^\/api\/v1\/proxy\/[qxzjvk/]+\[redacted:[0-9a-f]{16}\]\?a=b&command=\[redacted:[0-9a-f]{16}\]&c=d$/,
  )
})

test('of a message of megabytes what it quotes is hidden at once', async (t) => {
  const quoted = 'spec.x: Invalid value: "qxzjvk \\"\n qxzjvk": no, '.repeat(40_000)
  const { text } = judged(eventWith({ kind: 'Status', message: `Pod "x" is invalid: ${quoted}` }))
  t.match(text, /Pod \\"x\\" is invalid: spec.x: Invalid value: \[redacted:[0-9a-f]{16}\]"/)
})

test('what many changes leave is written in slices, and hashed so where it is too long', async (t) => {
  const items = Array.from({ length: 40_000 }, (_, i) => ({ metadata: { name: `s${i}` }, data: { a: 'eA==' } }))
  const line = eventWith({ kind: 'SecretList', items })
  const { text, slices } = judged(line)
  const told = JSON.parse(text).responseObject.items
  t.equal(told.length, items.length)
  t.ok(told.every((item: (typeof items)[0], i: number) => item.metadata.name === `s${i}` && /^\[/.test(item.data.a)))
  const short = judged(line, 65_536)
  t.ok(short.slices > slices + text.length / 2 ** 20, `${short.slices} and ${slices}`)
  t.equal(
    JSON.parse(short.text).annotations['taffrail/original-sha256'],
    createHash('sha256').update(text).digest('hex'),
  )
})

test('a long secret has the token of its own bytes', async (t) => {
  const secret = 'qxz"\\\n\u0001é🐢'.repeat(20_000)
  const token = (bytes: Buffer | string) => createHmac('sha256', KEY).update(bytes).digest('hex').slice(0, 16)
  const uri = '/api/v1/namespaces/a/secrets/s'
  t.match(judged(eventWith({ kind: 'Secret', stringData: { a: secret } }, uri)).text, `[redacted:${token(secret)}]`)
  const data = { a: Buffer.from(secret).toString('base64') }
  t.match(judged(eventWith({ kind: 'Secret', data }, uri)).text, `[redacted:${token(secret)}]`)
})

test('the bytes that a text stands for', async () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\u0001', 'é', '日', '🐢', '\ud800', '\udc00', '<'),
  })
  /** As encoders write it that escape more than they must. */
  const escapedAll = (value: string) =>
    [...value]
      .flatMap((each) => each.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`))
      .join('')
  fc.assert(
    fc.property(text, fc.boolean(), (value, all) => {
      const raw = Buffer.from(all ? escapedAll(value) : JSON.stringify(value).slice(1, -1))
      const out = Buffer.alloc(raw.length + 8)
      const found = out.subarray(0, unescapeInto(Buffer.concat([raw, Buffer.alloc(8)]), 0, raw.length, out))
      return found.equals(Buffer.from(unescaped(raw.toString())))
    }),
  )
  const base64 = fc.oneof(
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
    fc.base64String(),
    fc.string(),
  )
  fc.assert(fc.property(base64, (value) => decodedBytes(Buffer.from(value)).equals(Buffer.from(decoded(value)))))
})
