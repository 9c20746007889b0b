// Lines put together from pieces.
import { createHash } from 'node:crypto'
import t from 'tap'
import { Partial } from '../../src/parse/partial.ts'
import fc from '../support/properties.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

t.test('pieces follow one another without a separator', async (t) => {
  const partial = new Partial<string>()
  t.equal(partial.start, null)
  partial.open('here')
  const block = Buffer.from('..one..two..')
  partial.append(block, 2, 5, 100)
  partial.append(block, 7, 10, 100)
  partial.append(block, 3, 3, 100)
  block.fill(0)
  t.equal(partial.start, 'here')
  t.equal(partial.bytes.toString(), 'onetwo')
  t.equal(partial.totalBytes, 6)
  t.equal(partial.sha256(), '', 'nothing was cut')
  partial.close()
  t.equal(partial.start, null)
  t.equal(partial.keptBytes, 0)
})

t.test('of a line over the limit length and hash of the whole are kept', async (t) => {
  const partial = new Partial<string>()
  for (const pieces of [['abcdef'], ['abc', 'def'], ['abcd', 'ef'], ['abcdef', ''], ['a', 'b', 'c', 'd', 'e', 'f']]) {
    partial.open('here')
    for (const piece of pieces) partial.append(Buffer.from(piece), 0, piece.length, 4)
    t.equal(partial.bytes.toString(), 'abcd')
    t.equal(partial.totalBytes, 6)
    t.equal(partial.sha256(), sha256(Buffer.from('abcdef')), pieces.join('|'))
    partial.close()
  }
  partial.open('there')
  partial.append(Buffer.from('abcd'), 0, 4, 4)
  t.equal(partial.sha256(), '', 'a line of exactly the limit is whole')
})

t.test('memory is given back only between lines', async (t) => {
  const partial = new Partial<string>()
  partial.open('here')
  partial.append(Buffer.from('abc'), 0, 3, 100)
  partial.release()
  t.equal(partial.bytes.toString(), 'abc')
  partial.close()
  partial.release()
  partial.open('there')
  partial.append(Buffer.from('xyz'), 0, 3, 100)
  t.equal(partial.bytes.toString(), 'xyz')
})

t.test('as it grows, the shorter memory goes back at once', async (t) => {
  const partial = new Partial<string>()
  partial.open('here')
  partial.append(Buffer.alloc(5000, 'a'), 0, 5000, 100_000)
  const shorter = partial.bytes.buffer
  partial.append(Buffer.alloc(5000, 'b'), 0, 5000, 100_000)
  t.equal(shorter.byteLength, 0)
  t.equal(partial.bytes.toString(), 'a'.repeat(5000) + 'b'.repeat(5000))
})

t.test('property: as concat, cut at the limit', async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 8 })
  const partial = new Partial<number>()
  const check = fc.property(pieces, fc.nat(20_000), (all, limit) => {
    partial.open(1)
    for (const piece of all) partial.append(Buffer.from(piece), 0, piece.length, limit)
    const whole = Buffer.concat(all)
    const ok =
      partial.bytes.equals(whole.subarray(0, limit)) &&
      partial.totalBytes === whole.length &&
      partial.sha256() === (whole.length > limit ? sha256(whole) : '')
    partial.close()
    return ok
  })
  fc.assert(check, { numRuns: 300 })
})
