// Loki's real answers, sentences of its source that nobody has captured yet, and bytes that nobody should send.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { classify, type LokiFinding, type LokiOutcome } from '../../../src/sinks/loki/classify.ts'
import { type ListedFinding, readRefusals } from '../../../src/sinks/loki/sentences.ts'
import fc from '../../support/properties.ts'

interface Fixture {
  status: number | string
  headers?: Record<string, string>
  body: string
}

const folder = new URL('../../fixtures/loki/', import.meta.url)
const fixtures = new Map<string, Fixture>()
for (const name of readdirSync(folder)) {
  fixtures.set(name.replace('.json', ''), JSON.parse(readFileSync(new URL(name, folder), 'utf8')))
}

const nowMs = Date.UTC(2026, 10, 21, 8, 0, 6)
const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  classify({ status, headers, body: Buffer.from(body) }, nowMs)

const delivered: LokiOutcome = { kind: 'delivered' }
const stream = '{app="a", namespace="n", service_name="a"}'
const second = (text: string) => Date.parse(text) / 1000
const exact = (text: string) => ({ seconds: second(text), nanos: 0 })
const cut = (text: string) => ({ seconds: second(text), nanos: null })
const check = { scope: 'entry', stream, entries: null } as const
const oldest = cut('2026-11-21T07:05:06Z')

/** What each capture comes to; the message is the body, on one line. */
const expected: Record<string, LokiOutcome | LokiFinding[] | [kind: 'halt' | 'retry', reason: string]> = {
  'bad-json': ['halt', 'bad_request_body'],
  'bad-protobuf': ['halt', 'bad_request_body'],
  'bad-snappy': ['halt', 'bad_request_body'],
  'bad-tenant': ['halt', 'bad_tenant'],
  'duplicate-entry': delivered,
  'duplicate-label': [
    { scope: 'stream', reason: 'duplicate_label', stream: '{a="1", a="2", service_name="unknown_service"}' },
  ],
  'empty-labels': delivered,
  'empty-line': delivered,
  'future-ok': delivered,
  'invalid-labels': [{ scope: 'push', reason: 'invalid_labels' }],
  'invalid-utf8-line': delivered,
  'json-content-type': delivered,
  'label-name-too-long': [
    {
      scope: 'stream',
      reason: 'label_name_too_long',
      stream: `{${'l'.repeat(2000)}="v", service_name="unknown_service"}`,
    },
  ],
  // The capture ends at 3,000 characters, before Loki says what is wrong: see below for the whole sentence.
  'label-value-too-long': ['halt', 'unrecognised'],
  'line-too-long': [{ ...check, reason: 'line_too_long', lengthBytes: 307_200, limitBytes: 262_144 }],
  'no-entries': delivered,
  'no-streams': ['halt', 'no_streams'],
  'no-tenant': ['halt', 'unauthorized'],
  ok: delivered,
  'per-stream-rate-limited': delivered,
  'rate-limited': ['retry', 'rate_limited'],
  'stream-limit': ['retry', 'stream_limit'],
  'structured-metadata-empty-name': ['retry', 'server_error'],
  'structured-metadata-too-large': [{ ...check, reason: 'metadata_too_large', bytes: 70_003, limit: 65_536 }],
  'structured-metadata-too-many': [{ ...check, reason: 'metadata_too_many', count: 200, limit: 128 }],
  'timestamp-same-ns-different-line': delivered,
  'timestamp-zero': [
    {
      ...check,
      reason: 'too_old',
      timestamp: cut('1970-01-01T00:00:00Z'),
      oldestAcceptable: cut('2026-11-14T08:00:06Z'),
    },
  ],
  'too-far-behind-many': [
    {
      scope: 'entry',
      reason: 'too_far_behind',
      timestamps: Array.from({ length: 10 }, (_, n) => ({ seconds: second('2026-11-21T05:00:06Z') - n, nanos: 0 })),
      oldestAcceptable: Array(10).fill(oldest),
      ignored: 30,
      total: 30,
      stream,
    },
  ],
  'too-far-behind': [
    {
      scope: 'entry',
      reason: 'too_far_behind',
      timestamps: [exact('2026-11-21T05:00:06Z'), exact('2026-11-21T04:00:06Z')],
      oldestAcceptable: [oldest, oldest],
      ignored: 2,
      total: 3,
      stream,
    },
  ],
  'too-far-in-future': [{ ...check, reason: 'too_new', timestamp: cut('2026-11-21T10:00:06Z') }],
  'too-many-labels': [
    {
      scope: 'stream',
      reason: 'too_many_labels',
      stream:
        '{l0="v", l1="v", l10="v", l11="v", l12="v", l13="v", l14="v", l15="v", l16="v", l17="v", l18="v", l19="v", ' +
        'l2="v", l3="v", l4="v", l5="v", l6="v", l7="v", l8="v", l9="v", service_name="unknown_service"}',
    },
  ],
  'too-old': [
    {
      ...check,
      reason: 'too_old',
      timestamp: cut('2026-10-22T08:00:06Z'),
      oldestAcceptable: cut('2026-11-14T08:00:06Z'),
    },
  ],
}

