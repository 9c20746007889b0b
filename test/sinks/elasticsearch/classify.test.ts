// What a bulk's answer means: the answers that a real OpenSearch gave (test/fixtures/opensearch), and those that nobody should give.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { HttpResponse } from '../../../src/ports/http.ts'
import { type BulkOutcome, classify, type Sent } from '../../../src/sinks/elasticsearch/classify.ts'

const directory = join(dirname(dirname(import.meta.dirname)), 'fixtures/opensearch')

interface Captured {
  status: number
  headers?: [string, string][]
  body: unknown
}

function response({ status, headers = [], body }: Captured): HttpResponse {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return {
    status,
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    body: Buffer.from(text),
  }
}

const NO_IDS = (count: number): Sent => ({ count, idOf: null })

function itemsOf(body: unknown): unknown[] {
  return (body as { items?: unknown[] }).items ?? []
}

function captured(name: string): Captured {
  const exchange = JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8')) as { response: Captured }
  return exchange.response
}

/** `delivered`, `split`, `halt blocked`, or the fates of the items. */
function summary(outcome: BulkOutcome): string {
  if (outcome.kind === 'items') return outcome.fates.map(({ kind }) => kind).join(' ')
  return 'reason' in outcome ? `${outcome.kind} ${outcome.reason}` : outcome.kind
}

const EXPECTED: Record<string, string> = {
  'bulk-413-content-length': 'split too_large',
  'bulk-429-circuit-breaker': 'retry circuit_breaker',
  'bulk-429-indexing-pressure': 'split too_large',
  'bulk-auto-create-off': 'halt',
  'bulk-bad-action-line': 'refused',
  'bulk-bad-index-name': 'halt delivered',
  'bulk-bad-json-line': 'reject delivered',
  'bulk-closed-index': 'halt',
  'bulk-cluster-readonly': 'halt blocked',
  'bulk-cluster-readonly-newindex': 'halt blocked',
  'bulk-create-bad-timestamp': 'reject',
  'bulk-create-dup-409': 'delivered delivered',
  'bulk-create-no-timestamp': 'reject',
  'bulk-create-ok': 'delivered',
  'bulk-deep-object': 'reject',
  'bulk-dup-after-rollover': 'delivered',
  'bulk-dup-keys': 'reject',
  'bulk-empty-body': 'retry damaged',
  'bulk-empty-field-name': 'reject reject reject delivered delivered',
  'bulk-field-limit': 'reject',
  'bulk-filter-path': 'delivered delivered',
  'bulk-flood-stage-readonly': 'retry',
  'bulk-gzip': 'delivered',
  'bulk-gzip-corrupt': 'retry damaged',
  'bulk-gzip-truncated': 'retry damaged',
  'bulk-id-too-long': 'refused',
  'bulk-immense-term': 'reject',
  'bulk-invalid-utf8': 'reject',
  'bulk-label-dot-conflict': 'delivered reject',
  'bulk-label-dot-conflict-reverse': 'delivered reject',
  'bulk-lone-surrogate': 'delivered',
  'bulk-mapping-conflict': 'reject reject reject delivered',
  'bulk-no-content-type': 'halt bad_request',
  'bulk-no-final-newline': 'retry damaged',
  'bulk-nul-char': 'delivered',
  'bulk-only-newline': 'retry damaged',
  'bulk-pipeline-fail': 'reject',
  'bulk-pipeline-missing': 'halt',
  'bulk-primary-unavailable': 'retry',
  'bulk-raw-control-char': 'reject',
  'bulk-require-alias': 'halt',
  'bulk-reserved-field': 'reject reject delivered',
  'bulk-write-block': 'halt',
  'bulk-wrong-content-type': 'halt unrecognised',
  // The operation was an `index`, which we never send: an answer about something else.
  'bulk-index-op-on-data-stream': 'halt',
}
/** Captures of several answers, looked at below. */
const OTHERS = ['bulk-429', 'bulk-429-concurrent-big', 'bulk-413-raw']

t.test('every captured answer has its meaning here', async (t) => {
  const names = readdirSync(directory).filter((name) => name.startsWith('bulk-'))
  t.strictSame(names.map((name) => name.slice(0, -5)).sort(), [...Object.keys(EXPECTED), ...OTHERS].sort())
})

for (const [name, expected] of Object.entries(EXPECTED)) {
  t.test(name, async (t) => {
    const { status, ...rest } = captured(name)
    const { length } = itemsOf(rest.body)
    t.equal(summary(classify(response({ status, ...rest }), NO_IDS(Math.max(1, length)), 0)), expected)
  })
}

