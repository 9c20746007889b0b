// Documents as they are sent: fields, times, ids, marks, expanded JSON.
import { createHash } from 'node:crypto'
import t from 'tap'
import { Part } from '../../../src/batch/part.ts'
import {
  type Entry,
  MARK_CUT,
  MARK_FUTURE_TIME,
  MARK_GAP,
  MARK_INVALID_UTF8,
  newEntry,
} from '../../../src/core/entry.ts'
import { pathMetadata } from '../../../src/core/metadata.ts'
import { DocumentEncoder, type DocumentOptions } from '../../../src/sinks/elasticsearch/document.ts'
import { lineageFields } from '../../../src/sinks/elasticsearch/fields.ts'
import { auditIndex, logsDataStream, namespaceOf } from '../../../src/sinks/elasticsearch/index-names.ts'
import { auditId } from '../../../src/sinks/elasticsearch/record-id.ts'
import fc from '../../support/properties.ts'

const info = {
  source: 'pods',
  sourceType: 'containers' as const,
  key: 'pods:key',
  path: '/var/log/containers/web-1_shop_app-0.log',
  namespace: 'shop',
  pod: 'web-1',
  podUid: '0c4b7a9e-uid',
  container: 'app',
}
const metadata = pathMetadata(info, 'node-1')
const fields = (stream: 'stdout' | 'stderr') => lineageFields(info, metadata, { team: 'x' }, stream)
const options: DocumentOptions = {
  hasIds: true,
  owner: [info.podUid, info.container],
  fields: [fields('stdout'), fields('stderr')],
  expandsJson: false,
}
const FILE = { head: { hash: 'a1' }, order: { restart: 0 } }

interface Written {
  _id: string
  _index?: string
  document: Record<string, unknown>
  text: string
}

function entryOf(message: string | Buffer, over: Partial<Entry> = {}): Entry {
  const bytes = Buffer.from(message)
  const place = { buffer: bytes, messageStart: 0, messageEnd: bytes.length }
  return {
    ...newEntry(),
    file: FILE,
    seconds: 1_795_248_000,
    nanos: 5,
    offset: 100,
    sourceBytes: 80,
    sourceLines: 1,
    ...place,
    ...over,
  }
}

function write(entries: Entry[], over: Partial<DocumentOptions> = {}): Written[] {
  const encoder = new DocumentEncoder({ ...options, ...over })
  const part = new Part(1)
  for (const entry of entries) encoder.write(part, entry)
  const lines = part.buffer.toString('utf8', 0, part.end).split('\n')
  if (lines.pop() !== '' || lines.length !== 2 * entries.length) throw new Error(`${lines.length} lines`)
  return entries.map((_, index) => {
    const { create } = JSON.parse(lines[2 * index] as string) as { create: { _id: string } }
    const text = lines[2 * index + 1] as string
    return { ...create, document: JSON.parse(text) as Record<string, unknown>, text }
  })
}

const one = (entry: Entry, over: Partial<DocumentOptions> = {}) => write([entry], over)[0] as Written

t.test('a line of a container', async (t) => {
  const { document } = one(entryOf('hello "world"\t\u0001'))
  t.strictSame(document, {
    '@timestamp': '2026-11-21T08:00:00.000000005Z',
    stream: 'stdout',
    kubernetes: {
      namespace: 'shop',
      pod: { name: 'web-1', uid: '0c4b7a9e-uid' },
      container: { name: 'app' },
      node: { name: 'node-1' },
    },
    service: { name: 'web' },
    labels: { team: 'x' },
    log: { file: { path: info.path }, offset: 100 },
    message: 'hello "world"\t\u0001',
  })
})

t.test('what the API server tells', async (t) => {
  const known = {
    ...metadata,
    mark: 'path' as const,
    ownerKind: 'Deployment',
    ownerName: 'web',
    image: 'registry/web:1',
    containerId: 'c0ffee',
    labels: { app: 'web', 'app.kubernetes.io/name': 'web' },
    annotations: { a: 'b', long: 'x'.repeat(8192) },
    namespaceLabels: { team: 'shop' },
  }
  const text = lineageFields(info, known, {}, 'stderr')
  const { document } = one(entryOf('x', { stream: 1 }), { fields: [text, text] })
  t.strictSame((document.kubernetes as { annotations: object }).annotations, { a: 'b' }, 'none that no index takes')
  t.match(document, {
    stream: 'stderr',
    kubernetes: {
      deployment: { name: 'web' },
      labels: { app: 'web', 'app.kubernetes.io/name': 'web' },
      annotations: { a: 'b' },
      namespace_labels: { team: 'shop' },
      metadata: 'path',
    },
    container: { id: 'c0ffee', image: { name: 'registry/web:1' } },
  })
})

