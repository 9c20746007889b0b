// A directory that never stands still: files are renamed, compressed and begun between any two system calls of a look, so
// that names vanish after they were listed, lead elsewhere, and files are met after their successors. All lines come, in order.
import { closeSync, openSync, writeSync } from 'node:fs'
import t, { type Test } from 'tap'
import { seeded } from '../support/process-logs.ts'
import { messages, row, rows, TailRig } from '../support/tail-rig.ts'

/** Steps of the writer in one look, and the reading after it. */
const STEPS_MAX = 8

/** A container that writes and is rotated as the kubelet does it, a step at a time. */
class Writer {
  lines = 0
  rotations = 0
  readonly #rig: TailRig
  readonly #random: () => number
  #fd: number
  #renamed: string | null = null
  #steps: (() => void)[] = []

  constructor(rig: TailRig, random: () => number) {
    this.#rig = rig
    this.#random = random
    this.#fd = openSync(rig.path('0.log'), 'a')
    this.#write()
  }

  step(): void {
    if (this.#steps.length === 0) this.#steps = this.#rotation()
    this.#steps.shift()?.()
  }

  /** Ends a rotation that is under way. */
  close(): void {
    while (this.#steps.length > 0) this.step()
    closeSync(this.#fd)
  }

  #rotation(): (() => void)[] {
    const before = this.#renamed
    const isCompressed = before !== null && this.#random() < 0.9
    return [
      () => this.#write(),
      ...(isCompressed ? [() => this.#rig.compress(before)] : []),
      () => {
        this.#renamed = `0.log.20261121-${100_000 + ++this.rotations}`
        this.#rig.rename('0.log', this.#renamed)
      },
      ...(this.#random() < 0.5 ? [() => this.#write()] : []),
      () => {
        closeSync(this.#fd)
        this.#fd = openSync(this.#rig.path('0.log'), 'a')
      },
      () => this.#write(),
    ]
  }

  #write(): void {
    const count = 1 + Math.floor(this.#random() * 3)
    writeSync(this.#fd, rows(this.lines, this.lines + count))
    this.lines += count
  }
}

/** `stepChance`: that the writer does something between two system calls. */
async function follow(t: Test, seed: number, stepChance: number): Promise<void> {
  const random = seeded(seed)
  const upTo = (max: number) => Math.floor(random() * max)
  const rig = new TailRig(t)
  const sink = rig.sink()
  const writer = new Writer(rig, random)
  // Each look meets more files, and so makes more calls: without a bound the writer would outrun it.
  let stepsLeft = 0
  rig.fs.fault = () => {
    while (stepsLeft > 0 && random() < stepChance) {
      stepsLeft--
      writer.step()
    }
    if (random() < 0.01) rig.clock.monotonicMs += upTo(300)
    return null
  }
  let looksWithoutSink = 0
  for (let look = 0; look < 120; look++) {
    rig.clock.monotonicMs += 25 + upTo(random() < 0.1 ? 2000 : 200)
    stepsLeft = STEPS_MAX
    rig.look()
    if (random() < 0.1) looksWithoutSink = upTo(40)
    if (looksWithoutSink-- <= 0) await sink.drain()
    writer.step()
  }
  rig.fs.fault = () => null
  writer.close()
  await rig.run(20_000)
  t.strictSame(sink.texts, messages(0, writer.lines), `seed ${seed}, ${writer.rotations} rotations`)
  rig.close()
  rig.sinks.length = 0
}

for (const [stepChance, seeds] of [
  [0.02, 6],
  [0.05, 4],
] as const) {
  t.test(`something moves at ${stepChance} of the system calls`, async (t) => {
    for (let seed = 1; seed <= seeds; seed++) await follow(t, seed, stepChance)
  })
}

t.test('a new file is read once to be told from all others, however many there are', async (t) => {
  const rig = new TailRig(t)
  rig.sink()
  // Nothing is acknowledged: all of them are kept. Their first lines have all lengths, and the new one has the longest.
  for (let i = 0; i < 30; i++) rig.write(`0.log.20261121-${80_000 + i}`, `${row(i, 'x'.repeat(i + 1))}\n`)
  rig.look()
  rig.write('0.log.20261121-90000', `${row(100, 'y'.repeat(100))}\n`)
  let reads = 0
  rig.fs.fault = (operation, path) => {
    if (operation === 'read' && path.endsWith('90000')) reads++
    return null
  }
  rig.look()
  t.equal(rig.lineage.files.length, 31)
  // Its head, the bytes that others' heads are compared with, and its end: not once for each of the others.
  t.ok(reads > 0 && reads < 10, `${reads} reads`)
})