t.test('what an Elasticsearch (9.5.3) answers to the same questions', async (t) => {
  const otherwise: Record<string, string> = {
    'bulk-413': 'split too_large',
    'bulk-bad-json-line': 'reject delivered',
    'bulk-create-bad-timestamp': 'reject reject',
    // It closes the connection where it finds the damage. What was cut it takes for all there is.
    'bulk-gzip-truncated': 'retry damaged',
    'bulk-no-content-type': 'halt unrecognised',
  }
  const said: Record<string, RegExp> = {
    'bulk-flood-stage-readonly': /flood-stage watermark/,
    'bulk-auto-create-off': /no such index \[nowhere\] and \[action\.auto_create_index\]$/,
    'bulk-bad-index-name': /Invalid index name \[Bad_Name\], must be lowercase$/,
    'bulk-create-no-timestamp': /timestamp field \[@timestamp\] is missing$/,
    'bulk-field-limit': /Limit of total fields \[3\]$/,
    'bulk-primary-unavailable': /\[0\] primary shard is not active$/,
    'bulk-closed-index': / closed$/,
  }
  const elsewhere = join(dirname(dirname(import.meta.dirname)), 'fixtures/elasticsearch')
  for (const file of readdirSync(elsewhere)) {
    const { response: answer } = JSON.parse(readFileSync(join(elsewhere, file), 'utf8')) as { response: Captured }
    const name = file.slice(0, -5)
    const { length } = itemsOf(answer.body)
    const outcome = classify(response(answer), NO_IDS(Math.max(1, length)), 0)
    t.equal(summary(outcome), otherwise[name] ?? EXPECTED[name], name)
    if (outcome.kind !== 'items') continue
    for (const fate of outcome.fates) {
      if (fate.kind === 'delivered') continue
      t.notMatch(fate.says, /not a number|yesterday|"a":1|kkkk|a=1/, name)
      if (name in said) t.match(fate.says, said[name])
    }
  }
})

t.test('a server that lets no bulk name an index blames no record', async (t) => {
  const error = { type: 'illegal_argument_exception', reason: 'explicit index in bulk is not allowed' }
  t.equal(summary(classify(response({ status: 400, body: { error, status: 400 } }), NO_IDS(2), 0)), 'halt bad_request')
})

t.test('overload: per item, and as a whole', async (t) => {
  const read = (name: string) => JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'))
  for (const each of read('bulk-429').mixed as Captured[]) {
    const outcome = classify(response(each), NO_IDS(itemsOf(each.body).length), 0)
    t.match(summary(outcome), /^(?:delivered |retry )*(?:delivered|retry)$/)
    t.match(summary(outcome), 'retry')
    t.match(summary(outcome), 'delivered')
  }
  for (const each of read('bulk-429-concurrent-big').responses as Captured[]) {
    // Each for itself would fit: it is the others.
    if (each.status === 429) t.equal(summary(classify(response(each), NO_IDS(1), 0)), 'retry overloaded')
  }
})

t.test('what is logged of a refusal holds nothing of the document', async (t) => {
  const secrets: Record<string, RegExp> = {
    'bulk-mapping-conflict': /not a number/,
    'bulk-create-bad-timestamp': /yesterday/,
    'bulk-immense-term': /120, 120/,
    'bulk-raw-control-char': /Preview/,
    'bulk-bad-json-line': /Unexpected/,
    'bulk-dup-keys': /a1/,
  }
  for (const [name, secret] of Object.entries(secrets)) {
    const { status, ...rest } = captured(name)
    const outcome = classify(response({ status, ...rest }), NO_IDS(itemsOf(rest.body).length), 0)
    if (outcome.kind !== 'items') throw new Error(name)
    const fate = outcome.fates.find(({ kind }) => kind === 'reject')
    if (fate?.kind !== 'reject') throw new Error(name)
    t.match(fate.message, secret, `${name}: the dead letter has the whole reason`)
    t.notMatch(fate.says, secret, `${name}: the log has not: ${fate.says}`)
  }
  const block = classify(response(captured('bulk-flood-stage-readonly')), NO_IDS(1), 0)
  if (block.kind !== 'items' || block.fates[0]?.kind !== 'retry') throw new Error('no retry')
  t.match(block.fates[0].says, 'flood-stage watermark', 'what an operator needs is there')
})

