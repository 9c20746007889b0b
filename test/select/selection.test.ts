// Rules about containers and lines, and what they do to one line.
import t from 'tap'

import type { RedactRule, SelectConfig } from '../../src/config/config.ts'
import { MARK_GAP, newEntry, STDERR, STDOUT } from '../../src/core/entry.ts'
import { type Metadata, pathMetadata } from '../../src/core/metadata.ts'
import { RATE_LIMIT, Selection } from '../../src/select/selection.ts'
import fc from '../support/properties.ts'

const info = { source: 's', sourceType: 'containers' as const, key: '', path: '', podUid: 'u' }
const metadata: Metadata = {
  ...pathMetadata({ ...info, namespace: 'shop', pod: 'web-0', container: 'nginx' }, 'node'),
  labels: { tier: 'front', 'app.kubernetes.io/name': 'web' },
}

function entryOf(text: string, stream = STDOUT, marks = 0) {
  // In the middle of a block, as a line is.
  const buffer = Buffer.from(`before\n${text}\nafter`)
  return { ...newEntry(), buffer, messageStart: 7, messageEnd: 7 + Buffer.byteLength(text), stream, marks }
}

function rule(select: SelectConfig, text: string, stream = STDOUT, of = metadata): string | null {
  return (Selection.of([select], [], of)?.ruleFor(entryOf(text, stream)) ?? null) as string | null
}

t.test('exclude', async (t) => {
  const name = 'r'
  t.equal(rule({ exclude: [{ name, namespaces: ['shop'] }] }, 'x'), 'r')
  t.equal(rule({ exclude: [{ name, namespaces: ['sh*'] }] }, 'x'), 'r')
  t.equal(rule({ exclude: [{ name, namespaces: ['sho', 'shop-2', '*hop2'] }] }, 'x'), null)
  t.equal(rule({ exclude: [{ name, namespaces: ['shop'], containers: ['other'] }] }, 'x'), null, 'all must hold')
  t.equal(rule({ exclude: [{ name, podLabels: { tier: 'f*' } }] }, 'x'), 'r')
  t.equal(rule({ exclude: [{ name, podLabels: { tier: 'front', missing: '*' } }] }, 'x'), null)
  t.equal(rule({ exclude: [{ name, streams: ['stderr'] }] }, 'x'), null)
  t.equal(rule({ exclude: [{ name, streams: ['stderr'] }] }, 'x', STDERR), 'r')
  t.equal(rule({ exclude: [{ name, streams: ['stderr', 'stdout'] }] }, 'x'), 'r')
  t.equal(rule({ exclude: [{ name, line: '^GET /healthz' }] }, 'GET /healthz 200'), 'r')
  t.equal(rule({ exclude: [{ name, line: '^GET /healthz' }] }, 'a GET /healthz'), null)
  t.equal(rule({ exclude: [{ name, line: '(?i)debug|żółw$' }] }, 'ein DEBUG'), 'r')
  t.equal(rule({ exclude: [{ name, line: 'żółw$' }] }, 'a żółw'), 'r')
  t.equal(rule({ exclude: [{ name, line: 'before|after' }] }, 'x'), null, 'the line alone')
  t.equal(
    rule(
      {
        exclude: [
          { name: 'a', line: 'x' },
          { name: 'b', line: 'x' },
        ],
      },
      'x',
    ),
    'a',
    'the first one counts',
  )
})

t.test('include', async (t) => {
  const name = 'r'
  t.equal(rule({ include: [{ name, namespaces: ['shop'] }] }, 'x'), null)
  t.equal(rule({ include: [{ name, namespaces: ['other'] }] }, 'x'), 'include')
  t.equal(rule({ include: [{ name, namespaces: ['shop'], line: 'ERROR' }] }, 'x'), 'include')
  t.equal(
    rule(
      {
        include: [
          { name, line: 'ERROR' },
          { name, streams: ['stderr'] },
        ],
      },
      'x',
      STDERR,
    ),
    null,
    'any of them',
  )
  t.equal(rule({ include: [{ name, line: 'E' }], exclude: [{ name: 'no', line: 'EE' }] }, 'EE'), 'no', 'both')
})

t.test('a source and a sink each have a say, and nothing costs nothing', async (t) => {
  const name = 'r'
  const only: SelectConfig = { include: [{ name, namespaces: ['shop'] }] }
  t.equal(Selection.of([undefined, undefined], [], metadata), null)
  t.equal(Selection.of([only, { exclude: [{ name, namespaces: ['other'] }] }], [], metadata), null, 'settled at once')
  const both = Selection.of([only, { exclude: [{ name: 'b', line: 'x' }] }], [], metadata)
  t.equal(both?.ruleFor(entryOf('x')), 'b')
  t.equal(both?.ruleFor(entryOf('y')), null)
})