t.test('an owner of a kind that is none makes no field', async (t) => {
  for (const ownerKind of ['labels.x', 'pod.name', '.', 'a b', 'x'.repeat(64)]) {
    const text = lineageFields(info, { ...metadata, ownerKind, ownerName: 'evil' }, {}, 'stdout')
    t.notMatch(text, 'evil', ownerKind)
  }
})

t.test('a line of a plain file', async (t) => {
  const file = {
    ...info,
    sourceType: 'files' as const,
    path: '/logs/ü.log',
    namespace: '',
    pod: '',
    podUid: '',
    container: '',
  }
  const text = lineageFields(file, pathMetadata(file, 'node-1'), {}, null)
  const { document } = one(entryOf('x'), { fields: [text, text] })
  t.strictSame(document, {
    '@timestamp': '2026-11-21T08:00:00.000000005Z',
    host: { name: 'node-1' },
    log: { file: { path: '/logs/ü.log' }, offset: 100 },
    message: 'x',
  })
})

t.test('property: time, offset and message of any record, whatever came before it', async () => {
  const record = fc.record({
    message: fc.string({ unit: 'binary', maxLength: 40 }),
    seconds: fc.nat(4_000_000_000),
    nanos: fc.oneof(fc.nat(999_999_999), fc.constantFrom(0, 999, 1000, 999_999, 1_000_000, 999_999_999)),
    offset: fc.oneof(fc.nat(1000), fc.nat(2 ** 42 - 1), fc.constantFrom(2 ** 30 - 1, 2 ** 30, 2 ** 42 - 1)),
    stream: fc.constantFrom(0, 1),
    sourceBytes: fc.nat(2 ** 30 - 1),
  })
  const check = fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), fc.boolean(), (records, hasIds) => {
    const written = write(
      records.map(({ message, ...over }) => entryOf(message, over)),
      { hasIds },
    )
    for (const [index, { seconds, nanos, offset, stream, message }] of records.entries()) {
      const { document, _id } = written[index] as Written
      const time = `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanos).padStart(9, '0')}Z`
      const log = document.log as { offset: number }
      if (document['@timestamp'] !== time || log.offset !== offset) return false
      if (document.message !== message.toWellFormed() || document.stream !== (stream === 0 ? 'stdout' : 'stderr'))
        return false
      if (hasIds !== (_id !== undefined) || (hasIds && decoded(_id).seconds !== seconds)) return false
    }
    return true
  })
  fc.assert(check, { numRuns: 500 })
})

/** What an id stands for. */
function decoded(id: string) {
  if (Buffer.from(id, 'base64url').toString('base64url') !== id) throw new Error(`${id} is not base64 as it is written`)
  const bits = BigInt(`0x${Buffer.from(id, 'base64url').toString('hex')}`)
  const field = (from: number, length: number) =>
    Number((bits >> BigInt(216 - from - length)) & ((1n << BigInt(length)) - 1n))
  return {
    bytes: id.length,
    seconds: field(0, 36),
    nanos: field(36, 30),
    offset: field(144, 42),
    sourceBytes: field(186, 30),
  }
}

t.test('an id is made of time, file, offset and bytes', async (t) => {
  const { _id } = one(entryOf('x', { nanos: 123_456_789, offset: 2 ** 41 + 7, sourceBytes: 2 ** 29 + 1 }))
  t.strictSame(decoded(_id), {
    bytes: 36,
    seconds: 1_795_248_000,
    nanos: 123_456_789,
    offset: 2 ** 41 + 7,
    sourceBytes: 2 ** 29 + 1,
  })
  const file = createHash('sha256')
    .update(JSON.stringify([info.podUid, 'app', 0, 'a1']))
    .digest('base64url')
  t.equal(_id.slice(11, 24), file.slice(0, 13))
})

t.test('a record that differs in anything has another id; the same one has the same', async (t) => {
  const same = one(entryOf('x'))._id
  t.equal(one(entryOf('x'))._id, same)
  const others: Record<string, [Partial<Entry>, Partial<DocumentOptions>?]> = {
    'where it begins': [{ offset: 101 }],
    'where it ends': [{ sourceBytes: 81 }],
    'its second': [{ seconds: 1_795_248_001 }],
    'its nanosecond': [{ nanos: 6 }],
    'the head of its file': [{ file: { head: { hash: 'a2' }, order: { restart: 0 } } }],
    'the restart of its container': [{ file: { head: { hash: 'a1' }, order: { restart: 1 } } }],
    'its pod': [{}, { owner: ['other', 'app'] }],
    'its container': [{}, { owner: [info.podUid, 'other'] }],
  }
  const ids = Object.values(others).map(([over, more]) => one(entryOf('x', over), more)._id)
  t.equal(new Set([same, ...ids]).size, ids.length + 1)
})

