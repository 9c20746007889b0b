// The checkpoint is what the sink acknowledged, never more: whenever one is set, everything before it is in the store (or
// among the dead letters).
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { FaultHook } from '../../src/demo/faults.ts'
import { lokiConfig, texts, World } from './world.ts'

const HOUR_MS = 3_600_000

/** Compares each checkpoint, at the instant when it is set, with what Loki and the dead letters hold. */
function watch(t: Test, world: World): { sets: () => number } {
  let sets = 0
  let troubles = 0
  const highest = new Map<string, number>()
  world.checkpoints.onSet = (_sink, lineage, { path, offset }) => {
    sets++
    const there = new Set([...world.loki.lines(), ...world.letters.letters.map(({ line }) => line as string)])
    const before = readFileSync(path).subarray(0, offset).toString()
    if (before !== '' && !before.endsWith('\n') && ++troubles < 5) t.fail(`${lineage}: ${offset} is inside a line`)
    for (const row of before.split('\n').slice(0, -1)) {
      const text = row.split(' ').slice(3).join(' ')
      if (!there.has(text) && ++troubles < 5) t.fail(`${lineage}: "${text}" lies before ${offset} and is nowhere`)
    }
    if (offset < (highest.get(path) ?? 0) && ++troubles < 5)
      t.fail(`${lineage}: back from ${highest.get(path)} to ${offset}`)
    highest.set(path, offset)
  }
  return { sets: () => sets }
}

const FAULTS: Record<string, FaultHook> = {
  none: () => null,
  'every second push is refused': ({ n }) => (n % 2 === 0 ? { kind: 'answer', status: 503 } : null),
  'stored, but reset': ({ n }) => (n % 3 === 0 ? { kind: 'reset', store: 'all' } : null),
  'half of it stored, and reset': ({ n }) => (n % 3 === 0 ? { kind: 'reset', store: 'half' } : null),
  'not stored, and silent': ({ n }) => (n % 4 === 0 ? { kind: 'hang', store: 'none' } : null),
  'an answer of another world': ({ n }) =>
    n % 3 === 0
      ? { kind: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>please log in</html>' }
      : null,
  'one record is poison': () => ({ kind: 'poison', matches: ({ line }) => line.toString() === 'a out 33' }),
  'too large': ({ push }) =>
    push?.streams.some(({ entries }) => entries.length > 10) ? { kind: 'answer', status: 413 } : null,
  'stderr is refused': ({ push, n }) =>
    n < 60 && push?.streams.some(({ labels }) => labels.includes('stderr')) ? { kind: 'answer', status: 503 } : null,
}

for (const [name, fault] of Object.entries(FAULTS)) {
  t.test(`never past what was acknowledged: ${name}`, async (t) => {
    const world = new World(t, { limits: { lineBytesMax: 400 }, sinks: [lokiConfig({ batchBytesMax: 4096 })] })
    const { sets } = watch(t, world)
    const now = world.clock.now()
    for (const pod of ['a', 'b', 'c']) {
      world.write(pod, texts(`${pod} out`, 80))
      world.write(
        pod,
        texts(`${pod} err`, 40).map((text) => ({ text, stream: 'stderr' as const })),
      )
      world.write(pod, [
        { text: `${pod} old`, atMs: now - 200 * HOUR_MS },
        `${pod} long`.padEnd(500, '.'),
        { text: `${pod} behind`, atMs: now - 5 * HOUR_MS },
      ])
    }
    world.loki.fault = fault
    world.start()
    for (let round = 0; round < 10; round++) {
      await world.clock.advance(7000)
      for (const pod of ['a', 'b', 'c']) world.write(pod, texts(`${pod} round ${round}`, 9))
      t.strictSame(world.ledger().imbalance(), { bytes: 0, lines: 0 })
    }
    await world.drain(24 * HOUR_MS)
    world.exact(world.letters.letters.map(({ line }) => line as string))
    world.accounted()
    t.ok(sets() > 10, `${sets()} checkpoints`)
  })
}
