// A program that writes a file of its own, and the logrotate that rotates it: by numbers that move up, by date, by copy
// and cut, or by a cut alone. The program opens its file for appending, and again a moment after it was renamed.
import { gzipSync } from 'node:zlib'
import { Acts } from './acts.ts'
import { stamp } from './container.ts'
import type { Inode } from './sim-disk.ts'
import { Writer, type WriterDeps } from './writer.ts'

export const FILES = '/srv/logs'

const REOPEN_MS_MAX = 80
/** Rotations of one file. */
const ROTATED_MAX = 40
/** Files are not cut in place more often than this, or nobody could tell what was in them. */
const IN_PLACE_MS_MIN = 5000
const RENAME_MS_MIN = 1000

type Rotation = 'numbers' | 'dates' | 'copy' | 'cut' | 'none'

export class Program {
  readonly #path: string
  readonly #deps: WriterDeps
  readonly #writer: Writer
  readonly #rotation: Rotation
  /** Rotations so far. */
  #count = 0
  /** The time in the last name; they ascend. */
  #namedMs = 0
  #busy = false
  readonly #acts: Acts

  constructor(name: string, deps: WriterDeps) {
    const { disk, truth, draw, faults } = deps
    this.#deps = deps
    this.#acts = new Acts(deps.clock)
    this.#path = `${FILES}/${name}.log`
    disk.mkdir(FILES)
    this.#writer = new Writer(truth.newLog(`files:${this.#path}`), disk.create(this.#path), 'plain', deps)
    const ways: Rotation[] = []
    if (faults.on.has('rotation')) ways.push('numbers', 'dates')
    if (faults.on.has('copytruncate')) ways.push('copy', 'copy')
    if (faults.on.has('truncation')) ways.push('cut')
    this.#rotation = ways.length > 0 ? draw.pick(ways) : 'none'
  }

  start(): void {
    const { draw, faults } = this.#deps
    this.#acts.again(
      () => draw.scale(20, faults.burstMsMax),
      () => this.#writer.burst(),
    )
    if (this.#rotation !== 'none') {
      const isInPlace = this.#rotation === 'copy' || this.#rotation === 'cut'
      const rotationMs = Math.max(isInPlace ? IN_PLACE_MS_MIN : RENAME_MS_MIN, faults.rotationMs)
      this.#acts.again(
        () => draw.scale(rotationMs / 2, rotationMs * 2),
        () => this.#rotate(),
      )
    }
  }

  /** At rest a line comes now and then, and nothing else. */
  heartbeat(): void {
    this.#writer.heartbeat()
  }

  rest(): void {
    this.#acts.rest()
    this.#writer.finish()
  }

  #rotate(): void {
    if (this.#busy || this.#count >= ROTATED_MAX) return
    this.#count++
    if (this.#rotation === 'cut') this.#cut()
    else if (this.#rotation === 'copy') this.#copy()
    else this.#rename()
  }

  #cut(): void {
    const { disk } = this.#deps
    this.#writer.whole()
    disk.truncate(disk.at(this.#path) as Inode, 0)
    this.#writer.emptied()
  }

  /** What is written between the copy and the cut is in neither: nobody can help that. */
  #copy(): void {
    const { disk, truth, draw } = this.#deps
    this.#writer.whole()
    const inode = disk.at(this.#path) as Inode
    if (inode.size === 0) return
    this.#shift()
    const copy = disk.create(`${this.#path}.1`, inode.bytes.subarray(0, inode.size))
    const content = truth.contentOf(inode)
    if (content !== null) truth.hold(content, copy, copy.size)
    this.#busy = true
    this.#acts.must(draw.scale(1, 200), () => {
      this.#busy = false
      this.#cut()
    })
  }

  #rename(): void {
    const { disk, draw, clock } = this.#deps
    if (this.#rotation === 'numbers') this.#shift()
    this.#namedMs = Math.max(clock.now(), this.#namedMs + 1)
    const to =
      this.#rotation === 'numbers' ? `${this.#path}.1` : `${this.#path}-${stamp(this.#namedMs).replace('.', '')}`
    disk.rename(this.#path, to)
    this.#busy = true
    this.#acts.must(draw.scale(1, REOPEN_MS_MAX), () => {
      this.#busy = false
      this.#writer.reopen(disk.create(this.#path))
    })
  }

  /** `.1` becomes `.2`, compressed if files are; `.2` becomes `.3`; the last one goes. */
  #shift(): void {
    const { disk, faults, truth } = this.#deps
    const { filesMax, on } = faults
    for (let number = this.#count; number >= 1; number--) {
      for (const end of ['', '.gz']) {
        const path = `${this.#path}.${number}${end}`
        const inode = disk.at(path)
        if (inode === null) continue
        if (on.has('deletion') && number >= filesMax - 1) disk.unlink(path)
        else if (end === '' && number === 1 && on.has('compression')) {
          const gz = disk.create(`${this.#path}.2.gz`, gzipSync(inode.bytes.subarray(0, inode.size), { level: 1 }))
          const content = truth.contentOf(inode)
          if (content !== null) truth.hold(content, gz, inode.size)
          disk.unlink(path)
        } else disk.rename(path, `${this.#path}.${number + 1}${end}`)
      }
    }
  }
}
