// One entry serves all lines of a reader: what was said of one is not said of what is written next.
import { test } from 'tap'
import { AuditLines } from '../../src/audit/lines.ts'
import { newEntry } from '../../src/core/entry.ts'
import { Emitter } from '../../src/tail/emitter.ts'
import type { EntryWriter } from '../../src/tail/writer.ts'

test('an event that is too old leaves nothing for a gap record after it', async (t) => {
  const place = { file: {} } as never
  const account = { isAcked: () => false, skip: () => skipped++, take: () => {} } as never
  let skipped = 0
  const emitter = new Emitter(place, account, true, 1e6)
  emitter.skipBeforeSeconds = 2e9
  const items = Array.from({ length: 10_000 }, (_, i) => ({ metadata: { name: `n${i}` } }))
  for (const responseObject of [{}, { kind: 'PodList', items }]) {
    const event = { kind: 'Event', apiVersion: 'audit.k8s.io/v1', auditID: 'old', responseObject }
    const line = Buffer.from(`${JSON.stringify({ ...event, stageTimestamp: '2026-11-21T08:00:00.000000Z' })}        `)
    let ready = () => {}
    const done = new Promise<void>((resolve) => {
      ready = resolve
    })
    const audit = new AuditLines({
      policy: null,
      mask: null,
      lineBytesMax: 1e6,
      *shape() {
        yield
        return { of: 'the event' }
      },
      pause: async () => {},
      ready,
    })
    const entry = newEntry()
    const file = { head: { hash: 'h' }, order: { restart: 0 } }
    Object.assign(entry, { file, buffer: line, messageEnd: line.length - 8 })
    if (!audit.ahead(file, 0, Buffer.alloc(0), 0, line, 0, line.length - 8)) await done
    const before = skipped
    const out = { fits: () => true, write: () => {} } as unknown as EntryWriter
    emitter.writeAudit(audit, entry, 0, 0, line.length, true, out)
    t.equal(skipped, before + 1)
    emitter.writeGap(entry, { head: 'h', restart: 0, stream: 0, from: 0, to: 9, seconds: 1, nanos: 0 } as never, out)
    t.match(entry, { audit: null, shape: null })
  }
})
