// How often lineages are looked at, on a virtual clock on which a look takes time.
import t from 'tap'
import { Looks } from '../../src/agent/looks.ts'
import type { Ration } from '../../src/agent/ration.ts'
import type { Tailed } from '../../src/agent/tailed.ts'
import { CpuAllowance } from '../../src/core/cpu-allowance.ts'
import { silentEvents } from '../../src/core/events.ts'
import type { Clock } from '../../src/ports/clock.ts'

const LOOK_MS = 0.02
const SECONDS = 30
/** As the agent does it where CPU is short: a breath within a round, and no round sooner than that after the one before. */
const [BREATH_MS, LOOK_MS_MIN] = [20, 25]

/** A thousand logs that are always written, five of which are rotated every 100 ms; what they were looked at. */
function node(millicores: number | null) {
  let [now, usedMs] = [1000, 0]
  const looked = new Map<string, number[]>()
  const allowance =
    millicores === null
      ? null
      : new CpuAllowance(
          millicores,
          () => now,
          () => usedMs,
        )
  const tailed = new Map<string, Tailed>()
  for (let i = 0; i < 1000; i++) {
    const isFast = i % 200 === 199
    const name = `${isFast ? 'fast' : 'slow'}-${i}`
    looked.set(name, [])
    const lineage = {
      files: [],
      asleep: false,
      starved: false,
      waitingSince: null,
      rotationIntervalMs: isFast ? 100 : Number.POSITIVE_INFINITY,
      get rotatedAt() {
        return isFast ? now - 50 : Number.NEGATIVE_INFINITY
      },
      get activeAt() {
        return now
      },
      look() {
        now += LOOK_MS
        usedMs += LOOK_MS
        looked.get(name)!.push(now)
      },
    }
    const lookAt = Number.NEGATIVE_INFINITY
    tailed.set(name, { lineage, readers: new Map(), lookAt, unwatch: null } as unknown as Tailed)
  }
  const ration = { mustWait: () => false } as unknown as Ration
  const clock = { monotonic: () => now } as Clock
  const deps = { clock, events: silentEvents, watchFile: undefined, ration, once: false, onChange: () => {} }
  const looks = new Looks(tailed, { ...deps, allowance })
  const run = (ms: number) => {
    for (const end = now + ms; now < end; ) {
      const next = looks.go(now)
      now += next === null ? BREATH_MS : Math.max(LOOK_MS_MIN, next - now)
    }
  }
  run(5000) // until it is known what a look costs
  for (const each of looked.values()) each.length = 0
  const before = usedMs
  run(SECONDS * 1000)
  const longest = (kind: string) => {
    let most = 0
    for (const [name, at] of looked) {
      if (name.startsWith(kind)) for (let i = 1; i < at.length; i++) most = Math.max(most, at[i]! - at[i - 1]!)
    }
    return most
  }
  return { msPerSecond: (usedMs - before) / SECONDS, fastMs: longest('fast'), slowMs: longest('slow') }
}

t.test('without an allowance all are looked at five times a second', async (t) => {
  const { slowMs, fastMs } = node(null)
  t.ok(slowMs < 300, `${slowMs} ms`)
  t.ok(fastMs < 60, `${fastMs} ms`)
})

t.test('an eighth of an allowance, and those that rotate fast are not put off for it', async (t) => {
  const { msPerSecond, slowMs, fastMs } = node(200)
  // Beside them, five that are looked at forty times a second.
  t.ok(msPerSecond < 200 / 8 + 5 * 40 * LOOK_MS + 1, `${msPerSecond} ms in a second`)
  t.ok(slowMs > 600 && slowMs < 1100, `${slowMs} ms`)
  t.ok(fastMs < 60, `${fastMs} ms`)
})

t.test('nobody is put off for more than two seconds, however small the allowance', async (t) => {
  const { slowMs } = node(20)
  t.ok(slowMs > 1900 && slowMs < 2100, `${slowMs} ms`)
})