t.test('a pod that is not known loses no line to a rule about its labels', async (t) => {
  const unknown: Metadata = { ...metadata, mark: 'path', labels: {} }
  const name = 'r'
  t.equal(rule({ include: [{ name, podLabels: { tier: 'back' } }] }, 'x', STDOUT, unknown), null)
  t.equal(rule({ exclude: [{ name, podLabels: { tier: '*' } }] }, 'x', STDOUT, unknown), null)
  t.equal(
    rule({ exclude: [{ name, namespaces: ['shop'] }] }, 'x', STDOUT, unknown),
    'r',
    'the path tells the namespace',
  )
})

t.test('a hole is told whatever the rules say', async (t) => {
  const rules: RedactRule[] = [{ name: 'all', pattern: '.+', replacement: '' }]
  const selection = Selection.of([{ include: [{ name: 'r', namespaces: ['other'] }] }], rules, metadata)
  t.equal(selection?.ruleFor(entryOf('lost', STDOUT, MARK_GAP)), null)
  t.equal(selection?.redact(entryOf('lost', STDOUT, MARK_GAP)), null)
})

t.test('redaction', async (t) => {
  const rules: RedactRule[] = [
    { name: 'cards', pattern: '\\b(\\d{4})\\d{8}(\\d{4})\\b', replacement: '$1********$2' },
    { name: 'tokens', pattern: '(?i)bearer \\S+', replacement: 'Bearer ***' },
  ]
  const selection = Selection.of([], rules, metadata) as Selection
  const text = (line: string) => selection.redact(entryOf(line))?.toString()
  t.equal(text('żółw 1234567812345678, 8765432187654321!'), 'żółw 1234********5678, 8765********4321!')
  t.equal(text('Authorization: bearer abc.def x'), 'Authorization: Bearer *** x')
  t.equal(text('nothing here'), undefined)
  t.strictSame(
    [...selection.redacted],
    [
      ['cards', 1],
      ['tokens', 1],
    ],
  )
})

t.test('redaction cannot make a line of any length', async (t) => {
  const grow = Selection.of([], [{ name: 'r', pattern: '.', replacement: 'ż'.repeat(1000) }], metadata) as Selection
  const long = grow.redact(entryOf('x'.repeat(1000))) as Buffer
  t.ok(long.length <= 1000 + 16 * 1024 && long.length > 16 * 1024)
  t.equal(Buffer.from(long.toString()).length, long.length, 'cut between two characters')
})

t.test('a limit of lines per second, by their own time', async (t) => {
  const selection = Selection.of([], [], metadata, { exclude: false, linesPerSecond: 2 }) as Selection
  const rules = [10, 10, 10, 10, 11, 11, 11].map((seconds) => selection.ruleFor({ ...entryOf('x'), seconds }))
  t.strictSame(rules, [null, null, RATE_LIMIT, RATE_LIMIT, null, null, RATE_LIMIT])
  t.equal(selection.ruleFor({ ...entryOf('lost', STDOUT, MARK_GAP), seconds: 11 }), null)
})

t.test('a rule that compares for ever has not for ever', async (t) => {
  const redacted = (pattern: string, text: string) => {
    const rules = [{ name: 'r', pattern, replacement: '<$&>' }]
    const entry = entryOf(text)
    return Selection.of([], rules, metadata)?.redact(entry)?.toString() ?? text
  }
  const long = 'a'.repeat(1_000_000)
  t.equal(redacted('[\\w.]+@[\\w.]+', long), long)
  t.equal(
    redacted('[\\w.]+@[\\w.]+', `${long} bob@x.com ${long}`),
    `${long} <bob@x.com> ${long}`,
    'what is behind is found',
  )
  t.equal(
    redacted('(?i)(a+)+@', long),
    '[hidden: the rule r took too long for this line]',
    'rather hidden than let through',
  )
  const line = `${'a'.repeat(16_000)} error`
  t.equal(rule({ exclude: [{ name: 'r', line: '\\w+@|error$' }] }, line), 'r')
})

t.test('property: both engines find the same', async () => {
  const pattern = fc.constantFrom(
    '[\\w.]+@[\\w.]+',
    '(a|ab)(c|bcd)*',
    'a*?b',
    '(?:x|y)+$',
    '^\\w+',
    '\\bb+\\b',
    '"k":\\s*"([^"]*)"',
    '(a)|(b)',
    '(a*)*b',
    '[^a]+',
  )
  const text = fc.string({
    unit: fc.constantFrom('a', 'b', 'c', 'd', '@', '.', ' ', '"k":', '"', 'x', 'ü', '😀'),
    maxLength: 40,
  })
  fc.assert(
    fc.property(pattern, text, (source, words) => {
      const [own, other] = ['g', 'gl']
        .map((flags) => new RegExp(source, flags))
        .map((each) => words.replace(each, '<$&|$1>'))
      return own === other
    }),
    { numRuns: 3000 },
  )
})
