import t from 'tap'
import { nearest } from '../../src/config/nearest.ts'

const KEYS = ['name', 'url', 'tenant', 'batchBytesMax', 'batchAgeMax', 'retryDelayMin', 'retryDelayMax']

t.test('finds the word that was meant, and none where none is near', async (t) => {
  const table: [string, string | null][] = [
    ['batchByteMax', 'batchBytesMax'],
    ['batchBytesmax', 'batchBytesMax'],
    ['batch_bytes_max', 'batchBytesMax'],
    ['batch-age-max', 'batchAgeMax'],
    ['ulr', 'url'],
    ['tennant', 'tenant'],
    ['retryDelayMxa', 'retryDelayMax'],
    ['NAME', 'name'],
    ['endpoint', null],
    ['x', null],
    ['', null],
    ['x'.repeat(100_000), null],
  ]
  for (const [word, expected] of table) t.equal(nearest(word, KEYS), expected, word.slice(0, 20))
})

t.test('prefers the nearest to the first', async (t) => {
  t.equal(nearest('retryDelayMax', ['retryDelayMin', 'retryDelayMax']), 'retryDelayMax')
  t.equal(nearest('anything', []), null)
})
