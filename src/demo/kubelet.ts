// What a kubelet and a runtime do to the log files of a node, below a root of its own: `pods/NS_POD_UID/CONTAINER/N.log`,
// links to them in `containers/`, rotation by rename, compression, restarts, removal. It owns the tree and who writes to
// it; when what happens is the node's affair (node.ts). Modelled on pkg/kubelet/logs/container_log_manager.go: the newest
// rotated file stays plain until the next rotation. Bound: five files a container, unless one of them is still young.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { errorCode } from '../core/errors.ts'
import { ContainerLog, newWriter, type Writer } from './container-log.ts'
import { messagesOf } from './messages.ts'
import type { ContainerSpec, PodSpec } from './workload.ts'

const FILES_MAX = 5
/** A file lies there for at least so long after its last byte. */
const KEPT_MS_MIN = 15_000
/** From the rename until the writer is told. Until then it goes on writing to the renamed file. */
const REOPEN_MS = 80
const RESTART_MS = 700

const compress = promisify(gzip)

export interface Container {
  readonly pod: Pod
  readonly spec: ContainerSpec
  readonly writer: Writer
  readonly directory: string
  restarts: number
  /** Null while nothing runs. */
  log: ContainerLog | null
  link: string
  /** Milliseconds: when the current file was begun. */
  begunAt: number
  reopening: boolean
  /** Rotated files of the current restart, oldest first. */
  rotated: { path: string; at: number; compressed: boolean }[]
}

export interface Pod {
  readonly spec: PodSpec
  readonly name: string
  readonly directory: string
  readonly containers: Container[]
}

interface Task {
  at: number
  run: (now: number) => void
  /** To be done even when the node stops. */
  must: boolean
}

export class Kubelet {
  readonly counts = { rotations: 0, compressions: 0, restarts: 0 }
  readonly writers = new Map<string, Writer>()
  readonly #root: string
  readonly #fail: (error: unknown) => void
  #tasks: Task[] = []
  readonly #compressing = new Set<Promise<unknown>>()

  /** `fail` hears of what went wrong in the background. */
  constructor(root: string, fail: (error: unknown) => void) {
    this.#root = root
    this.#fail = fail
    for (const name of ['pods', 'containers']) mkdirSync(`${root}/${name}`, { recursive: true })
  }

  startPod(spec: PodSpec, name: string, now: number): Pod {
    const directory = `${this.#root}/pods/${spec.namespace}_${name}_${randomUUID()}`
    const pod: Pod = { spec, name, directory, containers: [] }
    for (const container of spec.containers) {
      // A pod that comes back under its name goes on with the same Loki streams, and so with the same numbers.
      const writerName = `${spec.namespace}/${name}/${container.name}`
      const writer = this.writers.get(writerName) ?? newWriter(writerName)
      this.writers.set(writerName, writer)
      const fresh = { pod, spec: container, writer, directory: `${directory}/${container.name}` }
      const state = { restarts: -1, log: null, link: '', begunAt: now, reopening: false, rotated: [] }
      pod.containers.push({ ...fresh, ...state })
    }
    for (const container of pod.containers) {
      mkdirSync(container.directory, { recursive: true })
      this.#startContainer(container, now)
    }
    return pod
  }

  /** The containers end and their files stay for a while; then the pod is gone. */
  endPod(pod: Pod, now: number): void {
    for (const container of pod.containers) this.#endContainer(container, now, false)
    this.#later(now + KEPT_MS_MIN, false, () => {
      for (const { link } of pod.containers) unlinkSync(link)
      rmSync(pod.directory, { recursive: true })
    })
  }

  /** The container dies, now and then without ending its last line, and comes back a moment later. */
  restart(container: Container, now: number): void {
    this.counts.restarts++
    const { link, directory, restarts } = container
    this.#endContainer(container, now, this.counts.restarts % 2 === 1)
    const files = [...container.rotated]
    container.rotated = []
    this.#later(now + RESTART_MS, true, (then) => this.#startContainer(container, then))
    this.#later(now + RESTART_MS + KEPT_MS_MIN, false, () => {
      unlinkSync(link)
      for (const { path } of [...files, { path: `${directory}/${restarts}.log` }]) removeBoth(path)
    })
  }

  /** Compresses and removes what earlier rotations left, renames the live file, and tells the writer a moment later. */
  rotate(container: Container, now: number): void {
    const { directory, restarts, rotated, log } = container
    const path = `${directory}/${restarts}.log`
    const renamed = `${path}.${new Date(now)
      .toISOString()
      .replace(/[-:]|\..*/g, '')
      .replace('T', '-')}`
    if (log === null || container.reopening || rotated.at(-1)?.path === renamed) return
    const excess = rotated.length - (FILES_MAX - 2)
    for (const { path } of rotated.slice(0, Math.max(0, excess)).filter((file) => now - file.at >= KEPT_MS_MIN)) {
      rotated.shift()
      removeBoth(path)
    }
    for (const file of rotated.filter((file) => !file.compressed)) this.#compress(file)
    renameSync(path, renamed)
    this.counts.rotations++
    rotated.push({ path: renamed, at: now, compressed: false })
    container.reopening = true
    this.#later(now + REOPEN_MS, true, (then) => {
      if (container.log !== log) return // it died before it was told
      log.reopen(path)
      container.begunAt = then
      container.reopening = false
    })
  }

  /** Does what has become due. */
  tick(now: number): void {
    const due = this.#tasks.filter((task) => task.at <= now)
    if (due.length === 0) return
    this.#tasks = this.#tasks.filter((task) => task.at > now)
    for (const task of due) task.run(now)
  }

  /** Ends what is half done: renamed files get their successors, dead containers come back. Nothing is removed any more. */
  async settle(now: number): Promise<void> {
    const tasks = this.#tasks
    this.#tasks = []
    for (const task of tasks) if (task.must) task.run(now)
    await Promise.all(this.#compressing)
  }

  #startContainer(container: Container, now: number): void {
    const { pod, spec, writer, directory } = container
    const restarts = ++container.restarts
    const path = `${directory}/${restarts}.log`
    container.log = new ContainerLog(path, writer, pod.spec.runtime, messagesOf(spec.program))
    container.begunAt = now
    container.reopening = false
    const id = randomBytes(32).toString('hex')
    container.link = `${this.#root}/containers/${pod.name}_${pod.spec.namespace}_${spec.name}-${id}.log`
    symlinkSync(path, container.link)
  }

  #endContainer(container: Container, now: number, cutShort: boolean): void {
    container.log?.close(now, cutShort)
    container.log = null
  }

  #compress(file: { path: string; compressed: boolean }): void {
    file.compressed = true
    const done = () => {
      this.counts.compressions++
    }
    // After a long pause of the machine, its time to go may have come before it was compressed.
    const failed = (error: unknown) => errorCode(error) === 'ENOENT' || this.#fail(error)
    const work = compressFile(file.path).then(done, failed)
    this.#compressing.add(work)
    void work.finally(() => this.#compressing.delete(work))
  }

  #later(at: number, must: boolean, run: (now: number) => void): void {
    this.#tasks.push({ at, run, must })
  }
}

/** Under a name for the time being, so that nobody takes half a file for a whole one. */
async function compressFile(path: string): Promise<void> {
  await writeFile(`${path}.tmp`, await compress(await readFile(path), { level: 1 }))
  await rename(`${path}.tmp`, `${path}.gz`)
  await unlink(path)
}

/** A file, whether it was compressed or not. */
function removeBoth(path: string): void {
  rmSync(path, { force: true })
  rmSync(`${path}.gz`, { force: true })
}
