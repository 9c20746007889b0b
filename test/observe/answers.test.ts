import t from 'tap'
import { shared } from '../../src/observe/answers.ts'
import { fakeClock } from './fake-clock.ts'

t.test('a value is kept for 19 times as long as making it took', async (t) => {
  const clock = fakeClock()
  let made = 0
  const get = shared(clock, () => {
    clock.advance(10)
    return ++made
  })
  t.equal(get(), 1)
  clock.advance(189)
  t.equal(get(), 1)
  clock.advance(1)
  t.equal(get(), 2)
})

t.test('what costs nothing is never old', async (t) => {
  let made = 0
  const get = shared(fakeClock(), () => ++made)
  t.same([get(), get(), get()], [1, 2, 3])
})

t.test('a pause while it was made does not keep it for long', async (t) => {
  const clock = fakeClock()
  let made = 0
  const get = shared(clock, () => {
    clock.advance(60_000)
    return ++made
  })
  get()
  clock.advance(2_000)
  t.equal(get(), 2)
})

t.test('a failure is not kept, nor is the value before it', async (t) => {
  let made = 0
  const get = shared(fakeClock(), () => {
    if (++made === 2) throw new Error('broken')
    return made
  })
  t.equal(get(), 1)
  t.throws(get, { message: 'broken' })
  t.equal(get(), 3)
})

t.test('a promise is shared while it is pending, then kept by its cost', async (t) => {
  const clock = fakeClock()
  const pending: ((value: string) => void)[] = []
  const get = shared(clock, () => new Promise<string>((resolve) => pending.push(resolve)))
  const first = get()
  clock.advance(100)
  t.equal(get(), first)
  pending[0]!('a')
  await first
  clock.advance(1_899)
  t.equal(get(), first)
  clock.advance(1)
  t.not(get(), first)
})

t.test('a rejected promise is not kept', async (t) => {
  let made = 0
  const get = shared(fakeClock(), async () => {
    if (++made === 1) throw new Error('broken')
    return made
  })
  await t.rejects(get(), { message: 'broken' })
  t.equal(await get(), 2)
})
