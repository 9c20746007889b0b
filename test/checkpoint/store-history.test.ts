// Whatever happens in whatever order (changes, faults, kills, power cuts), each key comes back with a value that it had,
// and never with an older one than was known to be durable.

import t from 'tap'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultyFileSystem, type Operation } from '../support/faulty-fs.ts'
import fc from '../support/properties.ts'
import { openStore, position, type Rig } from './rig.ts'

const KEYS = ['a', 'b', 'c']

type Step =
  | { do: 'set' | 'delete'; key: string }
  | { do: 'advance'; ms: number }
  | { do: 'fail'; operation: Operation; code: string; times: number }
  | { do: 'grow' | 'flush' | 'heal' | 'kill' | 'powerCut' }

const times = fc.constantFrom(1, 2, 1000)
const code = fc.constantFrom('ENOSPC', 'EIO')
const operation = fc.constantFrom<Operation>('append', 'sync', 'truncate', 'rename', 'syncDirectory', 'openAppend')
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('set' as const), key: fc.constantFrom(...KEYS) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key: fc.constantFrom(...KEYS) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 50, 101, 250, 3000) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('fail' as const), operation, code, times }) },
  {
    weight: 9,
    arbitrary: fc.record({ do: fc.constantFrom('grow', 'flush', 'flush', 'heal', 'kill', 'powerCut', 'powerCut') }),
  },
) as fc.Arbitrary<Step>

/** What may be found on the disk: for each key all values it had, and how many of them are surely outlived. */
class History {
  readonly values = new Map<string, (number | undefined)[]>(KEYS.map((key) => [key, [undefined]]))
  readonly durable = new Map<string, number>(KEYS.map((key) => [key, 0]))

  add(key: string, value: number | undefined): void {
    this.values.get(key)!.push(value)
  }

  /** To be called later: all that was set up to now is durable. */
  mark(): () => void {
    const counts = KEYS.map((key) => [key, this.values.get(key)!.length - 1] as const)
    return () => {
      for (const [key, count] of counts) this.durable.set(key, Math.max(count, this.durable.get(key)!))
    }
  }

  /** What a store says after it was opened. */
  check({ store }: Rig): void {
    for (const key of KEYS) {
      const found = store.get('loki', key)?.offset
      const allowed = this.values.get(key)!.slice(this.durable.get(key))
      if (!allowed.includes(found)) throw new Error(`${key} came back as ${found}, not as one of ${allowed.join(', ')}`)
      this.add(key, found)
    }
  }
}

async function live(seed: number, steps: readonly Step[]): Promise<void> {
  const clock = new FakeClock()
  const history = new History()
  let fs = new FaultyFileSystem(seed)
  let rig = await openStore(fs, clock)
  let value = 0
  const restart = async (next: FaultyFileSystem, fault: FaultyFileSystem['fault']) => {
    fs = next
    fs.fault = fault
    rig = await openStore(fs, clock)
    history.check(rig)
  }
  for (const step of steps) {
    if (step.do === 'set') {
      rig.store.set('loki', step.key, position(++value))
      history.add(step.key, value)
    } else if (step.do === 'delete') {
      rig.store.delete('loki', step.key)
      history.add(step.key, undefined)
    } else if (step.do === 'grow') {
      // So much of another sink's that the log is about to be written anew.
      for (let index = 0; index < 2500; index++) rig.store.set('es', String(index % 50), position(index))
      for (let index = 0; index < 2500; index++) rig.store.set('es', String(index), position(index))
      for (let index = 0; index < 2500; index++) rig.store.delete('es', String(index))
    } else if (step.do === 'advance') await clock.advance(step.ms)
    else if (step.do === 'flush') rig.store.flush().then(history.mark(), () => {})
    else if (step.do === 'heal') fs.fault = () => null
    else if (step.do === 'fail') {
      let left = step.times
      fs.fault = (asked) => (asked === step.operation && left-- > 0 ? step.code : null)
    } else await restart(step.do === 'kill' ? fs.kill() : fs.powerCut(), fs.fault)
    // A status of nothing pending claims the same as a flush.
    const { pending, failing } = rig.store.status()
    if (pending === 0 && failing === null) history.mark()()
  }
  fs.fault = () => null
  await clock.advance(10_250)
  const { pending, failing } = rig.store.status()
  if (pending > 0 || failing !== null) throw new Error(`still ${pending} pending on a sound disk: ${failing}`)
  history.mark()()
  await restart(fs.powerCut(), () => null)
}

t.test('every key comes back, as new as was promised', async () => {
  const seed = fc.integer({ min: 0, max: 1_000_000 })
  await fc.assert(
    fc.asyncProperty(seed, fc.array(step, { maxLength: 40 }), (seed, steps) => live(seed, steps)),
    { numRuns: 300 },
  )
})
