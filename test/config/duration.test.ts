import t from 'tap'
import { formatDuration, parseDuration } from '../../src/config/duration.ts'
import fc from '../support/properties.ts'

t.test('parses what Go writes, and days', async (t) => {
  const table: [string, number | null][] = [
    ['250ms', 250],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['168h', 604_800_000],
    ['7d', 604_800_000],
    ['1d12h', 129_600_000],
    ['1.5s', 1500],
    ['1.001s', 1001],
    ['0s', 0],
    ['5', null],
    ['0', null],
    ['', null],
    ['s', null],
    ['5 s', null],
    ['5S', null],
    ['-5s', null],
    ['5us', null],
    ['1w', null],
    ['5s3', null],
    ['999999999999d', null],
  ]
  for (const [text, ms] of table) t.equal(parseDuration(text), ms, JSON.stringify(text))
})

t.test('formats as people write', async (t) => {
  const table: [number, string][] = [
    [0, '0s'],
    [250, '250ms'],
    [1000, '1s'],
    [1500, '1s500ms'],
    [90_000, '1m30s'],
    [604_800_000, '168h'],
  ]
  for (const [ms, text] of table) t.equal(formatDuration(ms), text)
})

t.test('what is formatted parses to the same milliseconds', async () => {
  fc.assert(fc.property(fc.nat(2 ** 50), (ms) => parseDuration(formatDuration(ms)) === ms))
})
