// A line that is open at an acknowledgement is ended later by force: at its file's end, or after 16 MiB of other rows.
// It was not among what was acknowledged, and must come out.
import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Entry, MARK_PARTIAL_OPEN } from '../../src/core/entry.ts'
import { silentEvents } from '../../src/core/events.ts'
import { Ledger } from '../../src/core/ledger.ts'
import { Directories } from '../../src/discover/directory.ts'
import { ContainerListing } from '../../src/discover/listings.ts'
import { realClock } from '../../src/ports/clock.ts'
import { realGunzip } from '../../src/ports/gunzip.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { Lineage } from '../../src/tail/lineage.ts'
import { Reader } from '../../src/tail/reader.ts'
import type { EntryWriter } from '../../src/tail/writer.ts'

const TIME = '2026-11-21T07:56:02.417351668Z'

/** Reads a container's directory to its end, acknowledging after every entry; gives each as stream, marks and text. */
function readOneByOne(t: Test, directory: string): string[] {
  const { reads: fs } = realFileSystem
  const deps = { fs, clock: realClock, gunzip: realGunzip, events: silentEvents }
  const info = { source: 'c', sourceType: 'containers', key: 'c', path: '', podUid: '' } as const
  const names = { namespace: 'shop', pod: 'cart', container: 'cart' }
  const counters = { rotations: 0, truncations: 0, filesRefused: 0, fileErrors: 0 }
  const listing = new ContainerListing(new Directories(fs, realClock), directory, [directory], fs)
  const lineage = new Lineage({ ...info, ...names }, listing, [directory], { ...deps, counters })
  const ledger = new Ledger()
  const options = { sink: 's', format: 'container', startAt: 'beginning', startAgeMax: null, once: true } as const
  const limits = { lineBytesMax: 256 * 1024, ledger, wake: () => {} }
  const reader = new Reader(lineage, undefined, { ...options, ...limits }, deps)
  const out: string[] = []
  let entries = 0
  const bytes: [number, number] = [0, 0]
  const writer: EntryWriter = {
    roomBytes: 1024 * 1024,
    fits: () => entries === 0,
    write({ stream, marks, buffer, messageStart, messageEnd, sourceBytes, sourceLines }: Entry) {
      entries++
      bytes[0] += sourceBytes
      bytes[1] += sourceLines
      out.push(`${stream} ${marks} ${buffer.toString('latin1', messageStart, Math.min(messageEnd, messageStart + 20))}`)
    },
  }
  lineage.look()
  const block = Buffer.alloc(512 * 1024)
  for (let fills = 0; fills < 1000 && reader.hasWork; fills++) {
    entries = 0
    bytes.fill(0)
    reader.fill(writer, block, 2 * 1024 * 1024)
    ledger.ack(...bytes)
    reader.settled(...bytes)
    reader.commit()
  }
  lineage.close()
  t.same(ledger.imbalance(), { bytes: 0, lines: 0 })
  return out
}

t.test('a container dies in a line and comes back', async (t) => {
  const directory = t.testdir({
    '0.log': `${TIME} stdout F one\n${TIME} stdout P cut sh`,
    '1.log': `${TIME} stdout F two\n`,
  })
  writeFileSync(`${directory}/0.log`, '\n', { flag: 'a' })
  t.same(readOneByOne(t, directory), ['0 0 one', '0 0 cut sh', '0 0 two'])
})

t.test('an open line of stdout among 17 MiB of stderr', async (t) => {
  const directory = t.testdir({ '0.log': '' })
  const rows = [`${TIME} stdout P open`, ...Array<string>(170).fill(`${TIME} stderr F ${'x'.repeat(100 * 1024)}`)]
  writeFileSync(`${directory}/0.log`, `${rows.join('\n')}\n`)
  const out = readOneByOne(t, directory)
  t.same(
    out.filter((line) => line.startsWith('0')),
    [`0 ${MARK_PARTIAL_OPEN} open`],
  )
  t.equal(out.length, 171)
})
