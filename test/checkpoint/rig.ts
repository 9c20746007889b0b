// A checkpoint store on a disk in memory, with a clock that a test moves and its events on a list.

import type { CheckpointStore } from '../../src/checkpoint/checkpoints.ts'
import type { Position } from '../../src/checkpoint/position.ts'
import { createCheckpointStore } from '../../src/checkpoint/store.ts'
import type { AgentEvents, EventName, Events } from '../../src/core/events.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { FaultyFileSystem } from '../support/faulty-fs.ts'

export const DIRECTORY = '/state'
export const LOG = '/state/checkpoints.log'

export interface Rig {
  store: CheckpointStore
  clock: FakeClock
  events: RecordedEvents
}

export class RecordedEvents implements Events {
  readonly all: { name: EventName; detail: AgentEvents[EventName] }[] = []

  emit<Name extends EventName>(name: Name, detail: AgentEvents[Name]): void {
    this.all.push({ name, detail })
  }

  get names(): EventName[] {
    return this.all.map(({ name }) => name)
  }

  of<Name extends EventName>(name: Name): AgentEvents[Name][] {
    return this.all.filter((event) => event.name === name).map((event) => event.detail as AgentEvents[Name])
  }
}

/** A store that was opened, as after a start of the process. */
export async function openStore(fs: FaultyFileSystem, clock = new FakeClock()): Promise<Rig> {
  const events = new RecordedEvents()
  const store = createCheckpointStore({ directory: DIRECTORY, fs: fs.writes, clock, events })
  await store.open()
  return { store, clock, events }
}

/** A position like those of life, told apart by its offset. */
export function position(offset: number): Position {
  return {
    path: '/var/log/pods/shop_web-5d8f7c9b6d-x2x4z_3f9c2a10-0d0a-4e55-9a1e-444455556666/app/0.log',
    dev: 2049,
    ino: 1_234_567,
    head: '0123456789abcdef0123456789abcdef',
    headBytes: 140,
    offset,
    witness: 'fedcba9876543210fedcba9876543210',
    sizeSeen: offset + 1,
    times: [1_795_248_006, 123_456_789, 0],
    stamps: [],
  }
}

/** Offsets by key, for comparing. */
export function offsets(store: CheckpointStore): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { sink, lineage, position } of store.entries()) found[`${sink} ${lineage}`] = position.offset
  return found
}

/** Makes the operations of one kind fail with `code`, the first `times` of them. */
export function failing(operation: string, code: string, times = Number.POSITIVE_INFINITY): FaultyFileSystem['fault'] {
  let left = times
  return (asked) => (asked === operation && left-- > 0 ? code : null)
}
