// The self test before the first audit event: it passes as things are, and it notices when they are not.
import { test } from 'tap'
import { AuditFilter } from '../../src/audit/filter.ts'
import { maskWith } from '../../src/audit/redact/mask.ts'
import { failingRule } from '../../src/audit/self-test.ts'
import type { Part } from '../../src/batch/part.ts'
import type { AuditSourceConfig } from '../../src/config/config.ts'
import type { Entry } from '../../src/core/entry.ts'
import type { Sink } from '../../src/sinks/sink.ts'

const SOURCE: AuditSourceConfig = {
  type: 'audit',
  name: 'audit',
  paths: ['/a.log'],
  exclude: [],
  roots: null,
  startAt: 'beginning',
  startAgeMax: null,
  format: 'json',
  policyFile: null,
  redaction: { keyFile: null },
}

/** A sink that sends what `encode` makes of a line. */
function sink(encode: (line: Buffer) => Buffer = (line) => line): Sink {
  const write = (part: Part, entry: Entry) => {
    const bytes = encode(entry.buffer.subarray(entry.messageStart, entry.messageEnd))
    part.reserve(bytes.length)
    part.end += bytes.copy(part.buffer, part.end)
  }
  const encoder = { write, sizeMax: (_: Entry, bytes: number) => bytes }
  return { name: 's', lineBytesMax: 1e6, target: () => ({ key: 'k', encoder }), forget() {} } as unknown as Sink
}

test('redaction holds for every rule, with and without a key', (t) => {
  for (const key of [null, Buffer.from('0123456789abcdef')]) {
    // Its secrets are random: what depends on how one looks would show now and then.
    for (let round = 0; round < 300; round++) {
      const failure = failingRule(SOURCE, { policy: null, mask: maskWith(key) }, [sink()])
      if (failure !== null) t.fail(failure)
    }
    t.pass('300 rounds')
  }
  t.end()
})

test('a rule that lets a secret out is named, and so is the sink', (t) => {
  const carrier = (secret: string) => ({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    auditID: 'x',
    stage: 'Panic',
    sourceIPs: [secret],
  })
  const carriers = { 'a rule that is missing': carrier }
  const failure = (encode?: (line: Buffer) => Buffer) =>
    failingRule(SOURCE, { policy: null, mask: maskWith(null) }, [sink(encode)], carriers)
  t.match(failure(), 'sink s would send: a rule that is missing')
  t.match(
    failure((line) => Buffer.from(line.toString('base64'))),
    'a rule that is missing',
    'in base64',
  )
  t.match(
    failure((line) => Buffer.from(`x${Buffer.concat([Buffer.from('a'), line]).toString('base64')}`)),
    'missing',
    'at another offset',
  )
  t.equal(
    failure(() => Buffer.alloc(0)),
    null,
  )
  t.equal(failingRule(SOURCE, { policy: null, mask: String }, [sink()]) !== null, true, 'a mask that masks nothing')
  t.end()
})

test('a sink whose encoder undoes redaction is noticed', (t) => {
  const raw = new AuditFilter({ policy: null, mask: null, lineBytesMax: 1e6 })
  t.equal(raw.isPlain, true)
  let original = Buffer.alloc(0)
  const leaking = sink((line) => Buffer.concat([line, original]))
  const target = leaking.target
  leaking.target = (...args) => {
    const found = target(...args)
    return {
      ...found,
      encoder: {
        ...found.encoder,
        write: (part, entry) => {
          original = Buffer.from(entry.audit?.buffer ?? [])
          found.encoder.write(part, entry)
        },
      },
    }
  }
  t.match(failingRule(SOURCE, { policy: null, mask: maskWith(null) }, [leaking]), 'data of a Secret')
  t.end()
})
