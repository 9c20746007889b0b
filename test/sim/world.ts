// A simulated world: one node with its containers and programs, one agent that is killed and started again, its sinks, and
// a disk below its state, all on one virtual clock and out of one seed. It runs until the faults stop, then for as long
// as a healthy agent may need to deliver everything (liveness), while checkers watch. Same seed, same world, to the byte.

import { reservationBytes } from '../../src/batch/consumer.ts'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { DeadLetter } from '../../src/deliver/dead-letter.ts'
import { FaultyFileSystem } from '../support/faulty-fs.ts'
import type { Checker, CheckerDeps, DeadLetterOnDisk, Observers } from './checker.ts'
import { Accounts } from './checkers/accounts.ts'
import { Checkpoints } from './checkers/checkpoints.ts'
import { Completeness } from './checkers/completeness.ts'
import { Order } from './checkers/order.ts'
import { Container, LINKS, PODS } from './container.ts'
import { Draw } from './draw.ts'
import { drawFaults, type Faults, type WorldLimits } from './faults.ts'
import { Life } from './life.ts'
import { FILES, Program } from './program.ts'
import { SimClock } from './sim-clock.ts'
import { type Inode, SimDisk } from './sim-disk.ts'
import { SimElastic } from './sim-elastic.ts'
import { SimLoki } from './sim-loki.ts'
import type { SimSink, SinkDeps, StoredRecord } from './sink.ts'
import { Trace } from './trace.ts'
import { type End, type Fate, isSettled, nameOf, Truth } from './truth.ts'

const STATE = '/state'
/** After the faults have stopped everything must be delivered within this time. */
const LIVENESS_MS_MAX = 20 * 60_000
const HEARTBEAT_MS = 20_000
/** A process that has begun a moment ago has not found its places: it does not know what is left. */
const FOUND_MS = 15_000

export interface Failure {
  checker: string
  message: string
  atMs: number
}

export interface Outcome {
  seed: number
  /** Equal for equal runs. */
  hash: string
  faults: Faults
  failure: Failure | null
  /** For whoever wants to know whether anything happened at all. */
  lines: number
  destroyed: number
  lives: number
  virtualMs: number
}

export class World {
  readonly seed: number
  readonly faults: Faults
  readonly #draw: Draw
  readonly #trace: Trace
  readonly #clock = new SimClock()
  readonly #truth: Truth
  readonly #disk: SimDisk
  readonly #sinks: readonly SimSink[]
  readonly #config: Config
  /** By sink. */
  readonly #checkers: readonly (readonly Checker[])[]
  /** Those of every sink, and that of the accounts, which sees all sinks. */
  readonly #allCheckers: readonly Checker[]
  readonly #observers: Observers
  readonly #containers: Container[] = []
  readonly #programs: Program[] = []
  #state: FaultyFileSystem
  #life: Life | null = null
  #stopping: Life | null = null
  #lives = 0
  #isStorming = false
  #healedAt: number | null = null
  #isOver = false
  #failure: Failure | null = null

