import t from 'tap'
import { formatCores, formatQuantity, parseCores, parseQuantity } from '../../src/config/quantity.ts'
import fc from '../support/properties.ts'

t.test('parses what Kubernetes writes', async (t) => {
  const table: [string, number | null][] = [
    ['0', 0],
    ['1048576', 1_048_576],
    ['96Mi', 96 * 2 ** 20],
    ['256Ki', 256 * 1024],
    ['2Gi', 2 ** 31],
    ['128k', 128_000],
    ['96M', 96_000_000],
    ['2G', 2e9],
    ['3.5Mi', 3_670_016],
    ['1.1M', 1_100_000],
    // Not a whole byte: rounded up.
    ['0.3Ki', 308],
    ['8191Gi', 8191 * 2 ** 30],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740992', null],
    ['9999999Gi', null],
    ['500m', null],
    ['96MB', null],
    ['96MiB', null],
    ['96mi', null],
    ['96K', null],
    ['96 Mi', null],
    [' 96Mi', null],
    ['-1', null],
    ['1e6', null],
    ['0x10', null],
    ['.5Mi', null],
    ['Mi', null],
    ['', null],
  ]
  for (const [text, bytes] of table) t.equal(parseQuantity(text), bytes, JSON.stringify(text))
})

t.test('formats in the shortest exact way', async (t) => {
  const table: [number, string][] = [
    [0, '0'],
    [1, '1'],
    [1000, '1k'],
    [1024, '1Ki'],
    [1025, '1025'],
    [96 * 2 ** 20, '96Mi'],
    [3_670_016, '3.5Mi'],
    [96_000_000, '96M'],
    [2 ** 30, '1Gi'],
  ]
  for (const [bytes, text] of table) t.equal(formatQuantity(bytes), text)
})

t.test('what is formatted parses to the same bytes', async () => {
  const units = fc.constantFrom(1, 256, 1000, 1024, 2 ** 18, 1e6, 2 ** 20, 1e9, 2 ** 30)
  const bytes = fc.oneof(
    fc.maxSafeNat(),
    fc.tuple(units, fc.nat(4000)).map(([unit, count]) => unit * count),
  )
  fc.assert(fc.property(bytes, (value) => parseQuantity(formatQuantity(value)) === value))
})

t.test('CPU in cores or thousandths of one', async (t) => {
  const table: [string, number | null][] = [
    ['500m', 500],
    ['0.5', 500],
    ['2', 2000],
    ['1.25', 1250],
    ['0.001', 1],
    ['1500m', 1500],
    ['0', 0],
    ['0.5m', null],
    ['0.0005', null],
    ['1.', null],
    ['.5', null],
    ['500M', null],
    ['-1', null],
    ['1e3', null],
    ['', null],
  ]
  for (const [text, millicores] of table) t.equal(parseCores(text), millicores, JSON.stringify(text))
  for (const millicores of [1, 10, 500, 1000, 1500, 64_000]) t.equal(parseCores(formatCores(millicores)), millicores)
})