t.test('every captured answer', async (t) => {
  const unread = new Set(fixtures.keys())
  // Two answers told in words, for the sake of the lesson.
  unread.delete('shared-push-hides-refusal')
  for (const [name, outcome] of Object.entries(expected)) {
    t.ok(unread.delete(name), `${name} is there`)
    const { status, headers = {}, body } = fixtures.get(name)!
    const got = classify({ status: Number(status), headers, body: Buffer.from(body) }, nowMs)
    const message = body.trim().replaceAll('\n', ' ').slice(0, 1024)
    if (!Array.isArray(outcome)) t.strictSame(got, outcome, name)
    else if (typeof outcome[0] !== 'string') t.strictSame(got, { kind: 'refused', findings: outcome, message }, name)
    else t.strictSame(got, { kind: outcome[0], reason: outcome[1], message }, name)
  }
  t.strictSame([...unread], [])
})

/** The findings of a 400. */
function findings(body: string): LokiFinding[] | string {
  const outcome = answer(400, body)
  return outcome.kind === 'refused' ? outcome.findings : outcome.kind
}

t.test('sentences of the distributor', async (t) => {
  const tooOld = `entry for stream '${stream}' has timestamp too old: 2026-10-22T08:00:06Z, oldest acceptable timestamp is: 2026-11-14T08:00:06Z`
  const tooNew = `entry for stream '${stream}' has timestamp too new: 2026-11-21T10:00:06Z`
  const tooLong = `Max entry size '5' bytes exceeded for stream '${stream}' while adding an entry with length '10' bytes`
  const old = {
    reason: 'too_old',
    timestamp: cut('2026-10-22T08:00:06Z'),
    oldestAcceptable: cut('2026-11-14T08:00:06Z'),
  }
  const fresh = { reason: 'too_new', timestamp: cut('2026-11-21T10:00:06Z') }
  const long = { reason: 'line_too_long', lengthBytes: 10, limitBytes: 5 }

  t.strictSame(findings(`100 errors like: ${tooLong}`), [{ ...check, entries: 100, ...long }], 'all of one kind')
  t.strictSame(
    findings(`3 errors like: ${tooOld}; 1 errors like: ${tooNew}; 20 errors like: ${tooLong}\n`),
    [
      { ...check, entries: 3, ...old },
      { ...check, entries: 1, ...fresh },
      { ...check, entries: 20, ...long },
    ],
    'of three kinds',
  )
  t.strictSame(
    findings(`2 errors like: something new; 1 errors like: ${tooNew}`),
    [{ ...check, entries: 1, ...fresh }],
    'what is not known is left out',
  )
  const odd = '{app="a; 2 things", b="it\'s \'so\'", c="has timestamp too new: 2026-11-21T10:00:06Z"}'
  t.strictSame(
    findings(tooNew.replace(stream, odd)),
    [{ ...check, stream: odd, ...fresh }],
    'labels that look like Loki’s words',
  )
  t.strictSame(
    findings(tooNew.replace('10:00:06Z', '10:00:06.5+02:00')),
    [{ ...check, reason: 'too_new', timestamp: { seconds: second('2026-11-21T08:00:06Z'), nanos: 500_000_000 } }],
    'a zone and a fraction',
  )
  t.equal(findings(tooNew.replace('10:00:06Z', 'yesterday')), 'halt', 'a time that is none')
})

