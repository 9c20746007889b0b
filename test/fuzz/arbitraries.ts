// Inputs for the fuzz targets: what is right, what is nearly right, and what is neither.
import fc from '../support/properties.ts'

/** Any bytes. */
export function bytes(maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
}

/** What was right, with a few bytes changed, left out or put in. */
export function damaged(whole: fc.Arbitrary<Buffer>, changesMax = 4): fc.Arbitrary<Buffer> {
  const at = fc.double({ min: 0, max: 1, noNaN: true })
  const syntax = ['\n', '\0', '"', '}', ' ', '\r', '{', ':', 'null'].map((text) => Buffer.from(text))
  const change = fc.oneof(
    fc.record({ at, remove: fc.nat(6), put: fc.oneof(bytes(4), fc.constantFrom(...syntax)) }),
    // Another letter or digit: what only a checksum notices.
    fc.record({ at, remove: fc.constant(1), put: fc.constantFrom(Buffer.from('7'), Buffer.from('z')) }),
  )
  return fc.tuple(whole, fc.array(change, { maxLength: changesMax })).map(([right, changes]) => {
    let content = right
    for (const { at, remove, put } of changes) {
      const from = Math.floor(at * content.length)
      content = Buffer.concat([content.subarray(0, from), put, content.subarray(from + remove)])
    }
    return content
  })
}

/** A row of the CRI format without its newline. */
export const criRow: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.constantFrom(
      '2026-11-21T07:50:46.902896630+00:00',
      '2026-11-21T07:50:46.9Z',
      '2026-11-21T07:50:46-03:30',
      '1970-01-01T00:00:00Z',
    ),
    fc.constantFrom('stdout', 'stderr'),
    fc.constantFrom('F', 'P', 'F:x', 'P:a:b'),
    bytes(40).map((message) => Buffer.from(message.filter((byte) => byte !== 10))),
  )
  .map(([time, stream, tag, message]) => Buffer.concat([Buffer.from(`${time} ${stream} ${tag} `), message]))

/** A row as Docker's json-file driver writes it, without its newline. */
export const dockerRow: fc.Arbitrary<Buffer> = fc
  .record({
    log: fc.oneof(
      { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
      fc.jsonValue({ maxDepth: 1 }),
    ),
    stream: fc.constantFrom('stdout', 'stderr', 'other'),
    time: fc.constantFrom('2026-11-21T07:50:46.902896630Z', '2026-11-21T07:50:46Z', 'yesterday'),
    attrs: fc.option(fc.object({ maxDepth: 1 }), { nil: undefined }),
  })
  .map((row) => Buffer.from(JSON.stringify(row)))

const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,20}$/).filter((text) => text !== '__proto__')
const value = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom('"', '\\', '\n', '\r\n\t', '\u0000\u0001\u007f', '{a="b"}', 'ü€😀', '\u2028'),
)

/** Labels or metadata. */
export const pairs: fc.Arbitrary<Record<string, string>> = fc.dictionary(name, value, {
  maxKeys: 6,
  noNullPrototype: true,
})

// Where a varint takes one byte more.
const borders = fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456)

/** One entry of a push. */
export const pushEntry = fc.record({
  seconds: fc
    .oneof(fc.nat(253_402_300_799), borders, fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 34))
    .filter((n) => n < 2 ** 35),
  nanos: fc.oneof(fc.nat(999_999_999), borders, fc.constantFrom(999_999_999)),
  line: fc.oneof(
    bytes(300),
    fc.constantFrom(126, 127, 128, 16_383, 16_384).map((length) => Buffer.alloc(length, 'x')),
  ),
  metadata: pairs,
})