const SENT: Sent = { count: 3, idOf: (index) => ['a', 'b', 'c'][index] as string }
const ok = (_id: string) => ({ create: { _id, status: 201 } })
const bad = (_id: string, status = 400, type = 'mapper_parsing_exception', reason = 'failed to parse') => ({
  create: { _id, status, error: { type, reason } },
})
const answer = (value: unknown, status = 200, headers: [string, string][] = []) =>
  response({ status, headers, body: value })

t.test('answers that are not about what was sent are no answers', async (t) => {
  const whole = JSON.stringify({ errors: true, items: [ok('a'), bad('b'), ok('c')] })
  t.equal(summary(classify(answer(whole), SENT, 0)), 'delivered reject delivered')
  for (let cut = 0; cut < whole.length; cut++) {
    t.equal(summary(classify(answer(whole.slice(0, cut)), SENT, 0)), 'retry bad_answer', `cut after ${cut} bytes`)
  }
  const clean = JSON.stringify({ errors: false, items: [ok('a'), ok('b'), ok('c')] })
  t.equal(summary(classify(answer(clean), SENT, 0)), 'delivered')
  for (let cut = 0; cut < clean.length; cut++) {
    t.equal(summary(classify(answer(clean.slice(0, cut)), SENT, 0)), 'retry bad_answer', `cut after ${cut} bytes`)
  }
  const items = (...list: unknown[]) => summary(classify(answer({ errors: true, items: list }), SENT, 0))
  t.equal(items(ok('a'), bad('b')), 'retry bad_answer', 'too short')
  t.equal(items(ok('a'), bad('b'), ok('c'), ok('d')), 'retry bad_answer', 'too long')
  t.equal(items(ok('a'), bad('b'), ok('x')), 'retry bad_answer', 'about another record')
  t.equal(items(ok('a'), bad('a'), ok('c')), 'retry bad_answer', 'twice about one record')
  t.equal(items(ok('a'), null, ok('c')), 'retry bad_answer', 'nothing about one')
  t.equal(items(bad('c'), ok('a'), ok('b')), 'delivered delivered reject', 'out of order, and put in order')
  const short = { errors: false, items: [ok('a'), ok('b')] }
  t.equal(summary(classify(answer(short), SENT, 0)), 'retry bad_answer', 'too short, and all is well with it')
  t.equal(summary(classify(answer({ errors: false, items: [] }), SENT, 0)), 'retry bad_answer', 'empty')
  t.equal(summary(classify(answer('[]'), SENT, 0)), 'retry bad_answer')
  t.equal(summary(classify(answer('null'), SENT, 0)), 'retry bad_answer')
  t.equal(summary(classify(answer({ errors: true, items: { a: 1 } }), SENT, 0)), 'retry bad_answer')
})

t.test('an item without a status or with one that nobody knows gives no record up', async (t) => {
  const kinds = [undefined, 0, 418, 302, 401, 404, 499].map((status) => {
    const outcome = classify(
      answer({ errors: true, items: [{ create: { _id: 'a', status } }] }),
      { count: 1, idOf: () => 'a' },
      0,
    )
    return summary(outcome)
  })
  t.strictSame(new Set(kinds), new Set(['halt']))
})

t.test('400s of an item that are not its fault', async (t) => {
  const reasons: [string, string][] = [
    [
      'validation_exception',
      'this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open',
    ],
    [
      'illegal_argument_exception',
      'no write index is defined for alias [logs]. The write index may be explicitly disabled',
    ],
    ['illegal_argument_exception', 'pipeline with id [x] does not exist'],
    ['routing_missing_exception', 'routing is required for [x]/[_doc]/[1]'],
    ['index_closed_exception', 'closed'],
    ['invalid_index_name_exception', 'Invalid index name [Bad], must be lowercase'],
    ['unheard_of_exception', 'what is that'],
  ]
  for (const [type, reason] of reasons) {
    const outcome = classify(
      answer({ errors: true, items: [bad('a', 400, type, reason)] }),
      { count: 1, idOf: () => 'a' },
      0,
    )
    t.equal(summary(outcome), 'halt', `${type}: ${reason}`)
  }
})