t.test('sentences about a stream or the push', async (t) => {
  const value = 'v'.repeat(3000)
  const cases: [body: string, reason: string, stream: string | null][] = [
    [`stream '{app="${value}"}' has label value too long: '${value}'`, 'label_value_too_long', `{app="${value}"}`],
    ['error at least one label pair is required per stream', 'missing_labels', null],
    [`missing required labels 'env,team' for user 't1' for stream '${stream}' (policy: '')`, 'missing_labels', stream],
    [`missing required labels env,team for user t1 for stream ${stream}`, 'missing_labels', stream],
    [`Error parsing labels '{ab"' with error: 1:4: parse error: unterminated quoted string`, 'invalid_labels', '{ab"'],
  ]
  for (const [body, reason, stream] of cases) t.strictSame(findings(body), [{ scope: 'stream', reason, stream }], body)
  for (const body of ['1:6: parse error: unexpected identifier', 'parse error at line 1, col 6: syntax error']) {
    t.strictSame(findings(body), [{ scope: 'push', reason: 'invalid_labels' }])
  }
})

t.test('lists of the ingester', async (t) => {
  const behind = (at: string) =>
    `entry with timestamp ${at} +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-21T05:00:06Z, oldest acceptable timestamp is: 2026-11-21T07:05:06Z',\n`
  const limited = `Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '${stream}' totaling 1KB, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased`
  const rate = (at: string) => `entry with timestamp ${at} +0000 UTC ignored, reason: '${limited}',\n`
  const sums = `user 't'1', total ignored: 7 out of 9 for stream: ${stream}`
  const list = { scope: 'entry', ignored: 7, total: 9, stream }

  t.strictSame(
    findings(behind('2026-11-21 05:00:06.123456789') + behind('2026-11-21 05:00:06.5') + sums),
    [
      {
        ...list,
        reason: 'too_far_behind',
        timestamps: [
          { seconds: second('2026-11-21T05:00:06Z'), nanos: 123_456_789 },
          { seconds: second('2026-11-21T05:00:06Z'), nanos: 500_000_000 },
        ],
        oldestAcceptable: [oldest, oldest],
      },
    ],
    'nanoseconds',
  )
  t.strictSame(
    findings(rate('2026-11-21 05:00:07') + behind('2026-11-21 05:00:06') + sums),
    [
      {
        ...list,
        reason: 'per_stream_rate_limited',
        timestamps: [exact('2026-11-21T05:00:07Z')],
        oldestAcceptable: [null],
      },
      { ...list, reason: 'too_far_behind', timestamps: [exact('2026-11-21T05:00:06Z')], oldestAcceptable: [oldest] },
    ],
    'a mixture, of which the last is a refusal',
  )
  t.match(
    answer(429, behind('2026-11-21 05:00:06') + rate('2026-11-21 05:00:07') + sums),
    { kind: 'retry', reason: 'per_stream_rate_limited' },
    'a mixture, of which the last is a rate',
  )
  t.strictSame(
    findings(
      `entry with timestamp 2026-11-21 05:00:06 +0000 UTC ignored, reason: 'entry out of order' for stream: ${stream},\ntotal ignored: 1 out of 2`,
    ),
    [
      {
        scope: 'entry',
        reason: 'out_of_order',
        timestamps: [exact('2026-11-21T05:00:06Z')],
        oldestAcceptable: [null],
        ignored: 1,
        total: 2,
        stream,
      },
    ],
    'Loki before 2.8',
  )
  t.strictSame(
    findings(behind('2026-11-21 05:00:06').replace(/'entry.*'/, "'moon in the wrong house'") + sums),
    [{ ...list, reason: 'other', timestamps: [exact('2026-11-21T05:00:06Z')], oldestAcceptable: [null] }],
    'a reason to come',
  )
  t.strictSame(findings(sums), [{ ...list, reason: 'other', timestamps: [], oldestAcceptable: [] }], 'nobody named')
  t.equal(findings(behind('yesterday')), 'halt', 'a time that is none')
  t.strictSame(
    findings(
      `${behind('2026-11-21 05:00:06')}entry with timestamp 2026-11-21 05:00:07 +0000 UTC ignored, reason: 'entry`,
    ),
    [
      {
        scope: 'entry',
        reason: 'too_far_behind',
        timestamps: [exact('2026-11-21T05:00:06Z')],
        oldestAcceptable: [oldest],
        ignored: null,
        total: null,
        stream: null,
      },
    ],
    'what is cut off is not read',
  )
})

