// A model of what a kubelet, a container and an operator may do to the files, interleaved at random with what the agent
// does: looks, reads, answers, kills. Nothing is looked at between two deeds unless the model says so. Every line that
// could be had is delivered; once, if the process lived on; and a repeat is the same entry.
import { statSync } from 'node:fs'
import t, { type Test } from 'tap'
import fc from '../support/properties.ts'
import { type Delivered, row, TailRig } from '../support/tail-rig.ts'

interface ModelFile {
  name: string
  /** Numbers of its lines. */
  lines: number[]
  deleted: boolean
  compressed: boolean
  restart: number
}

class Model {
  readonly rig: TailRig
  readonly files: ModelFile[] = [{ name: '0.log', lines: [], deleted: false, compressed: false, restart: 0 }]
  /** Lines that nobody could have read. */
  readonly mayMiss = new Set<number>()
  lineCount = 0
  rotationCount = 0
  restartCount = 0
  rotatedAtMs = Number.NEGATIVE_INFINITY

  constructor(t: Test) {
    this.rig = new TailRig(t)
    this.rig.write('0.log', '')
  }

  get live(): ModelFile {
    return this.files.at(-1)!
  }

  get rotated(): ModelFile[] {
    return this.files.filter((file) => file !== this.live && !file.deleted)
  }

  write(file: ModelFile, count: number): void {
    let text = ''
    for (let i = 0; i < count; i++) {
      const number = this.lineCount++
      file.lines.push(number)
      text += `${row(number * 1000, `line ${number} ${'x'.repeat(number % 50)}`, 'F', number % 3 === 0 ? 'stderr' : 'stdout')}\n`
    }
    this.rig.append(file.name, text)
  }

  /** Lines that come to the file that was just renamed. */
  late(count: number): void {
    const file = this.files.at(-2)
    const isFresh = this.rig.clock.monotonicMs - this.rotatedAtMs < 700
    if (file !== undefined && isFresh && !file.deleted && !file.compressed) this.write(file, count)
  }

  rotate(): void {
    const { live } = this
    const name = `${live.restart}.log.20261121-${String(80_000 + ++this.rotationCount)}`
    this.rig.rename(live.name, name)
    live.name = name
    this.begin(live.restart)
  }

  next(): void {
    this.begin(this.live.restart + 1)
  }

  begin(restart: number): void {
    this.files.push({ name: `${restart}.log`, lines: [], deleted: false, compressed: false, restart })
    this.rig.write(this.live.name, '')
    this.rotatedAtMs = this.rig.clock.monotonicMs
  }

  /** The kubelet leaves the newest rotated file as it is. */
  compress(): void {
    const file = this.rotated.slice(0, -1).find((each) => !each.compressed && each.name.includes('-'))
    if (file === undefined) return
    this.rig.compress(file.name)
    file.name += '.gz'
    file.compressed = true
  }

  delete(): void {
    const [file] = this.rotated
    if (file === undefined) return
    const { ino } = statSync(this.rig.path(file.name))
    // Of a compressed file the plain form may be what is open.
    const isHeld = this.rig.lineage.files.some((each) => each.fd >= 0 && (each.ino === ino || file.compressed))
    if (!isHeld || file.compressed) this.miss(file)
    this.rig.unlink(file.name)
    file.deleted = true
  }

  /** The process is killed: what it alone still held is gone. */
  restart(): void {
    for (const file of this.files) if (file.deleted) this.miss(file)
    this.rig.restart()
    this.restartCount++
  }

  miss(file: ModelFile): void {
    for (const line of file.lines) this.mayMiss.add(line)
  }
}

type Step = { kind: string; count: number; acked: (0 | 1)[] }

const weights = {
  write: 6,
  late: 2,
  rotate: 3,
  next: 1,
  compress: 2,
  delete: 2,
  look: 6,
  time: 4,
  fill: 8,
  ack: 5,
  again: 2,
  restart: 1,
}
const kinds = Object.entries(weights).flatMap(([kind, weight]) => Array<string>(weight).fill(kind))
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  count: fc.integer({ min: 1, max: 20 }),
  acked: fc.constantFrom<(0 | 1)[]>([], [0], [1], [0, 1]),
})

const runs = Number(process.env.MODEL_RUNS ?? 250)

t.test('property: whatever happens in whatever order', async (t) => {
  t.setTimeout(60_000 + 100 * runs)
  const check = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 80 }), async (steps) => {
    const model = new Model(t)
    const { rig } = model
    const sink = rig.sink()
    for (const { kind, count, acked } of steps) {
      if (kind === 'write') model.write(model.live, count)
      else if (kind === 'late') model.late(count)
      else if (kind === 'rotate') model.rotate()
      else if (kind === 'next') model.next()
      else if (kind === 'compress') model.compress()
      else if (kind === 'delete') model.delete()
      else if (kind === 'look') rig.look()
      else if (kind === 'time') rig.clock.monotonicMs += count * 100
      else if (kind === 'fill') {
        sink.recordsMax = sink.pending.length + count
        if (sink.fill() === 'wait') await new Promise((resolve) => setTimeout(resolve, 2))
      } else if (kind === 'ack') sink.ack()
      else if (kind === 'again') sink.again(acked)
      else if (kind === 'restart') model.restart()
    }
    sink.recordsMax = Number.POSITIVE_INFINITY
    await rig.run(15_000)
    judge(model, sink.delivered)
    const { read, acked } = sink.ledger
    if (model.mayMiss.size === 0 && model.restartCount === 0 && read.lines !== model.lineCount) {
      throw new Error(`${read.lines} of ${model.lineCount} lines in the ledger`)
    }
    if (read.lines !== acked.lines) throw new Error(`${acked.lines} of ${read.lines} lines acknowledged`)
    rig.close()
    rig.sinks.length = 0
  })
  await fc.assert(check, { numRuns: runs, endOnFailure: runs > 1000 })
})

function judge({ files, mayMiss, restartCount, rig }: Model, delivered: readonly Delivered[]): void {
  const entries = new Map<number, Delivered>()
  const order: number[] = []
  for (const entry of delivered) {
    if (entry.marks.includes('gap')) {
      if (mayMiss.size === 0) throw new Error(`a hole where none can be: ${entry.text}`)
      continue
    }
    const number = Number(/^line (\d+) x*$/.exec(entry.text)?.[1] ?? Number.NaN)
    if (Number.isNaN(number)) throw new Error(`what is this: ${entry.text}`)
    const before = entries.get(number)
    if (before === undefined) {
      entries.set(number, entry)
      order.push(number)
    } else if (restartCount === 0) throw new Error(`line ${number} twice`)
    else if (before.time !== entry.time || before.offset !== entry.offset) throw new Error(`line ${number} differs`)
  }
  const all = files.flatMap((file) => file.lines)
  for (const number of all) {
    if (!entries.has(number) && !mayMiss.has(number)) throw new Error(`line ${number} is missing`)
  }
  // In order per source stream, as far as no kill made it begin again.
  for (const isErr of restartCount === 0 ? [true, false] : []) {
    const mine = (number: number) => (number % 3 === 0) === isErr && entries.has(number)
    const wanted = all.filter(mine).join()
    const got = order.filter(mine).join()
    if (wanted !== got) throw new Error(`in the order ${got}, not ${wanted}`)
  }
  if (mayMiss.size === 0 && rig.told('bytes.lost').length > 0) throw new Error('something is said to be lost')
}
