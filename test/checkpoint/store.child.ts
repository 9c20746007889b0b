// Sets all lineages to 1, 2, 3, … and prints each number once it is flushed, until it is killed.
import { writeSync } from 'node:fs'
import { createCheckpointStore } from '../../src/checkpoint/store.ts'
import { silentEvents } from '../../src/core/events.ts'
import { realClock } from '../../src/ports/clock.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { position } from './rig.ts'

const [directory, lineages] = process.argv.slice(2)
const options = { directory: directory!, fs: realFileSystem.writes, clock: realClock, events: silentEvents }
const store = createCheckpointStore(options)
await store.open()
for (let value = (store.get('loki', '0')?.offset ?? 0) + 1; ; value++) {
  for (let index = 0; index < Number(lineages); index++) store.set('loki', String(index), position(value))
  await store.flush()
  writeSync(1, `${value}\n`)
}
