// The parent's end of a helper process of the benchmark (receiver, writer): starts it pinned, with an IPC channel, and
// asks it questions that it answers by their number.

import { type ChildProcess, spawn } from 'node:child_process'
import { enterChild } from './cleanup.ts'
import { pinned } from './measure.ts'

const ANSWER_TIMEOUT_MS = 60_000

interface Incoming {
  id?: number
  answer?: unknown
}

export class Helper {
  #child: ChildProcess
  #nextId = 1
  #waiting = new Map<number, (answer: unknown) => void>()
  /** Called with every message that answers no question. */
  onNotice: (notice: Record<string, unknown>) => void = () => {}

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (message: Incoming & Record<string, unknown>) => {
      if (message.id === undefined) return this.onNotice(message)
      this.#waiting.get(message.id)?.(message.answer)
      this.#waiting.delete(message.id)
    })
  }

  /** Resolves with the helper and its first message. */
  static async start(core: number, script: string, args: string[]): Promise<[Helper, Record<string, unknown>]> {
    const [file, ...rest] = pinned(core, [process.execPath, new URL(script, import.meta.url).pathname, ...args])
    const child = spawn(file!, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    enterChild(child)
    const helper = new Helper(child)
    const first = await new Promise<Record<string, unknown>>((resolve, reject) => {
      helper.onNotice = resolve
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)))
    })
    helper.onNotice = () => {}
    return [helper, first]
  }

  ask<T>(question: object): Promise<T> {
    const id = this.#nextId++
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${JSON.stringify(question)}`)), ANSWER_TIMEOUT_MS)
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer)
        resolve(answer as T)
      })
      this.#child.send({ ...question, id })
    })
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await gone
  }
}