t.test('statuses and the words with them', async (t) => {
  const tooLarge = 'rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)'
  const blocked = "ingestion blocked for user 't1' until '2026-11-22T00:00:00Z' with status code '260'"
  const page = { 'content-type': 'text/html; charset=utf-8' }
  const cases: [status: number, body: string, headers: Record<string, string>, kind: string, reason?: string][] = [
    [200, '', {}, 'delivered'],
    [200, '{"status":"success"}', { 'content-type': 'application/json' }, 'delivered'],
    [202, 'ok', {}, 'delivered'],
    [204, 'ok', {}, 'delivered'],
    [200, '', page, 'halt', 'not_loki'],
    [200, '<!DOCTYPE html><title>Log in</title>', {}, 'halt', 'not_loki'],
    [260, blocked, {}, 'halt', 'ingestion_blocked'],
    [260, '', {}, 'halt', 'ingestion_blocked'],
    [200, blocked, {}, 'halt', 'ingestion_blocked'],
    [429, blocked, {}, 'halt', 'ingestion_blocked'],
    [301, '', { location: 'https://login/' }, 'halt', 'redirect'],
    [400, '', {}, 'halt', 'unrecognised'],
    [400, 'The plain HTTP request was sent to HTTPS port', {}, 'halt', 'unrecognised'],
    [400, 'proto: wrong wireType = 2 for field Timestamp', {}, 'halt', 'bad_request_body'],
    [400, 'multiple org IDs present', {}, 'halt', 'bad_tenant'],
    [
      400,
      `stream '${stream}' includes structured metadata, but this feature is disallowed. Please see`,
      {},
      'halt',
      'metadata_disallowed',
    ],
    [400, 'received message larger than max (5 vs 4)', {}, 'split', 'too_large'],
    [401, '', {}, 'halt', 'unauthorized'],
    [403, 'forbidden', {}, 'halt', 'unauthorized'],
    [404, '404 page not found', {}, 'halt', 'not_found'],
    [405, '', {}, 'halt', 'unrecognised'],
    [418, 'teapot', {}, 'halt', 'unrecognised'],
    [422, 'something else', {}, 'halt', 'unrecognised'],
    [408, '', {}, 'retry', 'timeout'],
    [413, '', {}, 'split', 'too_large'],
    [413, 'request body too large: 5 bytes, limit: 4 bytes', {}, 'split', 'too_large'],
    [429, '', {}, 'retry', 'rate_limited'],
    [429, 'ingestion rate limit exceeded for user t1, policy p (limit: 4 bytes/sec)', {}, 'retry', 'rate_limited'],
    [500, tooLarge, {}, 'split', 'too_large'],
    [500, 'label name is empty', {}, 'retry', 'server_error'],
    [502, '<html>Bad Gateway</html>', page, 'retry', 'unavailable'],
    [503, 'circuit breaker open, request denied', {}, 'retry', 'unavailable'],
    [599, '', {}, 'retry', 'server_error'],
    [0, '', {}, 'halt', 'unrecognised'],
    [101, '', {}, 'halt', 'unrecognised'],
    [999, '', {}, 'halt', 'unrecognised'],
  ]
  for (const [status, body, headers, kind, reason] of cases) {
    const outcome = answer(status, body, headers)
    t.equal(outcome.kind, kind, `${status} ${body}`)
    t.equal('reason' in outcome ? outcome.reason : undefined, reason, `${status} ${body}`)
  }
  t.match(answer(301, '', { location: 'https://login/' }), { message: 'status 301, redirects to https://login/' })
  t.match(answer(200, 'x', page), { message: /^status 200 with a page \(text\/html.*x$/ })
  t.match(answer(503, ''), { message: 'status 503 without a word' })
})

t.test('Retry-After as a date is told by the clock of the server that said it', async (t) => {
  const headers = { date: 'Sat, 21 Nov 2026 08:00:00 GMT', 'retry-after': 'Sat, 21 Nov 2026 08:00:05 GMT' }
  for (const nowMs of [Date.UTC(2026, 10, 21, 7), Date.UTC(2026, 10, 21, 9)]) {
    t.match(classify({ status: 429, headers, body: Buffer.alloc(0) }, nowMs), { kind: 'retry', afterMs: 5000 })
  }
})

t.test('Retry-After, in seconds and as a date', async (t) => {
  const after = (value: string, status = 429) => answer(status, '', { 'retry-after': value })
  t.match(after('7'), { kind: 'retry', afterMs: 7000 })
  t.match(after('Sat, 21 Nov 2026 08:00:36 GMT', 503), { kind: 'retry', afterMs: 30_000 })
  t.notOk('afterMs' in after('soon'))
  t.notOk('afterMs' in answer(429, ''))
})

t.test('messages are one line of at most 1,024 characters', async (t) => {
  const message = (body: string) => (answer(503, body) as { message: string }).message
  t.equal(message(' a\r\n\tb\u0000\u001b[31mc\u202ed\u2028e \n'), 'a b [31mc d e')
  t.equal(message('x'.repeat(5000)).length, 1024)
  t.equal(message(`${'x'.repeat(1023)}😀😀`), 'x'.repeat(1023), 'no half of a character')
})

t.test('any answer at all comes to something', async () => {
  const header = fc.dictionary(fc.constantFrom('content-type', 'retry-after', 'location', 'x'), fc.string())
  const words = [...fixtures.values()].map(({ body }) => body)
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    // Real ones, cut anywhere, and patched together.
    fc
      .array(fc.tuple(fc.constantFrom(...words), fc.nat(3000), fc.nat(3000)), { maxLength: 4 })
      .map((parts) =>
        Buffer.from(parts.map(([text, from, length]) => text.slice(from, from + length)).join('; 2 errors like: ')),
      ),
  )
  const status = fc.oneof(fc.constantFrom(200, 204, 400, 413, 429, 500), fc.integer({ min: -1, max: 1000 }))
  fc.assert(
    fc.property(status, header, body, (status, headers, body) => {
      const outcome = classify({ status, headers, body }, nowMs)
      if (outcome.kind === 'delivered') return status >= 200 && status < 300
      if (outcome.kind === 'refused' && (status !== 400 || outcome.findings.length === 0)) return false
      return outcome.message !== '' && outcome.message.length <= 1024 && !/\p{Cc}/u.test(outcome.message)
    }),
    { numRuns: 3000 },
  )
})

