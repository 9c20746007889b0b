// What every HttpClient keeps to, the machine's and the simulated one. Each implementation is run through this suite by
// a test of a few lines, so that the simulation cannot drift from undici and the kernel.
import type { Test } from 'tap'
import type { TaffrailError } from '../../src/core/errors.ts'
import type { HttpClient, HttpClientFactory, HttpRequest, HttpResponse } from '../../src/ports/http.ts'

/** A request as it arrived. `connection` counts from 1. */
export interface Seen {
  method: string
  path: string
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  connection: number
}

export const cutPlaces = ['start', 'status line', 'headers', 'body', 'last body', 'chunk', 'last chunk'] as const
export type CutPlace = (typeof cutPlaces)[number]

/** What the far end does with a request that has arrived whole. */
export type Conduct =
  | { kind: 'answer'; status: number; headers?: Record<string, string | string[]>; body?: Buffer }
  /** Answers 204 when the promise resolves. */
  | { kind: 'hold'; until: Promise<void> }
  /** The connection is reset before any answer. */
  | { kind: 'reset' }
  /** The answer stops there, and the connection with it, by a reset or in good order. `last`: it had said that it would close. */
  | { kind: 'cut'; where: CutPlace; by: 'reset' | 'end' }
  /** Bytes that are no HTTP, then the end of the connection. */
  | { kind: 'nonsense' }
  | { kind: 'hang' }
  /** Headers at once, then a byte of the body now and then, for ever. */
  | { kind: 'trickle' }

/** A server that somebody else runs. */
export interface FarEnd {
  origin: string
  seen: Seen[]
  /** Connections that were opened so far. */
  connections: number
  /** The most requests that were unanswered at once. */
  atOnceMax: number
  /** What the next requests meet. */
  conduct: (request: Seen) => Conduct
  /** Resolves when the condition holds; it is asked whenever a request arrived or a connection ended. */
  until(condition: () => boolean): Promise<void>
}

export interface HttpRig {
  createClient: HttpClientFactory
  startFarEnd(t: Test): Promise<FarEnd>
  /** An origin that refuses connections. */
  deadOrigin(): Promise<string>
  /** Lets time go by until the promise settles; the real world does that by itself. */
  passTime<T>(promise: Promise<T>): Promise<T>
}

const noContent: Conduct = { kind: 'answer', status: 204 }
const bodyBytesKept = 65_536

/** A POST of a few bytes, unless told otherwise. */
export function post(changes: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'POST', path: '/push', headers: {}, body: Buffer.from('body'), timeoutMs: 10_000, ...changes }
}

/** The error of a send that must fail. */
export async function failure(sent: Promise<HttpResponse>): Promise<TaffrailError> {
  try {
    await sent
  } catch (error) {
    return error as TaffrailError
  }
  throw new Error('the send did not fail')
}