const words = [
  'entry',
  'for',
  'stream',
  '\'{app="a"}\'',
  'has',
  'timestamp',
  'too',
  'old:',
  'new:',
  'far behind',
  '2026-11-21T07:50:46Z,',
]
const sentences = [
  'entry for stream \'{app="a"}\' has timestamp too old: 2026-11-21T07:50:46Z, oldest acceptable timestamp is: 2026-11-14T07:50:46Z',
  'entry for stream \'{app="a"}\' has timestamp too new: 2026-11-21T07:50:46Z',
  "entry with timestamp 2026-11-21 07:50:46.5 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-21T07:50:46Z, oldest acceptable timestamp is: 2026-11-21T08:50:46Z',\nuser 'fake', total ignored: 1 out of 3 for stream: {app=\"a\"}",
  "max entry size '262144' bytes exceeded for stream '{app=\"a\"}' while adding an entry with length '300000' bytes",
  'error parsing labels: 1:2: parse error: unexpected character',
  'rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5000000 vs. 4194304)',
]

/** What a store, or somebody on the way to it, may answer. */
export const answer = fc.record({
  status: fc.oneof(
    fc.constantFrom(200, 204, 260, 302, 400, 401, 404, 408, 413, 422, 429, 500, 502, 503),
    fc.integer({ min: 100, max: 599 }),
  ),
  headers: fc.dictionary(
    fc.constantFrom('retry-after', 'content-type', 'location', 'content-length'),
    fc.oneof(
      fc.constantFrom('3', 'text/html', 'Sat, 21 Nov 2026 08:00:00 GMT', '-1', '1e9', ''),
      fc.string({ maxLength: 20 }),
    ),
    { noNullPrototype: true },
  ),
  body: fc.oneof(
    bytes(200),
    damaged(
      fc.constantFrom(...sentences).map((text) => Buffer.from(text)),
      3,
    ),
    fc.array(fc.constantFrom(...sentences, ...words), { maxLength: 8 }).map((parts) => Buffer.from(parts.join(' '))),
    fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text)),
  ),
})

const bulkItem = fc
  .record({
    id: fc.constantFrom('m0', 'm1', 'm2', 'other'),
    status: fc.constantFrom(201, 201, 201, 200, 409, 400, 404, 429, 500, 503),
    type: fc.constantFrom(
      'mapper_parsing_exception',
      'cluster_block_exception',
      'es_rejected_execution_exception',
      'x',
    ),
  })
  .map(({ id, status, type }) => ({
    create: { _id: id, status, ...(status > 299 && { error: { type, reason: "Preview: 'value'" } }) },
  }))

/** What a bulk may be answered, by the server or by somebody on the way. */
export const bulkAnswer = fc
  .record({
    answer,
    isBulk: fc.boolean(),
    body: damaged(
      fc
        .record({ took: fc.nat(9), errors: fc.boolean(), items: fc.array(bulkItem, { maxLength: 4 }) })
        .map((body) => Buffer.from(JSON.stringify(body))),
      1,
    ),
  })
  .map((given) =>
    given.isBulk ? { status: 200, headers: { 'content-type': 'application/json' }, body: given.body } : given.answer,
  )

const GOOD_CONFIG = `clusterName: prod-1
nodeName: \${NODE_NAME}
stateDir: /var/lib/taffrail
sources:
  - {name: containers, type: containers, startAgeMax: 1h}
  - {name: app, type: files, paths: [/logs/*.log], exclude: ["*.gz"]}
sinks:
  - name: loki
    type: loki
    url: "http://loki:3100"
    labels: {env: prod}
    batchBytesMax: 1Mi
    auth: {basic: {username: me, password: "\${PW}"}}
  - {name: out, type: stdout, format: raw}
limits: {memory: 96Mi, cpu: 500m}
server: {listen: "0.0.0.0:9095"}
`

/** A configuration, nearly one, or any text. */
export const configText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: damaged(fc.constant(Buffer.from(GOOD_CONFIG)), 6).map(String) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 4 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 80 }) },
  {
    weight: 2,
    arbitrary: fc
      .array(
        fc.constantFrom(...GOOD_CONFIG.split(/(?<=[\n ,:{}[\]])/), '&a ', '*a ', '!!js ', '- ', '? ', '|\n', '"', '# '),
        {
          maxLength: 40,
        },
      )
      .map((parts) => parts.join('')),
  },
)
