// The model of logrotate and an application that it serves: numbers that move up, compression at once or a turn later,
// copytruncate, all of it at random between looks, reads, answers and kills. Every line that could be had is delivered;
// once, if the process lived on; and a repeat is the same entry, with the time that its line was first given.
import { copyFileSync, existsSync, renameSync, statSync, truncateSync, unlinkSync } from 'node:fs'
import t, { type Test } from 'tap'
import fc from '../support/properties.ts'
import { type Delivered, TailRig } from '../support/tail-rig.ts'

const KEPT = 4

class Model {
  readonly rig: TailRig
  /** Lines of the live file, then of those numbered 1 and up. */
  files: number[][] = [[]]
  readonly mayMiss = new Set<number>()
  /** Copied and truncated before anybody saw a line of the original: a kill makes them files from before our time. */
  readonly unseen = new Set<number>()
  /** The live file held something when it was last looked at. */
  isLiveSeen = false
  lineCount = 0
  restartCount = 0

  constructor(t: Test) {
    this.rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    this.rig.write('app.log', '')
  }

  write(count: number): void {
    let text = ''
    for (let i = 0; i < count; i++) {
      this.files[0]!.push(this.lineCount)
      text += `line ${this.lineCount++} ${'x'.repeat(this.lineCount % 40)}\n`
    }
    this.rig.append('app.log', text)
  }

  look(): void {
    this.rig.look()
    this.isLiveSeen = this.files[0]!.length > 0
  }

  pathOf(number: number): string {
    const plain = this.rig.path(`app.log.${number}`)
    return existsSync(plain) ? plain : `${plain}.gz`
  }

  /** Makes room for a new number 1; the oldest goes. */
  moveUp(): void {
    if (this.files.length > KEPT) {
      const path = this.pathOf(KEPT)
      const { ino } = statSync(path)
      const isHeld = this.rig.lineage.files.some((file) => file.fd >= 0 && file.ino === ino)
      const lines = this.files.pop()!
      if (!isHeld || path.endsWith('.gz')) for (const line of lines) this.mayMiss.add(line)
      unlinkSync(path)
    }
    for (let number = this.files.length - 1; number >= 1; number--) {
      const path = this.pathOf(number)
      renameSync(path, path.replace(`.log.${number}`, `.log.${number + 1}`))
    }
  }

  rotate(kind: 'create' | 'compress' | 'delay' | 'copy' | 'copyCompress'): void {
    this.moveUp()
    const isCopy = kind === 'copy' || kind === 'copyCompress'
    const live = this.rig.path('app.log')
    if (isCopy) {
      if (!this.isLiveSeen) for (const line of this.files[0]!) this.unseen.add(line)
      copyFileSync(live, `${live}.1`)
      truncateSync(live, 0)
    } else {
      renameSync(live, `${live}.1`)
      this.rig.write('app.log', '')
    }
    this.files.unshift([])
    this.isLiveSeen = false
    const number = kind === 'delay' ? 2 : 1
    if (kind !== 'create' && kind !== 'copy' && existsSync(`${live}.${number}`)) this.rig.compress(`app.log.${number}`)
  }

  restart(): void {
    // What was deleted, and held by the process alone.
    for (let line = 0; line < this.lineCount; line++) {
      if (!this.files.some((lines) => lines.includes(line))) this.mayMiss.add(line)
    }
    for (const line of this.unseen) this.mayMiss.add(line)
    this.rig.restart()
    this.restartCount++
  }
}

const weights = { write: 6, create: 2, compress: 1, delay: 1, look: 6, time: 4, fill: 8, ack: 5, again: 2, restart: 1 }
const kinds = Object.entries(weights).flatMap(([kind, weight]) => Array<string>(weight).fill(kind))
const step = (...more: string[]) =>
  fc.record({ kind: fc.constantFrom(...kinds, ...more), count: fc.integer({ min: 1, max: 20 }) })

const runs = Number(process.env.MODEL_RUNS ?? 200)

for (const [name, more] of [
  ['renamed', []],
  ['copied and truncated', ['copy', 'copy', 'copyCompress']],
] as const) {
  t.test(`property: ${name}`, async (t) => {
    t.setTimeout(60_000 + 100 * runs)
    const check = fc.asyncProperty(fc.array(step(...more), { minLength: 5, maxLength: 80 }), async (steps) => {
      const model = new Model(t)
      const { rig } = model
      const sink = rig.sink()
      let copies = 0
      for (const { kind, count } of steps) {
        if (kind === 'write') model.write(count)
        else if (kind === 'look') model.look()
        else if (kind === 'time') rig.clock.monotonicMs += count * 100
        else if (kind === 'fill') {
          sink.recordsMax = sink.pending.length + count
          if (sink.fill() === 'wait') await new Promise((resolve) => setTimeout(resolve, 2))
        } else if (kind === 'ack') sink.ack()
        else if (kind === 'again') sink.again()
        else if (kind === 'restart') model.restart()
        else {
          model.rotate(kind as 'create' | 'compress' | 'delay' | 'copy' | 'copyCompress')
          if (kind.startsWith('copy')) copies++
        }
      }
      sink.recordsMax = Number.POSITIVE_INFINITY
      await rig.run(15_000)
      judge(model, sink.delivered, copies)
      rig.close()
      rig.sinks.length = 0
    })
    await fc.assert(check, { numRuns: runs, endOnFailure: runs > 1000 })
  })
}

function judge(
  { lineCount, mayMiss, restartCount, rig }: Model,
  delivered: readonly Delivered[],
  copies: number,
): void {
  const entries = new Map<number, Delivered>()
  let before = -1
  for (const entry of delivered) {
    if (entry.marks.includes('gap')) continue
    const number = Number(/^line (\d+) x*$/.exec(entry.text)?.[1] ?? Number.NaN)
    if (Number.isNaN(number)) throw new Error(`what is this: ${entry.text}`)
    const known = entries.get(number)
    if (known === undefined) {
      // Of a copy that was made, and emptied, before anybody saw the original nobody can know that it is the older one.
      if (restartCount === 0 && copies === 0 && number < before) throw new Error(`line ${number} after ${before}`)
      before = Math.max(before, number)
      entries.set(number, entry)
    } else if (restartCount === 0 && copies < 2) throw new Error(`line ${number} twice`)
    else if (copies === 0 && mayMiss.size === 0 && known.time !== entry.time) throw new Error(`line ${number} differs`)
  }
  for (let number = 0; number < lineCount; number++) {
    if (!entries.has(number) && !mayMiss.has(number)) throw new Error(`line ${number} is missing`)
  }
  if (mayMiss.size === 0 && copies < 2 && rig.told('bytes.lost').length > 0)
    throw new Error('something is said to be lost')
}