/** Runs the suite; `makeRig` is called once per test. */
export function httpConformance(t: Test, makeRig: (t: Test) => HttpRig): void {
  type Run = (t: Test, client: HttpClient, far: FarEnd, rig: HttpRig) => Promise<void>
  const check = (name: string, connections: number, run: Run) =>
    t.test(name, async (t) => {
      const rig = makeRig(t)
      const far = await rig.startFarEnd(t)
      const client = rig.createClient(far.origin, { connections })
      t.teardown(() => client.close())
      await run(t, client, far, rig)
    })

  check('the request arrives as given', 1, async (t, client, far) => {
    const body = Buffer.from([0, 255, 13, 10, 128])
    await client.send(post({ path: '/a/b?c=d&e', headers: { 'X-Scope-OrgID': 'apps' }, body }))
    await client.send(post({ method: 'PUT', body: Buffer.alloc(0) }))
    await client.send({ method: 'GET', path: '/ready', headers: {}, timeoutMs: 10_000 })
    const [first, second, third] = far.seen
    t.match(first, { method: 'POST', path: '/a/b?c=d&e', headers: { 'x-scope-orgid': 'apps', 'content-length': '5' } })
    t.strictSame(first?.body, body)
    t.match(second, { method: 'PUT', headers: { 'content-length': '0' } })
    t.match(third, { method: 'GET', path: '/ready' })
    t.equal(third?.body.length, 0)
  })

  check('the answer arrives as given, names in lower case, repeated headers joined', 1, async (t, client, far) => {
    const body = Buffer.from([0, 255, 13, 10, 128])
    far.conduct = () => ({ kind: 'answer', status: 400, headers: { 'X-One': 'a', 'X-Two': ['b', 'c'] }, body })
    const answer = await client.send(post())
    t.equal(answer.status, 400)
    t.strictSame(answer.body, body)
    t.match(answer.headers, { 'x-one': 'a', 'x-two': 'b, c' })
    far.conduct = () => noContent
    t.strictSame((await client.send(post())).body, Buffer.alloc(0))
  })

  check('every status is an answer, after one attempt and without following', 1, async (t, client, far) => {
    const statuses = [200, 204, 301, 307, 400, 401, 408, 413, 429, 500, 502, 503, 504, 599]
    for (const status of statuses) {
      far.conduct = () => ({ kind: 'answer', status, headers: { location: '/elsewhere', 'retry-after': '0' } })
      t.equal((await client.send(post())).status, status)
    }
    t.equal(far.seen.length, statuses.length)
  })

  check('64 KiB of an answer are kept, and the connection after it', 1, async (t, client, far) => {
    const body = Buffer.alloc(1_000_000, 'abcdefg')
    far.conduct = () => ({ kind: 'answer', status: 500, body })
    const { body: kept } = await client.send(post())
    t.strictSame(kept, body.subarray(0, bodyBytesKept))
    far.conduct = () => ({ kind: 'answer', status: 500, body: body.subarray(0, bodyBytesKept) })
    t.equal((await client.send(post())).body.length, bodyBytesKept)
    t.equal(far.connections, 1)
  })

  check('as much of an answer is kept as was asked for', 1, async (t, client, far) => {
    const body = Buffer.alloc(1_000_000, 'abcdefg')
    far.conduct = () => ({ kind: 'answer', status: 200, body })
    for (const answerBytesMax of [10, 70_000, 2_000_000]) {
      const { body: kept } = await client.send(post({ answerBytesMax }))
      t.ok(kept.equals(body.subarray(0, answerBytesMax)), `${answerBytesMax} bytes`)
    }
  })

  check('a body of 4 MiB arrives whole', 1, async (t, client, far) => {
    const body = Buffer.alloc(4 * 1024 * 1024, 'a long line ')
    const before = Buffer.from(body)
    await client.send(post({ body }))
    t.ok(far.seen[0]?.body.equals(before), 'arrived')
    t.ok(body.equals(before), 'left as it was')
    t.equal(far.seen[0]?.headers['content-length'], String(body.length))
  })

  check('one connection serves one send after another', 4, async (t, client, far) => {
    for (let n = 0; n < 30; n++) await client.send(post())
    t.equal(far.connections, 1)
    t.equal(far.seen.length, 30)
  })

  check('a kept connection that ends before it answers is replaced, once', 4, async (t, client, far) => {
    const numbers = () => far.seen.map(({ connection }) => connection)
    await client.send(post())
    const body = Buffer.from('again')
    for (const conduct of [{ kind: 'reset' }, { kind: 'cut', where: 'start', by: 'end' }] satisfies Conduct[]) {
      const last = far.connections
      far.conduct = ({ connection }) => (connection === last ? conduct : noContent)
      t.equal((await client.send(post({ body }))).status, 204)
      t.strictSame(far.seen.at(-1)?.body, body)
    }
    t.strictSame(numbers(), [1, 1, 2, 2, 3])
    far.conduct = () => ({ kind: 'reset' })
    t.equal((await failure(client.send(post()))).code, 'HTTP_RESET')
    t.strictSame(numbers().slice(5), [3, 4], 'the new one had its chance')
    t.equal((await failure(client.send(post()))).code, 'HTTP_RESET')
    t.strictSame(numbers().slice(7), [5], 'one that never answered is not replaced')
  })

  check('no more at once than there are connections; the others wait', 3, async (t, client, far) => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    far.conduct = () => ({ kind: 'hold', until: gate })
    const sent = Array.from({ length: 12 }, (_, n) => client.send(post({ path: `/${n}` })))
    await far.until(() => far.seen.length >= 3)
    open()
    for (const answer of await Promise.all(sent)) t.equal(answer.status, 204)
    t.equal(far.atOnceMax, 3)
    t.equal(far.connections, 3)
    t.equal(new Set(far.seen.map(({ path }) => path)).size, 12, 'each once')
  })

  check('who waits for a connection waits on his own time', 1, async (t, client, far, rig) => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    far.conduct = () => ({ kind: 'hold', until: gate })
    const first = client.send(post())
    const second = await rig.passTime(failure(client.send(post({ path: '/second', timeoutMs: 100 }))))
    t.equal(second.code, 'HTTP_TIMEOUT')
    open()
    t.equal((await first).status, 204)
    t.equal((await client.send(post({ path: '/third' }))).status, 204)
    t.strictSame(
      far.seen.map(({ path }) => path),
      ['/push', '/third'],
    )
  })

  t.test('nobody listens', async (t) => {
    const rig = makeRig(t)
    const origin = await rig.deadOrigin()
    const client = rig.createClient(origin, { connections: 2 })
    t.teardown(() => client.close())
    const errors = await Promise.all([1, 2, 3, 4].map(() => failure(client.send(post()))))
    for (const error of errors) {
      t.equal(error.code, 'HTTP_REFUSED')
      t.ok(error.message.startsWith(`${origin}: `), error.message)
      t.ok(error.cause instanceof Error)
    }
  })

  const ends: [name: string, conduct: Conduct, code: string][] = [
    ['a reset before the answer', { kind: 'reset' }, 'HTTP_RESET'],
    ...cutPlaces.flatMap((where) =>
      (['reset', 'end'] as const).map((by): [string, Conduct, string] => {
        return [`an answer cut in its ${where} by ${by}`, { kind: 'cut', where, by }, 'HTTP_RESET']
      }),
    ),
    ['nonsense', { kind: 'nonsense' }, 'HTTP_PROTOCOL'],
    ['silence', { kind: 'hang' }, 'HTTP_TIMEOUT'],
    ['an answer that trickles for ever', { kind: 'trickle' }, 'HTTP_TIMEOUT'],
  ]
  for (const [name, conduct, code] of ends) {
    // Nothing may have come by the connection, or it is the answer that is at fault.
    const attempts = conduct.kind === 'reset' || (conduct.kind === 'cut' && conduct.where === 'start') ? 2 : 1
    check(
      `${name} is ${code} after ${attempts} attempts, and the next send goes on`,
      1,
      async (t, client, far, rig) => {
        far.conduct = () => noContent
        await client.send(post())
        far.conduct = () => conduct
        const error = await rig.passTime(
          failure(client.send(post({ timeoutMs: code === 'HTTP_TIMEOUT' ? 150 : 10_000 }))),
        )
        t.equal(error.code, code, error.message)
        t.equal(error.name, 'TaffrailError')
        t.ok(error.message.startsWith(`${far.origin}: `), error.message)
        t.equal(far.seen.length, 1 + attempts)
        far.conduct = () => noContent
        t.equal((await client.send(post())).status, 204)
        t.equal(far.connections, 1 + attempts)
      },
    )
  }

  check('what was ended by close does not arrive after it', 1, async (t, client, far, rig) => {
    await client.send(post())
    const sent = failure(client.send(post({ path: '/late' })))
    await client.close()
    t.equal((await sent).code, 'HTTP_FAILED')
    const other = rig.createClient(far.origin, { connections: 1 })
    t.teardown(() => other.close())
    for (let n = 0; n < 5; n++) await other.send(post({ path: '/other' }))
    t.notOk(far.seen.some(({ path }) => path === '/late'))
  })

  check('close ends what is under way, and there is no send after it', 1, async (t, client, far) => {
    far.conduct = () => ({ kind: 'hang' })
    const sent = [failure(client.send(post())), failure(client.send(post()))]
    await far.until(() => far.seen.length === 1)
    await client.close()
    sent.push(failure(client.send(post())))
    for (const error of await Promise.all(sent)) t.equal(error.code, 'HTTP_FAILED')
    t.equal(far.seen.length, 1)
    await client.close()
  })
}
