// What is deleted of a spool, and by whom.
import { test } from 'tap'
import { DurableReads } from '../../../src/audit/webhook/durable-reads.ts'
import { Spool } from '../../../src/audit/webhook/spool.ts'
import type { CheckpointStore } from '../../../src/checkpoint/checkpoints.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultyFileSystem } from '../../support/faulty-fs.ts'

const MEBIBYTE = 1024 * 1024

test('asked twice at once, for room and for the time, it deletes each segment once', async (t) => {
  const disk = new FaultyFileSystem()
  const clock = new FakeClock()
  const { reads, writes } = disk
  let ino = 0
  const checkpoints = { get: () => ({ ino }), flush: async () => {} } as unknown as CheckpointStore
  const options = { source: 'hook', directory: '/state/spool/hook', bytesMax: 16 * MEBIBYTE, sinks: ['loki'] }
  const spool = new Spool(options, { reads, writes, clock, durable: new DurableReads(reads), checkpoints })
  await spool.open()
  const journal = (await spool.journal('cp-1'))!
  for (let i = 0; i < 4; i++) await journal.append(Buffer.from(`${'x'.repeat(MEBIBYTE)}\n`))
  t.ok(journal.segments.length >= 3, `${journal.segments.length} segments`)
  ino = reads.lstat(journal.livePath)!.ino
  await Promise.all([spool.prune(), spool.prune()])
  t.strictSame(journal.segments, [])
  await spool.close()
})