  /** `print` gets every line of the trace. */
  constructor(seed: number, { print, ...limits }: WorldLimits & { print?: (line: string) => void } = {}) {
    this.seed = seed
    this.#draw = new Draw(seed)
    this.faults = drawFaults(this.#draw.of('faults'), limits)
    this.#truth = new Truth(this.faults.sinks.length)
    this.#trace = new Trace(print)
    const clock = this.#clock
    this.#trace.startAt(() => clock.monotonic())
    const reuseDraw = this.#draw.of('inodes')
    const reuse = (free: readonly number[]) =>
      this.faults.on.has('inodeReuse') && free.length > 0 ? reuseDraw.int(0, free.length - 1) : -1
    this.#disk = new SimDisk({ now: () => clock.now(), reuse })
    this.#disk.onChange = (what) => this.#trace.note('disk', what)
    this.#disk.onFree = (inode) => this.#truth.drop(inode)
    this.#truth.onDropped = (inode) => this.#life?.files.forget(inode)
    this.#truth.judge = (end, inode) => this.#judge(end, inode)
    this.#sinks = this.faults.sinks.map((kind, index) => {
      const receiver = {
        stored: (record: StoredRecord) => this.#stored(index, record),
        hidden: (record: StoredRecord, behind: StoredRecord) => {
          for (const checker of this.#checkers[index] ?? []) checker.hidden?.(record, behind)
        },
      }
      const shared: Omit<SinkDeps, 'draw'> = { clock, faults: this.faults, trace: this.#trace, receiver }
      if (kind === 'loki') return new SimLoki({ ...shared, draw: this.#draw.of('sink') })
      return new SimElastic({ ...shared, draw: this.#draw.of('elastic') })
    })
    this.#config = this.#makeConfig()
    this.#state = new FaultyFileSystem(seed, new Map(), new Set(['/']))
    this.#observers = this.#makeObservers()
    this.#checkers = this.#sinks.map((sink, index) => [
      new Completeness(this.#depsOf('completeness', sink, index)),
      new Order(this.#depsOf('order', sink, index)),
      new Checkpoints(this.#depsOf('checkpoints', sink, index), this.#disk),
    ])
    const accounts = new Accounts({ fail: (message) => this.#fail('accounts', message) })
    this.#allCheckers = [...this.#checkers.flat(), accounts]
  }

  async run(): Promise<Outcome> {
    this.#populate()
    this.#schedule()
    this.#clock.after(this.#draw.of('start').scale(1, 5000), () => this.#begin())
    this.#clock.after(this.faults.durationMs, () => this.#heal())
    const onRejection = (error: unknown) => this.#fail('process', `an unhandled rejection: ${String(error)}`)
    process.on('unhandledRejection', onRejection)
    await this.#loop()
    if (this.#failure === null) await this.#end()
    process.off('unhandledRejection', onRejection)
    this.#life?.kill()
    const lines = this.#truth.logs.flatMap((log) => log.lines)
    return {
      seed: this.seed,
      hash: this.#trace.hash,
      faults: this.faults,
      failure: this.#failure,
      lines: lines.length,
      destroyed: lines.filter(({ ends }) => ends.some(({ fate, accepted }) => fate !== null && accepted === null))
        .length,
      lives: this.#lives,
      virtualMs: this.#clock.monotonic(),
    }
  }

  /** Runs until everything is delivered, time has run out, or a promise is broken. */
  async #loop(): Promise<void> {
    let lookAt = 0
    while (this.#failure === null) {
      if (!(await this.#clock.next())) return this.#fail('liveness', 'nothing will ever happen any more')
      const life = this.#life
      if (life?.agent != null && !life.isDead) for (const checker of this.#allCheckers) checker.tick?.(life, life.agent)
      const now = this.#clock.monotonic()
      if (this.#healedAt === null || now < lookAt) continue
      lookAt = now + 500
      if (this.#isDelivered()) return
      if (now - this.#healedAt > LIVENESS_MS_MAX) return this.#fail('liveness', this.#undelivered())
    }
  }

  /** The last process ends in good order, and the account is closed. */
  async #end(): Promise<void> {
    const life = this.#life
    if (life === null) return
    this.#isOver = true
    let drained: boolean | null = null
    life.stop().then((result) => {
      drained = result
    })
    const until = this.#clock.monotonic() + 60_000
    while (drained === null && this.#clock.monotonic() < until && (await this.#clock.next())) {}
    if (drained === null) this.#fail('liveness', 'the agent does not stop')
    else if (!drained) this.#fail('liveness', 'the agent stopped with something left, though all was delivered')
    for (const checker of this.#allCheckers) checker.ended?.(life)
  }

  #isDelivered(): boolean {
    const life = this.#life
    if (life === null || life.isDead || life.agent === null) return false
    if (this.#clock.monotonic() - life.bornAt < FOUND_MS) return false
    const { consumers, ports } = life.agent
    if (!consumers.every((consumer) => consumer.lagBytes === 0 && consumer.active === 0)) return false
    if (ports.checkpoints.status().pending > 0) return false
    this.#noteBuried()
    return this.#truth.logs.every(({ lines }) => lines.every(({ ends }) => ends.every(isSettled)))
  }

  #undelivered(): string {
    const left = this.#truth.logs.flatMap(({ lines }) => lines.filter(({ ends }) => !ends.every(isSettled)))
    const lag = this.#life?.agent?.consumers.map((consumer) => `${consumer.lagBytes} bytes, ${consumer.active} active`)
    const first = left[0] === undefined ? 'all lines are settled' : `${left.length} lines are left: ${nameOf(left[0])}`
    return `${LIVENESS_MS_MAX / 60_000} minutes after the last fault ${first}; the agent lags by ${lag ?? 'no agent'}`
  }

  #populate(): void {
    const { faults } = this
    for (const directory of [PODS, LINKS, FILES]) this.#disk.mkdir(directory)
    const shared = { clock: this.#clock, disk: this.#disk, truth: this.#truth, faults }
    for (let i = 0; i < faults.containers; i++) this.#newContainer(`pod-${i}`, `uid-${i}-0`)
    for (let i = 0; i < faults.files; i++) {
      const program = new Program(`app-${i}`, { ...shared, draw: this.#draw.of(`program ${i}`) })
      this.#programs.push(program)
      program.start()
    }
  }

  #newContainer(name: string, uid: string): void {
    const shared = { clock: this.#clock, disk: this.#disk, truth: this.#truth, faults: this.faults }
    const container = new Container(name, uid, { ...shared, draw: this.#draw.of(`container ${uid}`) })
    this.#containers.push(container)
    container.start()
  }

  /** What happens to the process and to the node as a whole. */
  #schedule(): void {
    const draw = this.#draw.of('events')
    const { on, durationMs } = this.faults
    this.#again(
      () => draw.scale(500, 15_000),
      () => {
        this.#isStorming = !this.#isStorming
        for (const { network } of this.#sinks) network.storm(this.#isStorming)
      },
    )
    if (on.has('kill') || on.has('powerCut')) {
      this.#again(
        () => draw.scale(1000, 30_000),
        () => {
          if (this.#life !== null) this.#life.killIn = draw.scale(1, 400)
        },
      )
    }
    if (on.has('stop'))
      this.#again(
        () => draw.scale(5000, 40_000),
        () => void this.#stop(),
      )
    if (on.has('stall')) {
      this.#again(
        () => draw.scale(2000, 30_000),
        () => {
          const ms = draw.scale(100, 20_000)
          this.#trace.note('stall', `${ms} ms`)
          const life = this.#life
          if (life !== null) life.stalledUntil = Math.max(life.stalledUntil, this.#clock.monotonic() + ms)
        },
      )
    }
    for (const [kind, sign] of [['clockBack', -1] as const, ['clockForward', 1] as const]) {
      if (!on.has(kind)) continue
      const stepMsMax = draw.pick([2000, 120_000, 3 * 3_600_000])
      this.#again(
        () => draw.scale(5000, 60_000),
        () => {
          const ms = sign * draw.scale(100, stepMsMax)
          this.#trace.note('clock', `steps by ${ms} ms`)
          this.#clock.step(ms)
        },
      )
    }
    if (on.has('podReplaced'))
      this.#again(
        () => draw.scale(5000, 60_000),
        () => this.#replacePod(draw),
      )
    if (on.has('swingingLink')) {
      this.#again(
        () => draw.scale(3000, 30_000),
        () => {
          const there = this.#containers.filter(({ isGone }) => !isGone)
          if (there.length > 1) draw.pick(there).swing(draw.pick(there), draw.scale(50, 5000))
        },
      )
    }
    this.#trace.note('world', `${[...on].join(' ')}; ${durationMs} ms`)
  }

  #replacePod(draw: Draw): void {
    const index = draw.int(0, this.#containers.length - 1)
    const old = this.#containers[index] as Container
    this.#containers.splice(index, 1)
    old.end()
    this.#newContainer(old.name, `uid-${old.name}-${this.#truth.logs.length}`)
  }

  #again(delayMs: () => number, run: () => void): void {
    this.#clock.act(delayMs(), () => {
      if (this.#healedAt !== null) return
      run()
      this.#again(delayMs, run)
    })
  }

  /** The faults stop, and what was half done is done. */
  #heal(): void {
    this.#trace.note('heal', '')
    this.#healedAt = this.#clock.monotonic()
    this.#isStorming = false
    for (const { network } of this.#sinks) network.heal()
    if (this.#life !== null) this.#life.killIn = Number.POSITIVE_INFINITY
    for (const each of [...this.#containers, ...this.#programs]) each.rest()
    if (this.#draw.of('heartbeat').chance(0.5)) this.#heartbeat()
  }

  /** Logs that go on, now and then a line; the others are silent from now on. */
  #heartbeat(): void {
    this.#clock.act(HEARTBEAT_MS, () => {
      if (this.#isOver) return
      for (const each of [...this.#containers, ...this.#programs]) each.heartbeat()
      this.#heartbeat()
    })
  }

  #begin(): void {
    this.#lives++
    this.#trace.note('life', String(this.#lives))
    this.#furnish(this.#state)
    const life = new Life({
      number: this.#lives,
      clock: this.#clock,
      disk: this.#disk,
      state: this.#state,
      config: this.#config,
      sinks: this.#sinks,
      draw: this.#draw.of(`life ${this.#lives}`),
      faults: this.faults,
      trace: this.#trace,
      observers: this.#observers,
      isStorming: () => this.#isStorming,
      onKilled: () => this.#died(true),
    })
    this.#life = life
    life.begin().then((hasBegun) => {
      if (!hasBegun && life === this.#life) this.#died(false)
    })
  }

  /** SIGTERM, and another process after it. */
  async #stop(): Promise<void> {
    const life = this.#life
    if (life === null || life.agent === null || this.#stopping === life) return
    if (life.stalledUntil > this.#clock.monotonic()) return // it hears no signal now
    this.#stopping = life
    this.#trace.note('stop', String(life.number))
    try {
      await life.stop()
    } catch (error) {
      if (!life.isDead) throw error
    }
    if (life === this.#life) this.#died(false)
  }

  #died(isKilled: boolean): void {
    const life = this.#life as Life
    const draw = this.#draw.of(`death ${life.number}`)
    life.kill()
    this.#life = null
    const { on } = this.faults
    const isPowerCut = isKilled && on.has('powerCut') && (!on.has('kill') || draw.chance(0.5))
    this.#trace.note('death', `${life.number}${isPowerCut ? ', a power cut' : ''}`)
    this.#state = isPowerCut ? this.#state.powerCut() : this.#state.kill()
    for (const { lines } of this.#truth.logs) for (const { ends } of lines) for (const end of ends) end.buried = false
    for (const checker of this.#allCheckers) checker.killed?.(life, isPowerCut)
    this.#clock.after(draw.scale(10, 20_000), () => this.#begin())
  }

  /** Gives a disk its faults and its speed. */
  #furnish(state: FaultyFileSystem): void {
    const draw = this.#draw.of(`disk ${this.#lives}`)
    const { on, rate } = this.faults
    state.delay = (operation) => {
      const isSlow = this.#isStorming && on.has('slowDisk') && operation === 'sync' && draw.chance(0.2)
      return this.#clock.sleep(isSlow ? draw.scale(300, 8000) : draw.scale(0.05, operation === 'sync' ? 15 : 1))
    }
    state.fault = (operation) => {
      if (!this.#isStorming) return null
      if (on.has('fullDisk') && (operation === 'append' || operation === 'openAppend') && draw.chance(2 * rate)) {
        return 'ENOSPC'
      }
      return on.has('badDisk') && operation !== 'list' && draw.chance(rate / 2) ? 'EIO' : null
    }
  }

  #stored(sink: number, record: StoredRecord): void {
    const line = this.#truth.find(record.line)
    const end = line?.ends[sink]
    const isRepeat = end?.accepted != null
    const { taffrail_mark: marks = '' } = record.metadata
    this.#trace.note('stored', `${sink} ${line === null ? record.line : nameOf(line)} ${record.timestampNs} ${marks}`)
    for (const checker of this.#checkers[sink] ?? []) checker.stored?.(record, line, isRepeat, this.#life)
    if (end === undefined || isRepeat) return
    const { sender, timestampNs, stream, late } = record
    end.accepted = { stream, timestampNs, metadata: JSON.stringify(record.metadata), life: sender, late }
  }

  /** What may be expected of a line of which a row, that ends there, is destroyed now. */
  #judge(end: number, inode: Inode): Fate {
    const life = this.#life
    const isCompressed = inode.bytes[0] === 0x1f && inode.bytes[1] === 0x8b
    if (life === null || life.isDead || isCompressed) return 'unseen'
    const now = this.#clock.monotonic()
    // What came and went while its event loop stood still it cannot keep apart.
    if (now - life.stalledUntil < 1000) return 'unseen'
    if (life.files.toldBytes(inode) >= end) return 'seen'
    return 'unseen'
  }

  /** A sink's dead letters on the disk, as a reader of the files gets them. */
  #deadLetters(sink: string): DeadLetterOnDisk[] {
    const letters: DeadLetterOnDisk[] = []
    const directory = `${STATE}/dead-letters`
    for (const name of this.#state.reads.readdir(directory).sort()) {
      const data = this.#state.peek(`${directory}/${name}`)
      if (data === null || !name.startsWith(`${sink}.`) || !name.endsWith('.ndjson')) continue
      for (const row of data.toString().split('\n')) {
        try {
          const { reason, line, lineBase64, create } = JSON.parse(row) as DeadLetter
          const message = create && (JSON.parse(create.document) as { message: string }).message
          letters.push({
            reason,
            line: lineBase64 ? Buffer.from(lineBase64, 'base64') : Buffer.from(message ?? line ?? ''),
          })
        } catch {
          // A line that a crash tore, or an empty one.
        }
      }
    }
    return letters
  }

  #noteBuried(): void {
    for (const [index, { name }] of this.#sinks.entries()) {
      for (const { line } of this.#deadLetters(name)) {
        const end = this.#truth.find(line)?.ends[index]
        if (end !== undefined) end.buried = true
      }
    }
  }

  #depsOf(name: string, sink: SimSink, index: number): CheckerDeps {
    return {
      clock: this.#clock,
      truth: this.#truth,
      faults: this.faults,
      sink,
      endOf: ({ ends }) => ends[index] as End,
      deadLetters: () => this.#deadLetters(sink.name),
      fail: (message) => this.#fail(name, `to ${sink.name}: ${message}`),
    }
  }

  #makeObservers(): Observers {
    /** Those of one sink, or all. */
    const of = (sink: string | undefined): readonly Checker[] =>
      sink === undefined
        ? this.#allCheckers
        : (this.#checkers[this.#sinks.findIndex(({ name }) => name === sink)] ?? [])
    return {
      opened: (life, positions) => {
        for (const { name } of this.#sinks) {
          const own = positions.filter(({ sink }) => sink === name)
          for (const checker of of(name)) checker.opened?.(life, own)
        }
      },
      checkpoint: (life, sink, lineage, position) => {
        for (const checker of of(sink)) checker.checkpoint?.(life, lineage, position)
      },
      event: (life, name, detail) => {
        for (const checker of of((detail as { sink?: string }).sink)) checker.event?.(life, name, detail)
      },
      fail: (checker, message) => this.#fail(checker, message),
    }
  }

  #fail(checker: string, message: string): void {
    this.#trace.note('FAILURE', `${checker}: ${message}`)
    this.#failure ??= { checker, message, atMs: this.#clock.monotonic() }
  }

  #makeConfig(): Config {
    const settings = {
      clusterName: 'sim',
      nodeName: 'node',
      stateDir: STATE,
      sources: [
        { type: 'containers', name: 'pods', paths: [`${LINKS}/*.log`] },
        { type: 'files', name: 'files', paths: [`${FILES}/*.log`] },
      ],
      sinks: this.#sinks.map(({ settings }) => settings),
      limits: { memory: '48Mi', cpu: 'off' },
      server: 'off',
    }
    const machine = { path: 'world', env: {}, hostname: 'node', cgroup: { memory: null, cpu: null } }
    const loaded = loadConfig(JSON.stringify(settings), machine)
    if ('errors' in loaded) throw new Error(loaded.errors.map(({ key, message }) => `${key}: ${message}`).join('\n'))
    // Less than any configuration allows: of the budget there is just enough for a shipment or two.
    const shipments = this.#draw.of('memory').int(1, 4)
    const needs = this.#sinks.map(({ settings }) =>
      reservationBytes(settings as { batchBytesMax: number; lineBytesMax: number }),
    )
    loaded.config.limits.memory = 4 * shipments * Math.max(...needs)
    return loaded.config
  }
}