t.test('a cut answer never refuses what the whole one does not', async () => {
  const texts = [...fixtures.values()].filter(({ status }) => status === 400).map(({ body }) => body)
  fc.assert(
    fc.property(fc.constantFrom(...texts), fc.double({ min: 0, max: 1, noNaN: true }), (text, share) => {
      const refused = (body: string) => {
        const found = findings(body)
        if (typeof found === 'string') return []
        return found.flatMap((f) =>
          'timestamps' in f ? f.timestamps.map((at) => `${f.reason} ${at.seconds} ${at.nanos}`) : f.reason,
        )
      }
      const whole = new Set(refused(text))
      return refused(text.slice(0, Math.floor(text.length * share))).every((part) => whole.has(part))
    }),
    { numRuns: 2000 },
  )
})

t.test('no text takes long', async (t) => {
  const parts = [
    "entry for stream '",
    "' has timestamp too old: ",
    "stream '{",
    "' has structured metadata too large: '1",
    "missing required labels ' for user ' for stream {",
    "entry with timestamp 1 ignored, reason: '' for stream: {",
    "user '', total ignored: 1 out of 1 for stream: {",
    '; 1 errors like: ',
    'oldest acceptable timestamp is: ',
  ]
  for (const part of parts) {
    for (const start of parts) {
      const body = Buffer.from((start + part.repeat(65_536 / part.length)).slice(0, 65_536))
      const before = process.cpuUsage()
      classify({ status: 400, headers: {}, body }, nowMs)
      const { user } = process.cpuUsage(before)
      t.ok(user < 100_000, `${start}, then ${part}: ${user} µs`)
    }
  }
})

t.test('of a thousand sentences a few are findings: each is looked for in all that was pushed', async (t) => {
  const behind = "entry with timestamp 2026-11-21T05:00:06Z ignored, reason: 'entry too far behind',\n"
  const long = "max entry size '1' bytes exceeded for stream '{}' while adding an entry with length '2' bytes"
  const text = `${behind.repeat(500)}${`1 errors like: ${long}; `.repeat(200)}\n${`${long}\n`.repeat(200)}total ignored: 500 out of 500`
  const findings = readRefusals(text)
  t.equal(findings.length, 9)
  const list = findings.find(({ reason }) => reason === 'too_far_behind') as ListedFinding
  t.equal(list.timestamps.length, 32)
  t.equal(list.oldestAcceptable.length, 32)
  t.equal(list.ignored, 500, 'the sums behind them count')
})
