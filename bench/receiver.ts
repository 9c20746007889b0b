// The parent's handle on the null receiver: where it listens, what it counted, and when the first push came.

import { Helper } from './helper.ts'
import type { ReceiverQuestion, ReceiverReport } from './null-receiver.ts'

export class Receiver {
  readonly url: string
  #helper: Helper

  private constructor(helper: Helper, port: number) {
    this.#helper = helper
    this.url = `http://127.0.0.1:${port}/loki/api/v1/push`
  }

  /** With `decode` pushes are taken apart, which tells entries, checksums and latencies, and costs the other core. */
  static async start(core: number, decode: boolean): Promise<Receiver> {
    const [helper, first] = await Helper.start(core, './null-receiver.ts', decode ? ['--decode'] : [])
    return new Receiver(helper, first.port as number)
  }

  onFirstPush(callback: () => void): void {
    this.#helper.onNotice = callback
  }

  #ask<T>(question: ReceiverQuestion): Promise<T> {
    return this.#helper.ask<T>(question)
  }

  async reset(): Promise<void> {
    await this.#ask({ ask: 'reset' })
  }

  async windowStart(): Promise<void> {
    await this.#ask({ ask: 'windowStart' })
  }

  async windowEnd(): Promise<void> {
    await this.#ask({ ask: 'windowEnd' })
  }

  count(): Promise<{ requests: number; entries: number }> {
    return this.#ask({ ask: 'count' })
  }

  report(): Promise<ReceiverReport> {
    return this.#ask({ ask: 'report' })
  }

  /** Waits until `entries` have arrived; returns whether they did before `timeoutMs`. */
  async arrived(entries: number, timeoutMs: number): Promise<boolean> {
    for (let waited = 0; waited < timeoutMs; waited += 50) {
      if ((await this.count()).entries >= entries) return true
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return false
  }

  stop(): Promise<void> {
    return this.#helper.stop()
  }
}
