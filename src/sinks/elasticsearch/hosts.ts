// The hosts of a cluster, taken in turn. One that does not answer, or answers that it has nobody to ask (502 to 504), is
// left alone for a while that doubles; a request goes on to the next one at once, and to each at most once. While all are
// left alone, the one that is due first is asked. Bound: one client per host.
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient, HttpRequest, HttpResponse } from '../../ports/http.ts'

const REST_MS_MIN = 1000
const REST_MS_MAX = 60_000

interface Host {
  client: HttpClient
  /** The URL's path, which goes before every other. */
  prefix: string
  failures: number
  /** Monotonic ms until which it is left alone. */
  restsUntil: number
}

export class Hosts {
  readonly #hosts: Host[]
  readonly #clock: Clock
  #next = 0

  constructor(urls: readonly string[], createClient: (origin: string) => HttpClient, clock: Clock) {
    this.#clock = clock
    this.#hosts = urls.map((url) => {
      const { origin, pathname } = new URL(url)
      const prefix = pathname.replace(/\/+$/, '')
      return { client: createClient(origin), prefix, failures: 0, restsUntil: Number.NEGATIVE_INFINITY }
    })
  }

  /** `request.path` is without the prefix of a host. Throws what the last host's client threw. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const asked = new Set<Host>()
    for (;;) {
      const host = this.#pick(asked)
      asked.add(host)
      // No further where nobody is left who is well.
      const isLast = !this.#hosts.some((each) => !asked.has(each) && each.restsUntil <= this.#clock.monotonic())
      try {
        const answer = await host.client.send({ ...request, path: host.prefix + request.path })
        if (answer.status < 502 || answer.status > 504) this.#isWell(host)
        else this.#failed(host)
        if (host.failures === 0 || isLast) return answer
      } catch (error) {
        this.#failed(host)
        if (isLast) throw error
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#hosts.map(({ client }) => client.close()))
  }

  #pick(asked: ReadonlySet<Host>): Host {
    const now = this.#clock.monotonic()
    let due: Host | null = null
    for (let i = 0; i < this.#hosts.length; i++) {
      const host = this.#hosts[(this.#next + i) % this.#hosts.length] as Host
      if (asked.has(host)) continue
      if (host.restsUntil <= now) {
        this.#next = this.#hosts.indexOf(host) + 1
        return host
      }
      if (due === null || host.restsUntil < due.restsUntil) due = host
    }
    return due as Host
  }

  #isWell(host: Host): void {
    host.failures = 0
    host.restsUntil = Number.NEGATIVE_INFINITY
  }

  #failed(host: Host): void {
    const restMs = Math.min(REST_MS_MAX, REST_MS_MIN * 2 ** Math.min(host.failures++, 16))
    host.restsUntil = this.#clock.monotonic() + restMs
  }
}