t.test('the head that a file turns out to have counts, and files may take turns', async (t) => {
  const growing = { head: { hash: 'torn' }, order: { restart: 0 } }
  const encoder = new DocumentEncoder(options)
  const part = new Part(1)
  const id = (entry: Entry) => {
    const from = part.end
    encoder.write(part, entry)
    return (
      JSON.parse(part.buffer.toString('utf8', from, part.buffer.indexOf(10, from))) as { create: { _id: string } }
    ).create._id
  }
  const torn = id(entryOf('x', { file: growing }))
  growing.head = { hash: 'a1' }
  const whole = id(entryOf('x', { file: growing }))
  t.not(torn, whole)
  t.equal(id(entryOf('x', { file: FILE })), whole)
  t.not(id(entryOf('x', { file: { head: { hash: 'a1' }, order: { restart: 3 } } })), whole)
  t.equal(id(entryOf('x', { file: growing })), whole)
})

t.test('ids sort as times do, as they are stored', async (t) => {
  const times: [number, number][] = [
    [5, 0],
    [5, 1],
    [6, 0],
    [1_795_248_000, 999_999_999],
    [1_795_248_001, 0],
    [2 ** 34, 0],
  ]
  const ids = times.map(([seconds, nanos]) =>
    Buffer.from(one(entryOf('x', { seconds, nanos }))._id, 'base64url').toString('hex'),
  )
  t.strictSame([...ids].sort(), ids)
})

t.test('marks stand under one field, and a hole is told from another at the same place', async (t) => {
  const cut = one(entryOf('x', { marks: MARK_CUT | MARK_INVALID_UTF8, originalBytes: 9, originalSha256: 'ab' }))
  t.strictSame(cut.document.taffrail, { mark: ['cut'], original_bytes: '9', original_sha256: 'ab' })
  const future = one(entryOf('{"a":1}', { marks: MARK_FUTURE_TIME, originalTime: '2030' }), { expandsJson: true })
  t.strictSame(
    [future.document.taffrail, future.document.json],
    [{ mark: ['future_time'], original_time: '2030' }, { a: 1 }],
  )
  const hole = (text: string) => one(entryOf(text, { marks: MARK_GAP, confidence: 'certain', sourceBytes: 0 }))
  t.strictSame(hole('lost 1').document.taffrail, { mark: ['gap'], offset: '100', confidence: 'certain' })
  t.equal(hole('lost 1')._id, hole('lost 1')._id)
  t.not(hole('lost 1')._id, hole('lost 2')._id)
  t.equal(one(entryOf('x', { marks: MARK_INVALID_UTF8 })).document.taffrail, undefined)
})

t.test('JSON lines are expanded where that is asked for and they can be', async (t) => {
  const line = '{"level":"info","n":[1,{"a.b":"c"}],"app":"x"}'
  const { document } = one(entryOf(line), { expandsJson: true })
  t.strictSame([document.json, document.message], [JSON.parse(line), line])
  t.strictSame(one(entryOf('{}'), { expandsJson: true }).document.json, {})
  t.equal(one(entryOf(line)).document.json, undefined)
  for (const bad of ['{"a":1,"a":2}', '{"a":', '[1]', 'text', '', '{']) {
    const got = one(entryOf(bad), { expandsJson: true }).document
    t.strictSame([got.json, got.message], [undefined, bad])
  }
})

t.test('names', async (t) => {
  t.equal(logsDataStream('prod_1'), 'logs-kubernetes.container_logs-prod_1')
  t.equal(auditIndex('default', 1_795_305_599), 'logs-kubernetes.audit_logs-default-2026.11.21')
  t.equal(auditIndex('default', 1_795_305_600), 'logs-kubernetes.audit_logs-default-2026.11.22')
  t.strictSame(['Prod-1', 'EU West/2', '__x', '', 'ä'].map(namespaceOf), [
    'prod_1',
    'eu_west_2',
    'x',
    'default',
    'default',
  ])
})

t.test('the id of an audit event is of its bytes, behind its time', async (t) => {
  const event = Buffer.from('{"auditID":"chosen by the client"}')
  const id = auditId(event, 1_795_248_000)
  t.equal(id.length, 28)
  t.equal(Buffer.from(id, 'base64url').toString('base64url'), id)
  t.equal(id.slice(6), createHash('sha256').update(event).digest().subarray(0, 16).toString('base64url'))
  t.equal(id.slice(0, 6), one(entryOf('x'))._id.slice(0, 6))
  t.not(auditId(Buffer.from('{"auditID":"chosen by the client" }'), 1_795_248_000), id)
})
