// Containers that write as a runtime does, with a kubelet that rotates, compresses and restarts them, below a directory of
// the test's: `pods/NS_POD_UID/CONTAINER/N.log` and links to it in `containers/`. All that happens is drawn from a seed,
// and a Judge knows what was written. Nothing is ever deleted, so that whatever is missing in the end was lost.
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import type { OnEntry } from '../../src/demo/loki-store.ts'
import { sampleLine } from '../../src/demo/sample-line.ts'
import { Verifier, type VerifierReport } from '../../src/demo/verifier.ts'

export type Random = () => number

/** Numbers in [0, 1), the same ones for the same seed (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const between = (random: Random, min: number, max: number) => min + Math.floor(random() * (max - min + 1))

/** The seed of a test, or the one in TAFFRAIL_SEED. */
export function seedOf(fallback: number): number {
  return Number(process.env.TAFFRAIL_SEED ?? fallback)
}

/** Lines that are said again and again: only their times tell one from the next. */
const EQUAL_LINES = ['heartbeat', 'x']

/** Knows what was written and sees what a store accepts. Numbered lines go to the Verifier, equal ones are counted. */
export class Judge {
  readonly verifier = new Verifier()
  readonly #written = new Map<string, number>()
  readonly #stored = new Map<string, Set<string>>()
  #keyOf = new WeakMap<object, string>()

  /** The receiver's `onEntry`. */
  readonly see: OnEntry = (labels, timestampNs, line, metadata, tenant) => {
    const text = line.length < 20 ? line.toString() : ''
    if (!EQUAL_LINES.includes(text)) return this.verifier.see(labels, timestampNs, line, metadata, tenant)
    let stream = this.#keyOf.get(labels)
    if (stream === undefined) {
      stream = labels.pod === undefined ? `${labels.filename}` : `${labels.pod}/${labels.container}/${labels.stream}`
      this.#keyOf.set(labels, stream)
    }
    const key = `${stream} ${text}`
    let stored = this.#stored.get(key)
    if (stored === undefined) this.#stored.set(key, (stored = new Set()))
    stored.add(`${timestampNs} ${JSON.stringify(metadata)}`)
  }

  expectEqual(stream: string, text: string): void {
    const key = `${stream} ${text}`
    this.#written.set(key, (this.#written.get(key) ?? 0) + 1)
  }

