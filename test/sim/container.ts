// One container on the simulated node, as its kubelet and runtime treat its files: `pods/NS_POD_UID/CONTAINER/N.log`, a
// link to it, rotation by rename, compression by way of a `.tmp`, removal of the oldest, restarts. Everything happens as
// an act on the clock's queue, so that it may fall between any two system calls of the agent. Modelled on
// pkg/kubelet/logs/container_log_manager.go: the newest rotated file stays plain until the next rotation.
import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { Acts } from './acts.ts'
import type { Inode } from './sim-disk.ts'
import { type Format, Writer, type WriterDeps } from './writer.ts'

export const PODS = '/var/log/pods'
export const LINKS = '/var/log/containers'

const REOPEN_MS_MAX = 80
const RESTART_MS = 700
/** Old files of a dead container, and those of a pod that is gone, lie there for so long. */
const KEPT_MS_MIN = 3000
const KEPT_MS_MAX = 20_000

/** Where nothing is ever removed. */
const ROTATED_MAX = 40

interface Rotated {
  path: string
  inode: Inode
  compressed: boolean
}

export class Container {
  readonly name: string
  readonly #uid: string
  readonly #deps: WriterDeps
  readonly #format: Format
  #writer: Writer | null = null
  #restarts = -1
  #rotated: Rotated[] = []
  #link = ''
  /** The time in the last name. Names ascend: where a clock that goes back makes them lie, nobody knows the order. */
  #namedMs = 0
  #reopening = false
  #gone = false
  readonly #acts: Acts

  constructor(name: string, uid: string, deps: WriterDeps) {
    this.name = name
    this.#uid = uid
    this.#deps = deps
    this.#acts = new Acts(deps.clock)
    this.#format = deps.draw.pick(['containerd', 'containerd', 'conmon', 'docker'])
  }

  /** The agent's name for it. */
  get key(): string {
    return `pods:sim/${this.name}/app/${this.#uid}`
  }

  get live(): string {
    return `${this.#directory}/${this.#restarts}.log`
  }

  get isGone(): boolean {
    return this.#gone
  }

