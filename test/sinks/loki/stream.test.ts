// When a stream is calm, and when a lane's batch is suspect: the borders of the rules in stream.ts.
import t from 'tap'
import { LokiLane } from '../../../src/sinks/loki/lane.ts'
import { LokiStream } from '../../../src/sinks/loki/stream.ts'
import { Draw } from '../../sim/draw.ts'

const MINUTE_MS = 60_000

/** A stream that delivered entries of 10,000 s at 0 ms, with the next ones from `oldest` to `newest` pending. */
function stream(oldest: number, newest: number): LokiStream {
  const made = new LokiStream({ app: 'a' })
  made.begin()
  made.pendingOldest = 10_000
  made.pendingNewest = 10_000
  made.delivered(0, 10_000)
  made.checkpointing()
  made.begin()
  made.pendingOldest = oldest
  made.pendingNewest = newest
  return made
}

t.test('calm: known, lately, not far behind, slow', async (t) => {
  t.ok(stream(10_000, 10_001).isCalm(1000))
  const unknown = new LokiStream({ app: 'a' })
  unknown.pendingOldest = unknown.pendingNewest = 10_000
  t.notOk(unknown.isCalm(1000), 'before its first success')
  t.ok(stream(10_000, 10_000).isCalm(15 * MINUTE_MS - 1))
  t.notOk(stream(10_000, 10_000).isCalm(15 * MINUTE_MS), 'after a silence')
  t.ok(stream(8200, 10_000).isCalm(1000))
  t.notOk(stream(8199, 10_000).isCalm(1000), 'more than half an hour behind')
})

t.test('a stream is calm while no more than 1 MB of the last seconds is above 1 MB/s', async (t) => {
  const fast = stream(10_000, 10_000)
  fast.pushed(1000, 1_000_000)
  t.ok(fast.isCalm(1000), '1 MB at once')
  fast.pushed(1000, 1)
  t.notOk(fast.isCalm(1000), 'more than that')
  t.notOk(fast.isSlow(1000))
  t.ok(fast.isCalm(1001), 'for a millisecond')
  for (let ms = 2000; ms <= 2030; ms += 5) fast.pushed(ms, 250_000)
  t.notOk(fast.isCalm(2030), 'small pushes, few milliseconds apart')
  t.notOk(fast.isCalm(2030 + 720))
  t.ok(fast.isCalm(2030 + 721), 'seven quarters of a MB, less what leaked meanwhile')
})

t.test('a stream that has caught up with an hour is calm again in 15 seconds', async (t) => {
  const fast = stream(10_000, 10_000)
  for (let ms = 1000; ms <= 61_000; ms += 20) fast.pushed(ms, 1_000_000)
  t.notOk(fast.isCalm(61_000 + 14_999))
  t.ok(fast.isCalm(61_000 + 15_000))
})

t.test('what a stream pushes while it is calm never meets a limit of 1 MB/s, whatever it pushed before', async (t) => {
  const draw = new Draw(7)
  const burst = 1_000_000 + 100_000
  for (let round = 0; round < 50; round++) {
    const one = stream(10_000, 10_000)
    // As Loki counts: what is refused is not taken off.
    let tokens = burst
    let now = 1000
    let calm = 0
    for (let push = 0; push < 300; push++) {
      const pauseMs = draw.pick([0, 1, 5, 50, 100, 100])
      now += pauseMs
      tokens = Math.min(burst, tokens + pauseMs * 1000)
      const bytes = draw.int(1, 100_000)
      const taken = bytes <= tokens
      if (one.isCalm(now)) {
        calm++
        if (!taken) t.fail(`push ${push} of round ${round}: ${bytes} bytes, ${tokens} left`)
      }
      if (taken) tokens -= bytes
      one.pushed(now, bytes)
    }
    t.ok(calm > 0 && calm < 300, `${calm} of 300 were calm`)
  }
})

t.test(
  'a stream that is only fast may be the last one in a push; one that was refused goes alone until it is taken',
  async (t) => {
    const fast = stream(10_000, 10_000)
    fast.pushed(1001, 1_000_001)
    t.notOk(fast.isCalm(1001))
    t.ok(fast.isWelcome(1001))
    const refused = stream(10_000, 10_000)
    refused.refused()
    t.notOk(refused.isCalm(1001))
    t.notOk(refused.isWelcome(1001))
    refused.delivered(1001, 10_000)
    t.ok(refused.isCalm(1002))
    t.notOk(stream(8199, 10_000).isWelcome(1000), 'more than half an hour behind')
  },
)

t.test('the newest is the newest that was stored, whatever came later', async (t) => {
  const made = stream(9000, 9000)
  made.delivered(1000, 9000)
  made.begin()
  made.pendingOldest = 8200
  t.ok(made.isCalm(1001))
  made.pendingOldest = 8199
  t.notOk(made.isCalm(1001))
})

t.test('a stream outruns its checkpoint by more than half an hour', async (t) => {
  const made = stream(10_000, 11_000)
  t.notOk(made.outrunsCheckpoint, 'all that was acknowledged is durable')
  made.delivered(1000, 11_000)
  made.begin()
  made.pendingNewest = 11_800
  t.notOk(made.outrunsCheckpoint)
  made.pendingNewest = 11_801
  t.ok(made.outrunsCheckpoint)
  made.checkpointing()
  t.notOk(made.outrunsCheckpoint)
})

t.test('a lane may share once one of its streams is known, while both are slow and it is not on its own', async (t) => {
  const lane = new LokiLane('k', { app: 'a' }, true)
  t.strictSame(
    lane.streams.map(({ labels }) => labels.stream),
    ['stdout', 'stderr'],
  )
  t.notOk(lane.mayShare(0))
  lane.streams[1].delivered(0, 1)
  t.ok(lane.mayShare(0))
  lane.streams[0].pushed(0, 5_000_000)
  t.notOk(lane.mayShare(3999))
  t.ok(lane.mayShare(4000))
  lane.solo = true
  t.notOk(lane.mayShare(4000))
  t.equal(new LokiLane('k', { app: 'a' }, false).streams[0].labels.stream, undefined)
})

t.test('suspect after 3 server errors, then 6, 12, 24, 48, and every 32', async (t) => {
  const lane = new LokiLane('k', { app: 'a' }, true)
  const suspectAt: number[] = []
  for (let errors = 1; errors <= 150; errors++) {
    lane.suspicion.note()
    if (!lane.suspicion.isSuspect) continue
    suspectAt.push(errors)
    lane.acquit()
    t.ok(lane.needsNeighbours)
  }
  t.strictSame(suspectAt, [3, 6, 12, 24, 48, 80, 112, 144])
  lane.clearServerErrors()
  t.notOk(lane.suspicion.isSuspect)
  t.notOk(lane.needsNeighbours)
  for (let errors = 0; errors < 3; errors++) lane.suspicion.note()
  t.ok(lane.suspicion.isSuspect)
})
