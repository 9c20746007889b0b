// What an API server's webhook backend does, with waits of a hundredth: batches go out side by side over connections that
// are used again; one without an answer in time is sent again, as is one with any answer but 2xx, after 100 ms, then 1.5
// times as long. It never gives a batch up, so that whatever is missing in the end was taken and lost.
import { Agent, type RequestOptions, request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'

const WAIT_MS = 100
const WAIT_FACTOR = 1.5
const WAIT_MS_MAX = 300

export class ApiServerSender {
  /** Answers by status; 0 for none. */
  readonly answers: Record<number, number> = {}
  /** Batches that were answered 2xx. */
  taken = 0
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 })
  readonly #options: RequestOptions
  readonly #timeoutMs: number

  /** `options`: host, port, path, and what lets it in. Real ones wait for 30 s. */
  constructor(options: RequestOptions, timeoutMs = 30_000) {
    this.#timeoutMs = timeoutMs
    this.#options = options
  }

  /** Sends a batch until it is taken, or `signal` aborts. */
  async send(body: string | Buffer, signal?: AbortSignal): Promise<void> {
    for (let waitMs = WAIT_MS; signal?.aborted !== true; waitMs = Math.min(WAIT_MS_MAX, waitMs * WAIT_FACTOR)) {
      const status = await this.#attempt(Buffer.from(body))
      this.answers[status] = (this.answers[status] ?? 0) + 1
      if (status >= 200 && status < 300) {
        this.taken++
        return
      }
      await sleep(waitMs)
    }
  }

  #attempt(body: Buffer): Promise<number> {
    return new Promise((resolve) => {
      const headers = { 'content-type': 'application/json', 'content-length': body.length, ...this.#options.headers }
      const sent = request({ method: 'POST', agent: this.#agent, ...this.#options, headers }, (response) => {
        response.resume()
        response.once('end', () => resolve(response.statusCode ?? 0))
        response.once('close', () => resolve(0))
      })
      sent.setTimeout(this.#timeoutMs, () => sent.destroy())
      sent.once('error', () => resolve(0))
      sent.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