  /** How often each equal line was written, for a judge elsewhere. */
  get written(): [key: string, lines: number][] {
    return [...this.#written]
  }

  /** What another judge was told. */
  expectWritten(written: readonly [key: string, lines: number][]): void {
    for (const [key, lines] of written) this.#written.set(key, lines)
  }

  get complete(): boolean {
    for (const [key, written] of this.#written) if ((this.#stored.get(key)?.size ?? 0) < written) return false
    return this.verifier.report().missing === 0
  }

  /** What is wrong; all zeros and nothing when every line is there once, whole and in order. */
  verdict(): Pick<VerifierReport, 'missing' | 'duplicates' | 'corrupt' | 'outOfOrder' | 'unexpected'> & {
    examples: string[]
  } {
    const { missing, duplicates, corrupt, outOfOrder, unexpected, examples, missingRanges } = this.verifier.report()
    const told = [...examples, ...Object.entries(missingRanges).map((each) => `missing ${JSON.stringify(each)}`)]
    for (const key of new Set([...this.#written.keys(), ...this.#stored.keys()])) {
      const written = this.#written.get(key) ?? 0
      const stored = this.#stored.get(key)?.size ?? 0
      if (written !== stored) told.push(`${key}: written ${written} times, stored ${stored}`)
    }
    return { missing, duplicates, corrupt, outOfOrder, unexpected, examples: told }
  }
}

export const NOTHING_WRONG = { missing: 0, duplicates: 0, corrupt: 0, outOfOrder: 0, unexpected: 0, examples: [] }

const STREAMS = ['stdout', 'stderr'] as const
/** Rotation by the clock, as a kubelet with a size limit does it to a busy container. */
export interface RotationPlan {
  everyMs: number
  /** So many files are kept, the live one included; all when left out. */
  filesMax?: number
}

/** A rotation is not begun before so many rows. */
const ROTATE_ROWS_MIN = 60
/** Times are in the past by this, so that the nanoseconds that are counted up never get ahead of the clock. */
const BEHIND_MS = 2000

export class WritingContainer {
  readonly directory: string
  readonly pod: string
  /** Numbers of the lines that were begun, by stream. */
  readonly sequences = [0, 0]
  restarts = 0
  rotations = 0
  readonly #root: string
  readonly #judge: Judge
  readonly #random: Random
  readonly #whole: boolean
  #fd = -1
  #rows = 0
  #out: Buffer[] = []
  /** The end of a row that was torn; it comes first in the next write, and before the file is left. */
  #torn: Buffer = Buffer.alloc(0)
  /** Pieces of a long line that are still to be written, by stream. */
  readonly #pieces: [Buffer[], Buffer[]] = [[], []]
  #ms = 0
  #nanos = 0
  /** Acts until the writer reopens its file; null while it is not rotated. */
  #reopenIn: number | null = null
  #rotated: string | null = null

  readonly #plan: RotationPlan | null
  #rotateAt = 0

  /** `whole`: each write ends with the end of a line. With a `plan` it is rotated by that, and never restarted. */
  constructor(
    root: string,
    pod: string,
    judge: Judge,
    random: Random,
    whole = false,
    plan: RotationPlan | null = null,
  ) {
    this.#root = root
    this.#judge = judge
    this.#random = random
    this.#whole = whole
    this.#plan = plan
    this.pod = pod
    this.directory = `${root}/pods/ns_${pod}_uid-${pod}/app`
    mkdirSync(this.directory, { recursive: true })
    mkdirSync(`${root}/containers`, { recursive: true })
    this.#open(true)
  }

  /** Lines that were begun. */
  get lines(): number {
    return this.sequences[0]! + this.sequences[1]!
  }

  /** One thing that happens: nearly always a few rows; now and then a rotation or a restart. */
  act(): void {
    const chance = this.#random()
    if (this.#reopenIn !== null) {
      if (this.#reopenIn-- === 0) this.reopen()
    } else if (this.#plan !== null) this.#rotateByPlan(this.#plan)
    else if (chance < 0.03 && this.#rows >= ROTATE_ROWS_MIN) this.rotate()
    else if (chance < 0.035) this.restart()
    this.write(between(this.#random, 1, 15))
  }

  write(rows: number): void {
    this.#flushTorn()
    for (let i = 0; i < rows; i++) this.#row()
    if (this.#whole) this.finish()
    else this.#flush(this.#random() < 0.2)
  }

  /** Renames the live file as the kubelet does, and compresses what was renamed before. The writer does not know yet. */
  rotate(): void {
    if (this.#rotated !== null) compress(this.#rotated)
    this.#rotated = `${this.#live}.20261121-${String(100_000 + ++this.rotations)}`
    renameSync(this.#live, this.#rotated)
    this.#reopenIn = between(this.#random, 0, 4)
  }

  #rotateByPlan({ everyMs, filesMax }: RotationPlan): void {
    const now = Date.now()
    if (this.#rotateAt === 0) this.#rotateAt = now + everyMs
    if (now < this.#rotateAt) return
    this.#rotateAt = now + everyMs
    this.rotate()
    if (filesMax === undefined) return
    const files = readdirSync(this.directory)
    const rotated = files.filter((name) => /\d{6}(\.gz)?$/.test(name)).sort()
    for (const name of rotated.slice(0, Math.max(0, rotated.length - filesMax + 1)))
      unlinkSync(`${this.directory}/${name}`)
  }

  reopen(): void {
    this.#flushTorn()
    closeSync(this.#fd)
    this.#reopenIn = null
    this.#open(false)
  }

  /** The container ends, perhaps in the middle of a line that then is whole as it is, and another one begins. */
  restart(): void {
    this.finish()
    if (this.#random() < 0.5) {
      const line = this.#nextLine(0, 90)
      this.#push(0, 'P', line)
      this.#flush(false)
    }
    closeSync(this.#fd)
    this.restarts++
    this.#reopenIn = null
    this.#rotated = null
    this.#open(true)
  }

  /** Ends all lines that are begun. */
  finish(): void {
    this.#flushTorn()
    for (const stream of [0, 1] as const) while (this.#pieces[stream].length > 0) this.#piece(stream)
    this.#flush(false)
  }

  close(): void {
    this.finish()
    closeSync(this.#fd)
  }

  get #live(): string {
    return `${this.directory}/${this.restarts}.log`
  }

  #open(linked: boolean): void {
    this.#fd = openSync(this.#live, 'a')
    this.#rows = 0
    if (!linked) return
    const id = this.restarts.toString(16).padStart(64, '0')
    symlinkSync(this.#live, `${this.#root}/containers/${this.pod}_ns_app-${id}.log`)
  }

  #row(): void {
    const stream = this.#random() < 0.6 ? 0 : 1
    if (this.#pieces[stream].length > 0) {
      this.#piece(stream)
      return
    }
    const chance = this.#random()
    if (chance < 0.15) {
      const text = EQUAL_LINES[between(this.#random, 0, EQUAL_LINES.length - 1)] as string
      this.#judge.expectEqual(`${this.pod}/app/${STREAMS[stream]}`, text)
      this.#push(stream, 'F', Buffer.from(text))
    } else if (chance < 0.19) {
      const line = this.#nextLine(stream, between(this.#random, 300, 9000))
      const size = between(this.#random, 100, 4096)
      for (let at = 0; at < line.length; at += size) this.#pieces[stream].push(line.subarray(at, at + size))
      this.#piece(stream)
    } else this.#push(stream, 'F', this.#nextLine(stream, between(this.#random, 20, 220)))
  }

  #piece(stream: 0 | 1): void {
    const piece = this.#pieces[stream].shift() as Buffer
    this.#push(stream, this.#pieces[stream].length > 0 ? 'P' : 'F', piece)
  }

  #nextLine(stream: 0 | 1, bytes: number): Buffer {
    const writer = `${this.pod}/${STREAMS[stream]}`
    const sequence = (this.sequences[stream]! += 1)
    this.#judge.verifier.expect(writer, sequence)
    return sampleLine(writer, sequence, bytes)
  }

  #push(stream: 0 | 1, tag: 'P' | 'F', message: Buffer): void {
    this.#rows++
    this.#out.push(Buffer.from(`${this.#time()} ${STREAMS[stream]} ${tag} `), message, Buffer.from('\n'))
  }

  /** Never earlier than the row before, and the same in one of three. */
  #time(): string {
    const ms = Date.now() - BEHIND_MS
    if (ms > this.#ms) {
      this.#ms = ms
      this.#nanos = 0
    } else if (this.#random() < 0.66) this.#nanos++
    return `${new Date(this.#ms).toISOString().slice(0, 23)}${String(this.#nanos).padStart(6, '0')}Z`
  }

  #flush(torn: boolean): void {
    const bytes = Buffer.concat(this.#out)
    this.#out = []
    const whole =
      torn && bytes.length > 1 ? bytes.length - between(this.#random, 1, Math.min(80, bytes.length - 1)) : bytes.length
    writeSync(this.#fd, bytes, 0, whole)
    this.#torn = bytes.subarray(whole)
  }

  #flushTorn(): void {
    if (this.#torn.length > 0) writeSync(this.#fd, this.#torn)
    this.#torn = Buffer.alloc(0)
  }
}

/** Lets each of them act every few milliseconds until the returned function is called. */
export function keepWriting(t: Test, writers: readonly { act(): void }[], everyMs: number): () => void {
  const timer = setInterval(() => {
    for (const writer of writers) writer.act()
  }, everyMs)
  const stop = () => clearInterval(timer)
  t.teardown(stop)
  return stop
}

/** As the kubelet does it: under another name first, then the plain file goes. */
function compress(path: string): void {
  writeFileSync(`${path}.tmp`, gzipSync(readFileSync(path), { level: 1 }))
  renameSync(`${path}.tmp`, `${path}.gz`)
  unlinkSync(path)
}

/** A plain log file without times, which logrotate renames: the newest is FILE.1, and so on. */
export class WritingFile {
  readonly path: string
  sequence = 0
  rotations = 0
  readonly #name: string
  readonly #judge: Judge
  readonly #random: Random
  #fd: number
  #torn: Buffer = Buffer.alloc(0)
  #rows = 0

  constructor(path: string, name: string, judge: Judge, random: Random) {
    this.path = path
    this.#name = name
    this.#judge = judge
    this.#random = random
    this.#fd = openSync(path, 'a')
  }

  act(): void {
    if (this.#random() < 0.03 && this.#rows > 40) this.rotate()
    this.write(between(this.#random, 1, 12))
  }

  write(lines: number): void {
    this.#flushTorn()
    const out: Buffer[] = []
    for (let i = 0; i < lines; i++) {
      this.#rows++
      if (this.#random() < 0.15) {
        this.#judge.expectEqual(this.path, 'x')
        out.push(Buffer.from('x\n'))
        continue
      }
      this.#judge.verifier.expect(this.#name, ++this.sequence)
      out.push(sampleLine(this.#name, this.sequence, between(this.#random, 20, 300)), Buffer.from('\n'))
    }
    const bytes = Buffer.concat(out)
    const whole = this.#random() < 0.2 ? between(this.#random, 1, bytes.length) : bytes.length
    writeSync(this.#fd, bytes, 0, whole)
    this.#torn = bytes.subarray(whole)
  }

  rotate(): void {
    this.#flushTorn()
    closeSync(this.#fd)
    for (let n = this.rotations; n >= 1; n--) renameSync(`${this.path}.${n}`, `${this.path}.${n + 1}`)
    renameSync(this.path, `${this.path}.1`)
    this.rotations++
    this.#rows = 0
    this.#fd = openSync(this.path, 'a')
  }

  close(): void {
    this.#flushTorn()
    closeSync(this.#fd)
  }

  #flushTorn(): void {
    if (this.#torn.length > 0) writeSync(this.#fd, this.#torn)
    this.#torn = Buffer.alloc(0)
  }
}
