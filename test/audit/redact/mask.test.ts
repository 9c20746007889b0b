// What stands in place of a secret: with a key the same token wherever the same secret is, so that it can be searched for.
import { createHmac } from 'node:crypto'
import { test } from 'tap'
import { AuditFilter } from '../../../src/audit/filter.ts'
import { maskWith } from '../../../src/audit/redact/mask.ts'

const KEY = Buffer.from('0123456789abcdef')

function redacted(event: object, key: Buffer | null): string {
  const filter = new AuditFilter({ policy: null, mask: maskWith(key), lineBytesMax: 1e6 })
  const head = { kind: 'Event', apiVersion: 'audit.k8s.io/v1', auditID: 'x', stage: 'Panic', verb: 'create' }
  const line = Buffer.from(`${JSON.stringify({ ...head, ...event })}\n`)
  filter.judge(line, 0, line.length - 1)
  return filter.buffer.toString('utf8', filter.start, filter.end)
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** The same secret in many places. */
function everywhere(secret: string): object {
  const env = [{ name: 'DB_PASSWORD', value: secret }]
  return {
    requestURI: `/api/v1/namespaces/a/secrets?token=${encodeURIComponent(secret)}`,
    requestObject: {
      kind: 'Secret',
      data: { a: base64(secret) },
      stringData: { b: secret },
      metadata: { annotations: { pod: JSON.stringify({ spec: { containers: [{ env }] } }) } },
    },
    responseObject: [
      { op: 'add', path: '/data/a', value: base64(secret) },
      { op: 'add', path: '/stringData/a', value: secret },
    ],
  }
}

test('equal secrets have equal tokens wherever they are, those of HMAC-SHA256 with the key', (t) => {
  // Of these the second could be taken for base64, and is none.
  for (const secret of ['hunter2 hunter2', 'abcdefgh12345678', 'pässwörd', 'x'.repeat(400)]) {
    const token = createHmac('sha256', KEY).update(secret).digest('hex').slice(0, 16)
    const found = redacted(everywhere(secret), KEY).match(/\[redacted[^\]]*\]/g)
    t.same(found, new Array(6).fill(`[redacted:${token}]`), secret)
  }
  t.end()
})

test('other secrets and other keys have other tokens; without a key nothing is told', (t) => {
  const tokens = (secret: string, key: Buffer | null) =>
    new Set(redacted(everywhere(secret), key).match(/\[redacted[^\]]*\]/g))
  t.same([...tokens('a secret', null), ...tokens('another secret', null)], ['[redacted]', '[redacted]'])
  const all = [
    tokens('a secret', KEY),
    tokens('another secret', KEY),
    tokens('a secret', Buffer.from('fedcba9876543210')),
  ]
  t.equal(new Set(all.flatMap((each) => [...each])).size, 3)
  t.end()
})
