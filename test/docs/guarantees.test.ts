// docs/guarantees.md names the tests that show its promises: each must exist, and no promise of its table goes without.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TEXT = readFileSync(`${ROOT}docs/guarantees.md`, 'utf8')

t.test('every test that is named exists', async (t) => {
  const named = new Set(TEXT.match(/\btest\/[\w./-]+\.ts\b/g))
  t.ok(named.size > 20, `${named.size} are named`)
  for (const path of named) t.ok(existsSync(ROOT + path), path)
})

t.test('every fate of bytes names a test', async (t) => {
  const table = TEXT.slice(TEXT.indexOf('| What happens |'), TEXT.indexOf('## Progress is'))
  const rows = table.trim().split('\n').slice(2)
  t.ok(rows.length > 10)
  for (const row of rows) {
    const cells = row.split('|').slice(1, -1)
    t.equal(cells.length, 3, row)
    t.match(cells[2], /`test\/[\w./-]+\.test\.ts`/, row)
  }
})
