// A node under torture: containers that write as runtimes do, a receiver in a process of its own, and the agent as it is
// started for real. What a scenario comes to is one row: what was written and what of it is missing, damaged, there twice
// in effect, or refused and counted otherwise than it was.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { AgentStatus } from '../../src/core/status.ts'
import {
  elasticSink,
  eventually,
  lokiSink,
  SERVER,
  type StartOptions,
  startRun,
  type TaffrailProcess,
  writeConfig,
} from './process.ts'
import { Judge, keepWriting, type RotationPlan, seeded, WritingContainer } from './process-logs.ts'
import type { FromReceiver, Judgement, ReceiverKind, ToReceiver, Trouble } from './receiver.child.ts'

const ACT_MS = 20

/** One line of the table. */
export interface Row {
  scenario: string
  lines: number
  missing: number
  malformed: number
  duplicates: number
  outOfOrder: number
  /** Refusals that the receiver made and that the agent counted; null where there were none to make. */
  refused: [made: number, counted: number] | null
  /** What else there was, for people. */
  notes: string
}

export class ReceiverProcess {
  readonly child: ChildProcess
  url = ''
  #judgements: ((judgement: Judgement) => void)[] = []

  private constructor(child: ChildProcess) {
    this.child = child
    child.on('message', (message: FromReceiver) => {
      if (message.kind === 'judgement') this.#judgements.shift()?.(message)
    })
  }

  static async start(t: Test, kind: ReceiverKind): Promise<ReceiverProcess> {
    const child = fork(fileURLToPath(new URL('./receiver.child.ts', import.meta.url)), [kind], { stdio: 'inherit' })
    t.teardown(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    const receiver = new ReceiverProcess(child)
    const [message] = (await once(child, 'message')) as [FromReceiver]
    if (message.kind === 'listening') receiver.url = message.url
    return receiver
  }

  send(message: ToReceiver): void {
    this.child.send(message)
  }

  trouble(trouble: Trouble): void {
    this.send({ kind: 'trouble', trouble })
  }

  judge(sequences: [string, number][], equal: [string, number][]): Promise<Judgement> {
    const { promise, resolve } = Promise.withResolvers<Judgement>()
    this.#judgements.push(resolve)
    this.send({ kind: 'judge', sequences, equal })
    return promise
  }
}

export interface NodeOptions {
  containers: number
  /** Where it delivers to; a Loki unless given. */
  to?: ReceiverKind
  /** Of container `i`; without one it is rotated and restarted at random. */
  plan?: (i: number) => RotationPlan
  source?: object
  sink?: object
  config?: object
  start?: StartOptions
  seed?: number
  /** Where the containers write; the test's own directory unless given. */
  disk?: string
}

/** Everything that a scenario needs; the scenario decides what goes wrong, and when. */
export class TorturedNode {
  readonly t: Test
  readonly directory: string
  readonly receiver: ReceiverProcess
  readonly config: string
  readonly writers: WritingContainer[]
  readonly judge = new Judge()
  /** What a scenario writes by itself: numbered lines, by writer. */
  readonly extra: [writer: string, last: number][] = []
  taffrail: TaffrailProcess | null = null
  readonly #to: ReceiverKind
  readonly #start: StartOptions
  #stopWriting: (() => void) | null = null

  private constructor(t: Test, receiver: ReceiverProcess, options: NodeOptions) {
    this.t = t
    this.receiver = receiver
    this.directory = t.testdir()
    this.#to = options.to ?? 'loki'
    this.#start = options.start ?? {}
    const random = seeded(options.seed ?? 1)
    const disk = options.disk ?? this.directory
    this.writers = Array.from({ length: options.containers }, (_, i) => {
      return new WritingContainer(disk, `pod-${i}`, this.judge, random, false, options.plan?.(i) ?? null)
    })
    mkdirSync(`${this.directory}/containers`, { recursive: true })
    this.config = writeConfig(this.directory, {
      sources: [{ name: 'c', type: 'containers', paths: [`${this.directory}/containers/*.log`], ...options.source }],
      sinks: [(this.#to === 'loki' ? lokiSink : elasticSink)(receiver.url, options.sink)],
      server: SERVER,
      ...options.config,
    })
  }

  static async make(t: Test, options: NodeOptions): Promise<TorturedNode> {
    return new TorturedNode(t, await ReceiverProcess.start(t, options.to ?? 'loki'), options)
  }

  start(args: string[] = [], options: StartOptions = this.#start): TaffrailProcess {
    this.taffrail = startRun(this.t, this.config, args, options)
    return this.taffrail
  }

  startWriting(actMs = ACT_MS): void {
    this.#stopWriting = keepWriting(this.t, this.writers, actMs)
  }

  /** All lines are ended, and no more come. */
  stopWriting(): void {
    this.#stopWriting?.()
    for (const writer of this.writers) writer.close()
  }

  /** The link to the log of the container `app` of a pod that a scenario writes by itself. */
  link(pod: number | string): void {
    const id = Buffer.from(String(pod)).toString('hex').padStart(64, '0')
    const name = typeof pod === 'number' ? `pod-${pod}` : pod
    const target = `${this.directory}/pods/ns_${name}_uid-${pod}/app/0.log`
    symlinkSync(target, `${this.directory}/containers/${name}_ns_app-${id}.log`)
  }

  get rotations(): number {
    return this.writers.reduce((sum, { rotations }) => sum + rotations, 0)
  }

  judgement(): Promise<Judgement> {
    const sequences = this.writers.flatMap(({ pod, sequences: [out, err] }): [string, number][] => [
      [`${pod}/stdout`, out!],
      [`${pod}/stderr`, err!],
    ])
    return this.receiver.judge(
      [...sequences, ...this.extra].filter(([, last]) => last > 0),
      this.judge.written,
    )
  }

  /** Waits until all is there, or the agent has nothing more to deliver, and makes the row. */
  async row(scenario: string, notes: string): Promise<Row> {
    const taffrail = this.taffrail as TaffrailProcess
    const status: AgentStatus = await taffrail.settled()
    let last = await this.judgement()
    await eventually(
      () => `all has arrived: ${JSON.stringify(last.verdict)}\n${taffrail.story()}`,
      async () => {
        last = await this.judgement()
        return last.complete
      },
    ).catch(() => {}) // then the row tells what is missing
    const { verdict, repeats, expected } = last
    const lost = Object.values(status.sinks[0]!.lost).reduce((sum, { bytes }) => sum + bytes, 0)
    const equal = this.judge.written.reduce((sum, [, lines]) => sum + lines, 0)
    const wrong = verdict.examples.filter((text) => text.includes('written')).length
    if (verdict.examples.length > 0) this.t.comment(verdict.examples.slice(0, 5).join('\n'))
    return {
      scenario: this.#to === 'loki' ? scenario : `${scenario} (${this.#to})`,
      lines: expected + equal,
      missing: verdict.missing + wrong,
      malformed: verdict.corrupt + verdict.unexpected,
      duplicates: verdict.duplicates,
      // Documents have their times: what there was no room for comes after its neighbours.
      outOfOrder: this.#to === 'loki' ? verdict.outOfOrder : 0,
      refused: null,
      notes: `${notes}; ${this.rotations} rotations, ${repeats} harmless repeats${lost > 0 ? `, ${lost} bytes lost` : ''}`,
    }
  }
}

/** Whether a row is as it must be. */
export function isGood({ missing, malformed, duplicates, outOfOrder, refused }: Row): boolean {
  return missing + malformed + duplicates + outOfOrder === 0 && (refused === null || refused[0] === refused[1])
}