  get #directory(): string {
    return `${PODS}/sim_${this.name}_${this.#uid}/app`
  }

  /** Comes to life; its directory, perhaps, later than its link. */
  start(): void {
    const { draw, faults, disk } = this.#deps
    if (faults.on.has('lateDirectory') && draw.chance(0.5)) {
      this.#restarts = 0
      this.#newLink()
      this.#acts.must(draw.scale(100, 15_000), () => {
        this.#restarts = -1
        disk.unlink(this.#link)
        this.#startContainer()
      })
    } else this.#startContainer()
    this.#acts.again(
      () => draw.scale(20, faults.burstMsMax),
      () => this.#writer?.burst(),
    )
    if (faults.on.has('rotation') || faults.on.has('fastRotation')) {
      this.#acts.again(
        () => draw.scale(faults.rotationMs / 2, faults.rotationMs * 2),
        () => this.rotate(),
      )
    }
    if (faults.on.has('restart'))
      this.#acts.again(
        () => draw.scale(3000, 40_000),
        () => this.restart(),
      )
  }

  /** Renames the live file, and tells the writer a moment later. */
  rotate(): void {
    const { disk, draw } = this.#deps
    const writer = this.#writer
    if (writer === null || this.#reopening || this.#rotated.length >= ROTATED_MAX) return
    const live = this.live
    this.#namedMs = Math.max(this.#deps.clock.now(), this.#namedMs + 1)
    const path = `${live}.${stamp(this.#namedMs)}`
    const inode = disk.at(live) as Inode
    disk.rename(live, path)
    this.#rotated.push({ path, inode, compressed: false })
    this.#reopening = true
    this.#acts.must(draw.scale(1, REOPEN_MS_MAX), () => {
      this.#reopening = false
      if (this.#writer !== writer) return // it died before it was told
      writer.reopen(disk.create(live))
      this.#tidy()
    })
  }

  /** The container dies and comes back as the next number; what it left goes some time later. */
  restart(): void {
    const { draw, disk } = this.#deps
    if (this.#writer === null || this.#reopening) return
    this.#writer.die()
    this.#writer = null
    const old = [...this.#rotated.map(({ path }) => path), this.live]
    const oldLink = this.#link
    this.#rotated = []
    this.#acts.must(RESTART_MS, () => this.#startContainer())
    this.#acts.must(RESTART_MS + draw.int(KEPT_MS_MIN, KEPT_MS_MAX), () => {
      disk.remove(oldLink)
      for (const path of old) for (const end of ['', '.gz', '.tmp']) disk.remove(path + end)
    })
  }

  /** The pod is gone, and some time later everything of it. */
  end(): void {
    const { draw, disk } = this.#deps
    this.#writer?.die()
    this.#writer = null
    this.#acts.rest()
    this.#deps.clock.act(draw.int(KEPT_MS_MIN, KEPT_MS_MAX), () => {
      this.#gone = true
      disk.remove(this.#link)
      disk.remove(`${PODS}/sim_${this.name}_${this.#uid}`)
    })
  }

  /** The link leads elsewhere for a while. */
  swing(other: Container, ms: number): void {
    const { disk } = this.#deps
    const link = this.#link
    if (disk.at(link) === null || this.#writer === null || this.#reopening) return
    disk.unlink(link)
    disk.symlink(other.live, link)
    this.#acts.must(ms, () => {
      if (this.#link !== link) return
      disk.remove(link)
      disk.symlink(this.live, link)
    })
  }

  /** At rest a line comes now and then, and nothing else. */
  heartbeat(): void {
    this.#writer?.heartbeat()
  }

  /** No faults any more: what is half done is done, every line is ended, nothing goes away. */
  rest(): void {
    this.#acts.rest()
    this.#writer?.finish()
  }

  #startContainer(): void {
    const { disk, truth } = this.#deps
    this.#restarts++
    disk.mkdir(this.#directory)
    const inode = disk.create(this.live)
    const log = truth.logs.find(({ key }) => key === this.key) ?? truth.newLog(this.key)
    this.#writer = new Writer(log, inode, this.#format, this.#deps)
    this.#newLink()
  }

  #newLink(): void {
    const id = String(this.#deps.draw.int(0, 1e9)).padStart(64, '0')
    this.#link = `${LINKS}/${this.name}_sim_app-${id}.log`
    this.#deps.disk.symlink(this.live, this.#link)
  }

  /** Compresses what earlier rotations left, and removes what is too much. */
  #tidy(): void {
    const { faults, disk } = this.#deps
    if (faults.on.has('compression')) {
      for (const file of this.#rotated.slice(0, -1)) if (!file.compressed) this.#compress(file)
    }
    if (!faults.on.has('deletion') || this.#acts.isResting) return
    const excess = this.#rotated.length - (faults.filesMax - 1)
    for (const { path } of this.#rotated.splice(0, Math.max(0, excess))) {
      for (const end of ['', '.gz', '.tmp']) disk.remove(path + end)
    }
  }

  #compress(file: Rotated): void {
    const { disk, draw, faults, truth } = this.#deps
    file.compressed = true
    const { path, inode } = file
    let gz = gzipSync(inode.bytes.subarray(0, inode.size), { level: 1 })
    const isCut = faults.on.has('cutGzip') && draw.chance(0.2)
    if (isCut) gz = gz.subarray(0, draw.int(0, gz.length - 1))
    const made = disk.create(`${path}.tmp`, gz.subarray(0, gz.length >> 1))
    this.#acts.must(draw.scale(1, 300), () => {
      if (disk.at(`${path}.tmp`) !== made) return // it was removed meanwhile
      disk.append(made, gz.subarray(gz.length >> 1))
      disk.rename(`${path}.tmp`, `${path}.gz`)
      const content = truth.contentOf(inode)
      if (content !== null) truth.hold(content, made, contentBytes(gz))
      if (content !== null && isCut) truth.cutOff(content)
      this.#acts.must(draw.scale(1, 30), () => disk.remove(path))
    })
  }
}

/** As the kubelet names rotated files, with milliseconds, because here there may be several in a second. */
export function stamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/[-:]/g, '').replace('T', '-').replace('Z', '')
}

/** How much a compressed file, sound or not, holds. */
function contentBytes(gz: Buffer): number {
  try {
    return gunzipSync(gz, { finishFlush: constants.Z_SYNC_FLUSH }).length
  } catch {
    return 0
  }
}
