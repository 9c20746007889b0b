// A watcher against everything that an API server may do, on a clock that the test moves; and what a real one was
// recorded to say, said again.
import t, { type Test } from 'tap'
import { ApiServer } from '../../src/enrich/api-server.ts'
import { type Collection, type KubeObject, type Receiver, statusError, Watcher } from '../../src/enrich/watcher.ts'
import type { HttpClientFactory } from '../../src/ports/http.ts'
import { EventLog } from '../agent/world.ts'
import { FakeApiServer, type KubeThing, type Refusal } from '../support/fake-api-server.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type Recorded, readRecorded } from '../support/recorded-watch.ts'

const PODS: Collection = { resource: 'pods', selector: 'fieldSelector=spec.nodeName%3Dnode-1', metadataOnly: true }

/** Remembers names and, of each, how often it was put; what a list did not name is forgotten. */
class Names implements Receiver {
  readonly names = new Map<string, number>()
  lists = 0
  #seen = new Set<string>()

  listing(): void {
    this.#seen = new Set()
  }

  put({ metadata }: KubeObject): void {
    const name = metadata?.name as string
    this.names.set(name, (this.names.get(name) ?? 0) + 1)
    this.#seen.add(name)
  }

  listed(): void {
    this.lists++
    for (const name of this.names.keys()) if (!this.#seen.has(name)) this.names.delete(name)
  }

  deleted({ metadata }: KubeObject): void {
    this.names.delete(metadata?.name as string)
  }

  get all(): string[] {
    return [...this.names.keys()].sort()
  }
}

function pod(name: string, nodeName = 'node-1'): KubeThing {
  const metadata = { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '' }
  return { kind: 'Pod', apiVersion: 'v1', metadata, spec: { nodeName } }
}

function start(t: Test, over: { clock?: FakeClock; http?: HttpClientFactory; random?: () => number } = {}) {
  const clock = over.clock ?? new FakeClock()
  const server = new FakeApiServer()
  const names = new Names()
  const events = new EventLog()
  const access = { origin: 'http://api', prefix: '', tls: {}, authorization: () => 'Bearer t', from: 'test' }
  const api = new ApiServer(access, over.http ?? server.client(clock))
  const watcher = new Watcher(PODS, names, {
    api,
    clock,
    random: over.random ?? (() => 0.5),
    events,
  })
  t.teardown(() => watcher.stop())
  /** Since it was last asked: `list`, `page`, or `watch` and from where. */
  let asked = 0
  const requests = () => {
    const since = server.seen.slice(asked)
    asked = server.seen.length
    return since.map(({ query }) => {
      if (query.get('watch') === '1') return 'watch'
      return query.has('continue') ? 'page' : `list ${query.get('resourceVersion') ?? 'latest'}`
    })
  }
  return { clock, server, names, events, watcher, requests }
}

t.test('a list in pages, then a watch', async (t) => {
  const { clock, server, names, watcher, requests } = start(t)
  for (let i = 0; i < 250; i++) server.put(pod(`p${i}`))
  server.put(pod('elsewhere', 'node-2'))
  watcher.start()
  await clock.advance(100)
  t.equal(names.names.size, 250)
  t.strictSame(requests(), ['list 0', 'page', 'page', 'watch'])
  server.put(pod('new'))
  server.put(pod('elsewhere-2', 'node-2'))
  server.delete('Pod', { name: 'p7', namespace: 'ns' })
  await clock.advance(10)
  t.equal(names.names.size, 250)
  t.ok(names.names.has('new') && !names.names.has('p7'))
  t.equal(watcher.status.state, 'ok')
  t.ok(server.seen.every(({ headers }) => headers.authorization === 'Bearer t'))
  const watch = server.seen.at(-1)?.query
  t.equal(watch?.get('allowWatchBookmarks'), 'true')
  t.ok(Number(watch?.get('timeoutSeconds')) >= 300)
})

t.test('a watch that ends is gone on with, from the last bookmark', async (t) => {
  const { clock, server, names, watcher, requests } = start(t)
  server.put(pod('a'))
  watcher.start()
  await clock.advance(60_000)
  server.put(pod('elsewhere', 'node-2'))
  server.bookmark()
  await clock.advance(1000)
  const at = server.seen.at(-1)?.query.get('resourceVersion')
  requests()
  server.endWatches('end')
  server.put(pod('b'))
  await clock.advance(10)
  t.strictSame(requests(), ['watch'])
  t.ok(Number(server.seen.at(-1)?.query.get('resourceVersion')) > Number(at), 'as the bookmark said')
  t.strictSame(names.all, ['a', 'b'])
  // The connection breaks, events happen meanwhile.
  server.endWatches('break')
  server.put(pod('c'))
  server.delete('Pod', { name: 'a', namespace: 'ns' })
  await clock.advance(2000)
  t.strictSame(requests(), ['watch'])
  t.strictSame(names.all, ['b', 'c'])
  t.equal(names.lists, 1)
})

t.test('too old to go on: an ERROR event, and HTTP 410', async (t) => {
  const { clock, server, names, events, watcher, requests } = start(t)
  server.put(pod('a'))
  server.put(pod('b'))
  watcher.start()
  await clock.advance(1000)
  requests()
  // Deleted in a time of which nothing is told any more.
  server.endWatches('break')
  server.delete('Pod', { name: 'a', namespace: 'ns' })
  server.compact()
  await clock.advance(3000)
  t.strictSame(requests(), ['watch', 'list latest', 'watch'])
  t.strictSame(names.all, ['b'])
  t.match(events.of('kubernetes.relisted'), [{ resource: 'pods', reason: 'expired' }])
  let once = true
  server.refuse = ({ query }) => {
    if (!once || query.get('watch') !== '1') return null
    once = false
    return { status: 410, message: 'too old resource version: 1 (2)' }
  }
  server.endWatches('end')
  await clock.advance(3000)
  t.strictSame(requests(), ['watch', 'list latest', 'watch'])
  t.equal(events.of('kubernetes.failed').filter(({ status }) => (status as never) === 410).length, 0)
})

t.test('a list whose pages grow too old in the middle is asked for whole', async (t) => {
  const { clock, server, names, watcher, requests } = start(t)
  for (let i = 0; i < 250; i++) server.put(pod(`p${i}`))
  server.refuse = ({ query }) => {
    if (query.has('continue') && names.lists === 0) server.compact()
    return null
  }
  watcher.start()
  await clock.advance(5000)
  t.equal(names.names.size, 250)
  t.strictSame(requests(), ['list 0', 'page', 'list latest', 'watch'])
  t.equal(server.seen[2]?.query.get('limit'), null)
})

t.test('an ERROR of another kind', async (t) => {
  const { clock, server, names, events, watcher, requests } = start(t)
  server.put(pod('a'))
  watcher.start()
  await clock.advance(1000)
  requests()
  server.endWatches({ code: 500, message: 'etcdserver: leader changed' })
  server.put(pod('b'))
  await clock.advance(5000)
  t.strictSame(requests(), ['watch'], 'the same place')
  t.strictSame(names.all, ['a', 'b'])
  t.match(events.of('kubernetes.failed'), [{ resource: 'pods', status: 500, error: { message: /leader changed/ } }])
  t.match(events.of('kubernetes.recovered'), [{ resource: 'pods' }])
})

t.test('silence', async (t) => {
  const { clock, server, names, watcher, requests } = start(t)
  server.put(pod('a'))
  watcher.start()
  await clock.advance(1000)
  server.bookmark()
  requests()
  // A connection that is dead without knowing it.
  const [before] = [server.watchers]
  await clock.advance(179_000)
  t.strictSame(requests(), [])
  await clock.advance(5000)
  t.strictSame(requests(), ['watch'], 'it had spoken: gone on with')
  t.equal(before, 1)
  // And one that never says a word at all is not to be believed.
  await clock.advance(181_000)
  t.strictSame(requests(), ['list latest', 'watch'])
  t.strictSame(names.all, ['a'])
})

t.test('a version of the future hangs; all is listed again', async (t) => {
  const { clock, server, names, watcher, requests } = start(t)
  server.put(pod('a'))
  watcher.start()
  await clock.advance(1000)
  // Another store behind the same name, restored from a backup.
  const other = new FakeApiServer()
  other.put(pod('b'))
  const handle = server.handle.bind(server)
  server.handle = (path, headers, answer) => {
    server.seen.push({ path, query: new URL(path, 'http://x').searchParams, headers })
    return other.handle(path, headers, answer)
  }
  requests()
  server.endWatches('break')
  await clock.advance(1000)
  t.strictSame(requests(), ['watch'])
  await clock.advance(182_000)
  t.strictSame(requests(), ['list latest', 'watch'])
  t.strictSame(names.all, ['b'])
  server.handle = handle
})

t.test('refused: the rule that is missing is named, and it goes on when it is granted', async (t) => {
  const { clock, server, names, events, watcher } = start(t)
  const message = 'pods is forbidden: User "system:serviceaccount:logging:taffrail" cannot list resource "pods"'
  let refusal: Refusal = { status: 403, message }
  server.refuse = () => refusal
  server.put(pod('a'))
  watcher.start()
  await clock.advance(600_000)
  const [first] = events.of('kubernetes.forbidden')
  t.match(first, { resource: 'pods', rule: '{apiGroups: [""], resources: [pods], verbs: [list, watch]}' })
  t.match(first, { message: /cannot list resource/ })
  t.equal(watcher.status.state, 'refused')
  t.match(watcher.status.lastError, /grant: \{apiGroups/)
  t.ok(server.seen.length < 40, `${server.seen.length} requests in ten minutes`)
  refusal = null
  await clock.advance(61_000)
  t.strictSame(names.all, ['a'])
  t.equal(watcher.status.state, 'ok')
  t.equal(watcher.status.lastError, null)
})

t.test(
  'a server that was restarted forbids everything for a moment: nobody is told to grant what is granted',
  async (t) => {
    const { clock, server, names, events, watcher } = start(t)
    server.put(pod('a'))
    watcher.start()
    await clock.advance(1000)
    const refuse = (times: number) => {
      let left = times
      server.refuse = () => (left-- > 0 ? { status: 403, message: 'pods is forbidden' } : null)
      server.endWatches('break')
    }
    refuse(2)
    await clock.advance(30_000)
    server.put(pod('b'))
    await clock.advance(10)
    t.strictSame(names.all, ['a', 'b'])
    t.equal(events.of('kubernetes.forbidden').length, 0)
    t.equal(watcher.status.state, 'ok')
    // Taken away for good.
    refuse(1000)
    await clock.advance(30_000)
    t.ok(events.of('kubernetes.forbidden').length > 0)
    t.equal(watcher.status.state, 'refused')
  },
)

t.test('a server that was away and forbids everything at first is asked again within seconds', async (t) => {
  const { clock, server, names, watcher } = start(t)
  watcher.start()
  await clock.advance(1000)
  const backAt = clock.monotonic() + 30_000
  let forbidden = 0
  server.refuse = () => {
    if (clock.monotonic() < backAt) return 'break'
    return ++forbidden <= 2 ? { status: 403, message: 'pods is forbidden' } : null
  }
  server.endWatches('break')
  server.put(pod('a'))
  while (forbidden === 0) await clock.advance(100)
  await clock.advance(5000)
  t.strictSame(names.all, ['a'])
})

t.test('a server that is down, slow, or wants to be left alone', async (t) => {
  const { clock, server, names, events, watcher } = start(t)
  const refusals: Refusal[] = [
    'break',
    'hang',
    { status: 503, message: 'starting' },
    { status: 429, message: 'too many requests', headers: { 'Retry-After': '30' } },
    { status: 401, message: 'Unauthorized' },
  ]
  server.put(pod('a'))
  const times: number[] = []
  server.refuse = () => {
    times.push(clock.monotonic())
    return refusals.shift() ?? null
  }
  watcher.start()
  await clock.advance(120_000)
  t.strictSame(names.all, ['a'])
  t.equal(events.of('kubernetes.failed').length, 5)
  t.ok(times[4]! - times[3]! >= 30_000, 'Retry-After')
  t.ok(times[2]! - times[1]! >= 30_000, 'an answer is waited for')
})

t.test('delays are spread and grow', async (t) => {
  let seed = 1
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const { clock, server, watcher } = start(t, { random })
  const times: number[] = []
  server.refuse = () => {
    times.push(clock.monotonic())
    return { status: 500, message: 'no' }
  }
  watcher.start()
  await clock.advance(600_000)
  const delays = times.slice(1).map((at, i) => at - times[i]!)
  t.ok(Math.max(...delays) > 20_000 && Math.max(...delays) <= 31_000)
  t.ok(new Set(delays.slice(10).map((delay) => Math.round(delay / 1000))).size > 5, 'spread')
  t.ok(times.length < 80, `${times.length} requests in ten minutes`)
})

t.test('nonsense in a watch', async (t) => {
  const { clock, server, names, events, watcher, requests } = start(t)
  server.put(pod('a'))
  watcher.start()
  await clock.advance(1000)
  requests()
  server.garble('{"type":"ADDED","object":{"metadata":}}\n')
  server.put(pod('b'))
  await clock.advance(5000)
  t.strictSame(names.all, ['a', 'b'])
  t.strictSame(requests(), ['watch'])
  t.match(events.of('kubernetes.failed'), [{ error: { code: 'KUBERNETES_ANSWER' } }])
})

t.test('something else answers in its place: told, asked less and less often, and what was known stays', async (t) => {
  for (const page of ['{"error":"please log in"}', '}', '<html>log in</html>']) {
    const { clock, server, names, watcher, requests } = start(t)
    server.put(pod('a'))
    watcher.start()
    await clock.advance(1000)
    server.endWatches('break')
    requests()
    const handle = server.handle.bind(server)
    server.handle = (path, headers, answer) => {
      server.seen.push({ path, query: new URL(path, 'http://x').searchParams, headers })
      answer.head(200, {})
      answer.write(page)
      answer.end()
      return () => {}
    }
    await clock.advance(600_000)
    const { length } = requests()
    t.ok(length < 60, `${page}: ${length} requests in ten minutes`)
    if (page !== '<html>log in</html>') t.equal(watcher.status.state, 'retrying', page)
    t.strictSame(names.all, ['a'])
    server.handle = handle
    server.put(pod('b'))
    await clock.advance(31_000)
    t.strictSame(names.all, ['a', 'b'], page)
    t.equal(watcher.status.state, 'ok')
  }
})

t.test('agents that are told at once that they are too old do not list at once', async (t) => {
  const clock = new FakeClock()
  const listed: number[] = []
  const agents = Array.from({ length: 40 }, (_, i) => {
    const { server, watcher } = start(t, { clock, random: () => (i + 0.5) / 40 })
    watcher.start()
    return server
  })
  await clock.advance(1000)
  for (const server of agents) {
    server.refuse = ({ query }) => {
      if (query.get('watch') !== '1') listed.push(clock.monotonic())
      return null
    }
    server.endWatches({ code: 410, message: 'too old resource version' })
  }
  const from = clock.monotonic()
  await clock.advance(5000)
  t.equal(listed.length, 40)
  for (const quarter of [0, 1, 2, 3]) {
    const within = listed.filter((at) => Math.floor((at - from) / 250) === quarter)
    t.ok(within.length <= 11, `${within.length} of 40 in quarter ${quarter} of a second`)
  }
})

t.test('stopped, it ends its request and says no more', async (t) => {
  const { clock, server, names, watcher } = start(t)
  watcher.start()
  await clock.advance(100)
  t.equal(server.watchers, 1)
  await watcher.stop()
  t.equal(server.watchers, 0)
  server.put(pod('late'))
  await clock.advance(600_000)
  t.strictSame(names.all, [])
  t.equal(clock.timerCount, 0)
})

/** Says what was recorded, one answer after the other; then nothing more. */
function recorded(clock: FakeClock, answers: Recorded[], seen: string[]): HttpClientFactory {
  return () => ({
    close: async () => {},
    send: async ({ path, stream }) => {
      seen.push(path)
      await clock.sleep(1)
      const answer = answers.shift()
      if (answer === undefined) {
        return new Promise((_, reject) => stream?.signal.addEventListener('abort', () => reject(new Error('given up'))))
      }
      const { status, headers, lines } = answer
      if (status !== 200) return { status, headers, body: Buffer.from(lines.join('')) }
      for (const line of lines) stream?.onChunk(Buffer.from(line))
      return { status, headers, body: Buffer.alloc(0) }
    },
  })
}

t.test('what a real server was recorded to say', async (t) => {
  const frame = { kind: 'PodList', metadata: { resourceVersion: '378' }, items: [] }
  const whole: Recorded = { status: 200, headers: {}, lines: [JSON.stringify(frame)] }
  // What is asked for after it, and the pods that are known then.
  const cases: [answers: (string | Recorded)[], next: RegExp, pods: number][] = [
    [['list-limit2'], /limit=100&continue=eyJ2Ijoi/, 2],
    [['list-limit2', 'list-continue-expired-410'], /pods\?fieldSelector=spec.nodeName%3Dnode-1$/, 2],
    [['list-exact-compacted-410'], /limit=100$/, 0],
    [['watch-secrets-403'], /resourceVersion=0$/, 0],
    [[whole, 'watch-bookmarks-churn'], /watch=1.*resourceVersion=471&/, 6],
    [[whole, 'watch-list-streaming'], /watch=1.*resourceVersion=\d+&/, 9],
    [[whole, 'watch-apiserver-restart'], /watch=1.*resourceVersion=486&/, 3],
    [[whole, 'watch-rv1-410'], /limit=100$/, 0],
    [[whole, 'watch-rv-compacted-410'], /limit=100$/, 0],
    [[whole, 'watch-rv-bad'], /watch=1.*resourceVersion=378/, 0],
    [[whole, 'watch-rv-bad', 'watch-rv-bad', 'watch-rv-bad'], /limit=100$/, 0],
  ]
  for (const [answers, next, pods] of cases) {
    const name = answers.filter((each) => typeof each === 'string').join()
    const clock = new FakeClock()
    const seen: string[] = []
    const said = answers.map((each) => (typeof each === 'string' ? readRecorded(each) : each))
    const { names, watcher } = start(t, { clock, http: recorded(clock, said, seen) })
    watcher.start()
    await clock.advance(30_000)
    t.match(seen[answers.length], next, `${name}: what is asked for next`)
    t.equal(names.names.size, pods, `${name}: pods`)
    t.equal(seen.length, answers.length + 1, name)
    await watcher.stop()
  }
})

t.test('an error of many words is told in a thousand characters', async (t) => {
  const body = Buffer.from(JSON.stringify({ message: 'x'.repeat(60_000) }))
  t.ok(statusError({ status: 500, headers: {}, body }, 0).message.length < 1100)
})
