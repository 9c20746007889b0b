// The store of a real process on a real disk, killed with -9 while it commits: all that was confirmed is found.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import t from 'tap'
import { createCheckpointStore } from '../../src/checkpoint/store.ts'
import { realClock } from '../../src/ports/clock.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { RecordedEvents } from './rig.ts'

const CHILD = new URL('store.child.ts', import.meta.url).pathname
const LINEAGES = 40

/** Runs the child until it has confirmed `count` more, kills it, and returns the last that it had confirmed. */
async function killAfter(directory: string, count: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, directory, String(LINEAGES)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let confirmed = 0
  let seen = 0
  for await (const line of createInterface(child.stdout)) {
    confirmed = Number(line)
    if (++seen === count) child.kill('SIGKILL')
  }
  const [, signal] = await exited
  if (signal !== 'SIGKILL') throw new Error('the child ended by itself')
  return confirmed
}

t.test('killed with -9 at any moment, nothing that was confirmed is missing', async (t) => {
  const directory = `${t.testdir()}/state`
  // Some 58 commits fill the log to the size at which it is written anew.
  for (const count of [1, 2, 7, 23, 51, 59, 64, 180]) {
    const confirmed = await killAfter(directory, count)
    const events = new RecordedEvents()
    const store = createCheckpointStore({ directory, fs: realFileSystem.writes, clock: realClock, events })
    await store.open()
    const offsets = [...store.entries()].map(({ position }) => position.offset)
    t.equal(offsets.length, LINEAGES)
    // The commit under way may have come through in part or whole.
    t.ok(
      offsets.every((offset) => offset === confirmed || offset === confirmed + 1),
      `confirmed ${confirmed}`,
    )
    for (const { detail, movedTo } of events.of('checkpoint.damaged'))
      t.match(detail, /not a whole record/, movedTo ?? '')
    await store.close()
    t.ok(statSync(`${directory}/checkpoints.log`).size < 1.2 * 1024 * 1024)
  }
})
