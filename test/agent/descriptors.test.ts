// More files than descriptors: each gets its turn, what happens to a file while nobody holds it is found out, and what
// only a descriptor holds is not let go. On real files; the ration is counted where files are opened.
import { copyFileSync, readFileSync, renameSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { FileSystem } from '../../src/ports/fs.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { COPIES_MAX, RESERVED_DESCRIPTORS } from '../../src/tail/descriptors.ts'
import { WatchedReads } from '../support/watched-reads.ts'
import { lokiConfig, stdoutConfig, texts, World, type WorldOptions } from './world.ts'

const FILES_MAX = 6
const PODS = 20

/** A world whose agent may open FILES_MAX files at once, and who watches that it does not open more. */
class ScarceWorld extends World {
  readonly reads: WatchedReads
  openMax = 0

  constructor(t: Test, options: WorldOptions = {}) {
    const reads = new WatchedReads(realFileSystem.reads)
    const fs: FileSystem = { ...realFileSystem, reads }
    const { sinks = [lokiConfig()] } = options
    const others = sinks.reduce((sum, sink) => sum + (sink.type === 'stdout' ? 1 : 4), RESERVED_DESCRIPTORS)
    super(t, { ...options, sinks, fs, descriptors: FILES_MAX + others })
    this.reads = reads
    reads.fault = () => {
      this.openMax = Math.max(this.openMax, reads.openFiles.size)
      return null
    }
  }

  /** The ration was kept to, and was needed. */
  keptTo(t: Test, more = 0): void {
    t.ok(this.openMax <= FILES_MAX + more, `at most ${FILES_MAX} files are open at once: ${this.openMax}`)
    t.ok(this.openMax >= FILES_MAX - 1, `no fewer than there may be: ${this.openMax}`)
    t.strictSame(this.reads.misuses, [])
  }

  get pods(): string[] {
    return Array.from({ length: PODS }, (_, i) => `p${i}`)
  }

  /** So many lines to each pod. */
  say(prefix: string, count: number): void {
    for (const pod of this.pods) this.write(pod, texts(`${prefix} ${pod}`, count))
  }

  rotate(pod: string, stamp: number): string {
    const path = `${this.podPath(pod)}.20261121-08${String(stamp).padStart(4, '0')}`
    renameSync(this.podPath(pod), path)
    this.raw(this.podPath(pod), '')
    return path
  }
}

function compress(path: string): void {
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)))
  unlinkSync(path)
}

t.test('more files than descriptors: each line once, round after round', async (t) => {
  const world = new ScarceWorld(t)
  world.say('first', 10)
  world.start()
  await world.drain()
  for (let round = 0; round < 5; round++) {
    world.say(`round ${round}`, 3)
    await world.clock.advance(700)
  }
  await world.drain()
  world.exact()
  world.accounted()
  t.strictSame(world.events.of('file.error'), [])
  world.keptTo(t)
})

t.test('without a drain, by the rounds of the agent alone', async (t) => {
  const world = new ScarceWorld(t)
  world.say('first', 10)
  world.start()
  await world.clock.advance(20_000)
  world.exact()
  world.say('second', 10)
  await world.clock.advance(20_000)
  world.exact()
  world.accounted()
  t.equal(world.consumer().lagBytes, 0)
  world.keptTo(t)
})

t.test('rotated while nobody holds it: renamed, twice, compressed', async (t) => {
  const world = new ScarceWorld(t)
  world.say('one', 10)
  world.start()
  await world.clock.advance(20_000)
  for (const [i, pod] of world.pods.entries()) {
    world.write(pod, texts(`two ${pod}`, 5))
    const first = world.rotate(pod, 1)
    world.write(pod, texts(`three ${pod}`, 5))
    if (i % 3 === 0) continue
    world.rotate(pod, 2)
    world.write(pod, texts(`four ${pod}`, 5))
    if (i % 3 === 1) compress(first)
  }
  await world.clock.advance(60_000)
  // Decompression takes time of this machine's, not of the world's clock: some may have waited for it all the while.
  await world.drain()
  world.exact()
  world.settled()
  t.strictSame(world.events.of('bytes.lost'), [])
  for (const pod of world.pods) {
    const expected = world.written.get(pod)?.map(({ text }) => text)
    t.strictSame(world.loki.lines({ pod }), expected, `${pod}: in order`)
  }
  world.keptTo(t)
})

t.test('copied and truncated while nobody holds it', async (t) => {
  const world = new ScarceWorld(t)
  world.say('one', 10)
  world.start()
  await world.clock.advance(20_000)
  for (const pod of world.pods) {
    world.write(pod, texts(`two ${pod}`, 5))
    copyFileSync(world.podPath(pod), `${world.podPath(pod)}.20261121-080001`)
    truncateSync(world.podPath(pod))
    world.write(pod, texts(`three ${pod}`, 2))
  }
  await world.clock.advance(60_000)
  world.exact()
  world.settled()
  t.strictSame(world.events.of('bytes.lost'), [])
  world.keptTo(t, COPIES_MAX)
})

