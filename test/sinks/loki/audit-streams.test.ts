// How much of a backlog is read at once: more each time that it went well, for fewer pushes, and little after a failure.
import t from 'tap'
import { PartPool } from '../../../src/batch/part.ts'
import { AuditStreams } from '../../../src/sinks/loki/audit-streams.ts'
import { LokiLane } from '../../../src/sinks/loki/lane.ts'

t.test('twice as many batches after each success, up to sixteen; one after a failure', async (t) => {
  const { streams } = new LokiLane('lane', { job: 'kube-audit' }, false)
  const audit = new AuditStreams({ cluster: 'c' }, streams, 1000)
  const pool = new PartPool(2, 1000)
  const parts = [pool.take(), pool.take()] as const
  const batches: number[] = []
  const look = () => batches.push(audit.bytesLeft(parts) / 1000)
  look()
  for (let i = 0; i < 3; i++) {
    audit.settled()
    look()
  }
  audit.failed()
  look()
  audit.settled()
  look()
  t.strictSame(batches, [4, 8, 16, 16, 1, 2])
  parts[0].put(Buffer.alloc(100))
  parts[0].savedBytes += 400
  t.equal(audit.bytesLeft(parts), 1500, 'less what is there already, before compression')
})

t.test(
  'what streams remember as delivered is forgotten when as much of its file is settled, in whatever order the runs lie',
  async (t) => {
    const { streams } = new LokiLane('lane', { job: 'kube-audit' }, false)
    const audit = new AuditStreams({ cluster: 'c' }, streams, 1000)
    const files = [{}, {}]
    const numbers = [5, 6].map((verb) => audit.noteMany(2, verb, 1, 1))
    const ship = (offsets: readonly number[]) => {
      audit.begin()
      for (const file of files) {
        for (const [record, offset] of offsets.entries())
          audit.noteRun(0, { number: numbers[0]!, record, start: 0, packedBytes: 0, file, offset })
      }
      audit.shipping()
      audit.settled()
    }
    for (const number of numbers) for (const file of files) audit.streams[number]!.stored(file, 300)
    ship([100, 299, 200])
    t.ok(numbers.every((number) => files.every((file) => audit.streams[number]!.hasStored(file, 300))))
    ship([200, 300, 250])
    t.notOk(audit.hasStored)
  },
)
