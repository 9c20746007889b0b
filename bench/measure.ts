// Runs a command pinned to one core and watches it from outside: CPU seconds of the process with all its threads and
// descendants, anonymous and resident memory every 20 ms (their peaks), context switches. What it prints goes to a file.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { enterChild } from './cleanup.ts'
import { nowMicros } from './clock.ts'
import {
  contextSwitches,
  cpuSeconds,
  cpuSecondsOfEndedChildren,
  processStatus,
  processTree,
  threadWaits,
} from './proc.ts'

const SAMPLE_MS = 20
/** Context switches are read off every thread, which is dear: one sample in so many. */
const SWITCHES_ONE_IN = 25

export interface Cores {
  /** For the program that is measured. */
  measured: number
  /** For the receiver, the writers and the benchmark itself. */
  others: number
}

/** `taskset` in front of a command. */
export function pinned(core: number, command: readonly string[]): string[] {
  return ['taskset', '-c', String(core), ...command]
}

/** Keeps this process, with all its threads, off the measured core. */
export function pinSelf(core: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(core), String(process.pid)], { stdio: 'ignore' })
}

export class Measured {
  readonly command: readonly string[]
  readonly exited: Promise<void>
  /** Bytes. */
  rssAnonPeak = 0
  /** At the last look. */
  rssAnon = 0
  rssPeak = 0
  voluntarySwitches = 0
  involuntarySwitches = 0
  /** CPU seconds at the last sample: what was used up to SAMPLE_MS ago. */
  cpuSecondsSampled = 0
  /** null while it runs. */
  exitCode: number | null = null
  /** CPU and wall seconds from start to end; 0 while it runs. */
  cpuSecondsWhole = 0
  wallSeconds = 0
  #child: ChildProcess
  #outputPath: string
  #samples = 0

  /** `outputPath` takes stdout and stderr. */
  constructor(command: readonly string[], core: number, outputPath: string) {
    this.command = command
    this.#outputPath = outputPath
    const [file, ...args] = pinned(core, command)
    const output = openSync(outputPath, 'w')
    const { NODE_OPTIONS: _, ...env } = process.env
    const startMicros = nowMicros()
    // No other child ends while one is measured, so what the ended children used more at its end is its own.
    const endedBefore = cpuSecondsOfEndedChildren()
    this.#child = spawn(file!, args, { stdio: ['ignore', output, output], env })
    closeSync(output)
    enterChild(this.#child)
    const timer = setInterval(() => this.#sample(), SAMPLE_MS)
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('exit', (code) => {
        clearInterval(timer)
        this.exitCode = code ?? -1
        this.cpuSecondsWhole = cpuSecondsOfEndedChildren() - endedBefore
        this.wallSeconds = (nowMicros() - startMicros) / 1e6
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** So far, of the process and its descendants. Throws once it has ended. */
  cpuSeconds(): number {
    if (this.exitCode !== null) throw new Error(`${this.describe()} ended with ${this.exitCode}\n${this.outputTail()}`)
    return processTree(this.pid).reduce((sum, pid) => sum + (cpuSeconds(pid) ?? 0), 0)
  }

  #sample(): void {
    let rssAnon = 0
    let rss = 0
    let peak = 0
    let cpu = 0
    for (const pid of processTree(this.pid)) {
      cpu += cpuSeconds(pid) ?? 0
      const status = processStatus(pid)
      rssAnon += status?.rssAnon ?? 0
      rss += status?.rss ?? 0
      peak += status?.rssPeak ?? 0
    }
    this.cpuSecondsSampled = Math.max(this.cpuSecondsSampled, cpu)
    this.rssAnon = rssAnon
    this.rssAnonPeak = Math.max(this.rssAnonPeak, rssAnon)
    this.rssPeak = Math.max(this.rssPeak, rss, peak)
    if (this.#samples++ % SWITCHES_ONE_IN === 0) this.readSwitches()
  }

  readSwitches(): void {
    const switches = contextSwitches(this.pid)
    if (switches === null) return
    this.voluntarySwitches = Math.max(this.voluntarySwitches, switches.voluntary)
    this.involuntarySwitches = Math.max(this.involuntarySwitches, switches.involuntary)
  }

  /** Waits for the end and throws with the last lines of the output unless it ended with 0 in time. */
  async success(timeoutMs: number): Promise<void> {
    let end = 'ended with'
    const timer = setTimeout(() => {
      // An event loop that waits sits in do_epoll_wait; in futex_do_wait the main thread waits for another thread.
      end = `did not end within ${timeoutMs / 1000} s (${threadWaits(this.pid)}) and was killed:`
      this.#child.kill('SIGKILL')
    }, timeoutMs)
    await this.exited
    clearTimeout(timer)
    if (this.exitCode !== 0) throw new Error(`${this.describe()} ${end} ${this.exitCode}\n${this.outputTail()}`)
  }

  /** SIGTERM, and SIGKILL after `graceMs`; returns whether it went by itself with 0. */
  async stop(graceMs: number): Promise<boolean> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await this.exited
    clearTimeout(timer)
    return this.exitCode === 0
  }

  describe(): string {
    return this.command.map((word) => word.slice(word.lastIndexOf('/') + 1)).join(' ')
  }

  outputTail(): string {
    return readFileSync(this.#outputPath, 'utf8').split('\n').slice(-25).join('\n')
  }
}