t.test('whole answers', async (t) => {
  const cases: [string, HttpResponse][] = [
    ['halt unauthorized', answer({ error: { type: 'security_exception', reason: 'missing authentication' } }, 401)],
    ['halt unauthorized', answer('Unauthorized', 401)],
    [
      'halt unauthorized',
      answer({ error: { type: 'security_exception', reason: 'action [bulk] is unauthorized' } }, 403),
    ],
    ['halt not_found', answer('404 page not found', 404)],
    ['halt redirect', answer('', 302, [['Location', 'https://login.example']])],
    ['halt not_elasticsearch', answer('<html>Log in</html>', 200, [['Content-Type', 'text/html']])],
    ['halt bad_request', answer({ error: 'no handler found for uri [/x/_bulk] and method [POST]' }, 400)],
    ['halt bad_request', answer('', 400)],
    ['retry unavailable', answer('upstream connect error', 503)],
    ['retry unavailable', answer({ error: { type: 'master_not_discovered_exception', reason: null } }, 503)],
    ['retry unavailable', answer('', 504)],
    ['retry server_error', answer({ error: { type: 'null_pointer_exception', reason: null } }, 500)],
    ['retry timeout', answer('', 408)],
    ['split too_large', answer('<html>413 Request Entity Too Large</html>', 413)],
    ['retry overloaded', answer('slow down', 429)],
  ]
  for (const [expected, given] of cases) t.equal(summary(classify(given, SENT, 0)), expected)
})

t.test('Retry-After', async (t) => {
  const after = (value: string, status: number, nowMs = 0) => {
    const outcome = classify(answer('', status, [['Retry-After', value]]), SENT, nowMs)
    return outcome.kind === 'retry' ? outcome.afterMs : null
  }
  t.equal(after('7', 429), 7000)
  t.equal(after('7', 503), 7000)
  t.equal(after('Sat, 21 Nov 2026 08:00:10 GMT', 503, Date.UTC(2026, 10, 21, 8)), 10_000)
  t.equal(after('soon', 429), undefined)
})

t.test('an answer with far more values than what was sent is none, before it becomes objects', async (t) => {
  for (const value of ['{}', '[]', '1', '"\\""']) {
    const body = Buffer.from(`{"errors":true,"items":[${new Array(1_000_000).fill(value).join()}]}`)
    const { parse } = JSON
    let parsed = 0
    JSON.parse = (...args) => {
      parsed++
      return parse(...args)
    }
    try {
      t.equal(summary(classify({ status: 200, headers: {}, body }, NO_IDS(5000), 0)), 'retry bad_answer')
      t.equal(summary(classify({ status: 500, headers: {}, body }, NO_IDS(1), 0)), 'retry server_error')
    } finally {
      JSON.parse = parse
    }
    t.equal(parsed, 0, value)
  }
  const reason = '[{,'.repeat(100_000)
  const item = { create: { status: 400, error: { type: 'mapper_parsing_exception', reason: `\\"${reason}` } } }
  const items = { errors: true, items: [item] }
  t.equal(
    summary(classify(response({ status: 200, body: items }), NO_IDS(1), 0)),
    'reject',
    'what a string holds is none',
  )
})

t.test('no words take long', async (t) => {
  for (const part of [
    'invalid ',
    'field [a] of type [',
    'Limit of total fields [1',
    'coordinating_operation_bytes=1',
    'id [',
  ]) {
    const reason = part.repeat(300_000 / part.length)
    for (const status of [400, 429, 503]) {
      const before = process.cpuUsage()
      classify(
        response({ status, body: { error: { type: 'illegal_argument_exception', reason }, status } }),
        NO_IDS(1),
        0,
      )
      classify(
        response({ status: 200, body: { items: [{ create: { status, error: { type: 'a', reason } } }] } }),
        NO_IDS(1),
        0,
      )
      const { user } = process.cpuUsage(before)
      t.ok(user < 2_000_000, `${status} ${part}: ${user} µs`)
    }
  }
})

t.test('what becomes a label of metrics is a name or a status as servers give them', async (t) => {
  for (const type of ['a'.repeat(129), 'no name', '', 'ä', 7, null]) {
    const error = { type, reason: 'why' }
    const whole = classify(response({ status: 400, body: { error: { type, reason: 'json' } } }), NO_IDS(1), 0)
    t.match(whole, { kind: 'refused', type: 'error' })
    const items = [429.5, 1e9, -1, '400'].map((status) => ({ create: { status, error } }))
    const outcome = classify(response({ status: 200, body: { errors: true, items } }), NO_IDS(4), 0)
    const wanted = { kind: 'halt', type: 'error', status: 0 }
    t.match(outcome, { kind: 'items', fates: [wanted, wanted, wanted, wanted] })
  }
})