t.test('empty files, and what comes to them later; startAt: end', async (t) => {
  const world = new ScarceWorld(t, {})
  world.options.sources = [world.podSource({ startAt: 'end' })]
  for (const pod of world.pods) world.raw(world.podPath(pod), '')
  world.start()
  await world.clock.advance(20_000)
  world.say('one', 3)
  await world.clock.advance(20_000)
  world.exact()
  for (const pod of world.pods) world.rotate(pod, 1)
  await world.clock.advance(20_000)
  world.say('two', 3)
  await world.clock.advance(20_000)
  world.exact()
  world.settled()
  world.keptTo(t)
})

t.test('a line that is open for long, between lines of the other stream', async (t) => {
  const world = new ScarceWorld(t)
  const row = (text: string) => `2026-11-21T08:00:00.000000001Z ${text}\n`
  for (const pod of world.pods) world.raw(world.podPath(pod), row('stdout P begun '))
  for (const pod of world.pods) {
    world.raw(world.podPath(pod), row(`stderr F between ${pod}`))
  }
  world.start()
  await world.clock.advance(60_000)
  for (const pod of world.pods) t.strictSame(world.loki.lines({ pod }), [`between ${pod}`])
  for (const pod of world.pods) world.raw(world.podPath(pod), row(`stdout F and ended ${pod}`))
  await world.clock.advance(60_000)
  for (const pod of world.pods) {
    world.written.set(pod, [
      { text: `between ${pod}`, stream: 'stderr' },
      { text: `begun and ended ${pod}`, stream: 'stdout' },
    ])
  }
  world.exact()
  world.settled()
  t.equal(world.ledger().acked.lines, 3 * PODS, 'each row was counted once')
  world.keptTo(t)
})

t.test('deleted behind a stopped sink: what is held is not let go, and what was not held is told', async (t) => {
  const world = new ScarceWorld(t)
  world.say('one', 10)
  world.start()
  await world.clock.advance(20_000)
  world.loki.fault = () => ({ kind: 'answer', status: 503, store: 'none' })
  world.say('two', 5)
  await world.clock.advance(60_000)
  const held = new Set(world.reads.openFiles.values())
  t.equal(held.size, FILES_MAX - 1, 'one is left for a rotation')
  for (const pod of world.pods) {
    const old = world.rotate(pod, 1)
    world.write(pod, texts(`three ${pod}`, 5))
    unlinkSync(old)
  }
  await world.clock.advance(60_000)
  world.loki.fault = () => null
  await world.clock.advance(120_000)
  let kept = 0
  for (const pod of world.pods) {
    const lines = world.loki.lines({ pod })
    const isHole = (line: string) => line.startsWith('taffrail: lost')
    const written = world.written.get(pod)?.map(({ text }) => text) ?? []
    if (lines.some(isHole)) {
      t.ok(!held.has(world.podPath(pod)), `${pod} was not held`)
      t.match(lines.find(isHole), 'while there was no descriptor for it')
      t.strictSame(
        lines.filter((line) => !isHole(line)),
        written.filter((line) => !line.startsWith('two')),
      )
    } else {
      kept++
      t.strictSame(lines, written, `${pod}: all of it`)
    }
  }
  t.ok(kept >= held.size, `${kept} were held`)
  t.equal(world.consumer().lagBytes, 0)
  world.keptTo(t)
})

t.test('--once reads all of them, and two sinks', async (t) => {
  const world = new ScarceWorld(t, { sinks: [lokiConfig(), stdoutConfig()] })
  world.say('one', 10)
  for (const pod of world.pods) world.rotate(pod, 1)
  world.say('two', 10)
  world.start({ once: true })
  await world.drain()
  world.exact()
  t.equal(world.output.text.split('\n').length - 1, 20 * PODS)
  world.keptTo(t)
})

t.test('told to stop, it delivers what is in files that it does not hold', async (t) => {
  const world = new ScarceWorld(t)
  world.say('one', 10)
  world.start()
  await world.clock.advance(20_000)
  world.say('two', 10)
  t.equal(await world.clock.until(world.agent.finish(new AbortController().signal)), true)
  t.equal(await world.clock.until(world.agent.stop()), true)
  world.exact()
  world.keptTo(t)
})

t.test('killed amid the rounds', async (t) => {
  const world = new ScarceWorld(t)
  world.say('one', 10)
  world.start()
  for (let kill = 0; kill < 6; kill++) {
    await world.clock.advance(1500 + 700 * kill)
    world.say(`more ${kill}`, 3)
    world.kill()
    world.reads.openFiles.clear() // the kernel closes them
    world.start()
  }
  await world.clock.advance(60_000)
  world.exact()
  world.settled()
  world.keptTo(t)
})

t.test('pods that are gone are forgotten, asleep or not', async (t) => {
  const world = new ScarceWorld(t)
  world.say('one', 10)
  world.start()
  await world.clock.advance(20_000)
  for (const pod of world.pods.slice(2)) unlinkSync(world.podPath(pod))
  await world.clock.advance(60_000)
  t.equal(world.agent.tailed.size, 2)
  world.exact()
  world.keptTo(t)
})
