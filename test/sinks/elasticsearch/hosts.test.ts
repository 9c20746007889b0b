// The hosts of a cluster: in turn, without those that do not answer, which are asked again after a rest that doubles.
import t from 'tap'
import { TaffrailError } from '../../../src/core/errors.ts'
import type { HttpClient, HttpRequest } from '../../../src/ports/http.ts'
import { Hosts } from '../../../src/sinks/elasticsearch/hosts.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const REQUEST: HttpRequest = { method: 'POST', path: '/_bulk', headers: {}, timeoutMs: 1000 }

function rig(names: readonly string[]) {
  const clock = new FakeClock()
  /** Hosts in the order in which they were asked. */
  const asked: string[] = []
  /** By host: a status, or null where nobody answers. */
  const answers = new Map<string, number | null>()
  const createClient = (origin: string): HttpClient => ({
    send: async ({ path }) => {
      const name = new URL(origin).hostname
      asked.push(name + path)
      const status = answers.get(name) ?? (answers.has(name) ? null : 200)
      if (status === null) throw new TaffrailError('HTTP_REFUSED', `${name}: refused`)
      return { status, headers: {}, body: Buffer.alloc(0) }
    },
    close: async () => {},
  })
  const hosts = new Hosts(
    names.map((name) => `http://${name}`),
    createClient,
    clock,
  )
  /** Sends one request; the hosts that were asked for it, and its end. */
  const send = async () => {
    const before = asked.length
    const end = await hosts.send(REQUEST).then(
      ({ status }) => String(status),
      ({ message }: Error) => message,
    )
    return [...asked.slice(before).map((each) => each.replace('/_bulk', '')), end].join(' ')
  }
  return { clock, answers, send }
}

t.test('each in its turn, with its path', async (t) => {
  const { send } = rig(['a', 'b/prefix/', 'c'])
  t.strictSame([await send(), await send(), await send(), await send()], ['a 200', 'b/prefix 200', 'c 200', 'a 200'])
})

t.test('a request goes on to a host that is well; one that is not rests, longer each time', async (t) => {
  const { clock, answers, send } = rig(['a', 'b'])
  answers.set('a', null)
  t.equal(await send(), 'a b 200')
  for (const restMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
    await clock.advance(restMs - 1)
    t.strictSame([await send(), await send()], ['b 200', 'b 200'], `rests for ${restMs} ms`)
    await clock.advance(1)
    t.equal(await send(), 'a b 200', 'asked again')
  }
  answers.delete('a')
  await clock.advance(60_000)
  t.strictSame([await send(), await send(), await send()], ['a 200', 'b 200', 'a 200'])
  answers.set('a', null)
  await send()
  await send()
  await clock.advance(1000)
  t.strictSame([await send(), await send()].sort(), ['a b 200', 'b 200'], 'what was long ago is forgotten')
})

t.test('while none is well one alone is asked each time', async (t) => {
  const { clock, answers, send } = rig(['a', 'b', 'c'])
  for (const name of ['a', 'b', 'c']) answers.set(name, null)
  t.equal(await send(), 'a b c c: refused')
  t.equal(await send(), 'a a: refused', 'the one that is due first')
  t.equal(await send(), 'b b: refused')
  answers.delete('c')
  t.equal(await send(), 'c 200')
  t.equal(await send(), 'c 200', 'the others rest')
  answers.clear()
  await clock.advance(2000)
  t.strictSame([await send(), await send(), await send()].sort(), ['a 200', 'b 200', 'c 200'])
})

t.test('which answers are those of a host that has nobody to ask', async (t) => {
  for (const status of [502, 503, 504]) {
    const { answers, send } = rig(['a', 'b'])
    answers.set('a', status)
    t.strictSame([await send(), await send()], ['a b 200', 'b 200'], String(status))
    answers.set('b', status)
    t.equal(await send(), `b ${status}`, 'the last one’s answer is the answer')
  }
  for (const status of [200, 400, 401, 413, 429, 500]) {
    const { answers, send } = rig(['a', 'b'])
    answers.set('a', status)
    t.strictSame([await send(), await send(), await send()], [`a ${status}`, 'b 200', `a ${status}`])
  }
})
