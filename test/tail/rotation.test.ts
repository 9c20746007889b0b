// When a file will be lost, from what was seen of its lineage and of others.
import t from 'tap'
import { kubeletSibling } from '../../src/discover/names.ts'
import type { TailedFile } from '../../src/tail/file.ts'
import { KUBELET_HABIT, Rate, Rotation, type RotationHabit } from '../../src/tail/rotation.ts'

const MIB = 1024 * 1024
const unknown = (): RotationHabit => ({ sizeBytes: null, filesMax: null })

/** Files as a lineage has them: sizes, oldest first, the live one last. */
function files(...sizes: number[]): TailedFile[] {
  return sizes.map((sizeSeen) => ({ sizeSeen, linked: true, mtimeMs: 0 }) as TailedFile)
}

/** A listing of these names. */
const names = (...list: string[]) => list.map((name) => ({ order: kubeletSibling(name)!.order }))

t.test('a rate: an average of the last half minute, exact from the first measurement on', async (t) => {
  const rate = new Rate(1000)
  rate.add(500, 1500)
  t.equal(rate.perMs, 0, 'too early to tell')
  rate.guess(3000)
  t.equal(rate.perMs, 3)
  rate.add(500, 2000)
  t.equal(rate.perMs, 1, 'what is measured counts')
  rate.guess(3000)
  t.equal(rate.perMs, 1)
  for (let at = 3000; at <= 122_000; at += 1000) rate.add(5000, at)
  t.ok(rate.perMs > 4.9 && rate.perMs <= 5)
  rate.add(0, 182_000)
  t.ok(rate.perMs < 0.8, 'a minute without anything')
})

t.test('bytes until a file is deleted', async (t) => {
  const habit = { sizeBytes: 10 * MIB, filesMax: 5 }
  const table: [what: string, sizes: number[], index: number, bytes: number][] = [
    ['a live file that was just begun has five rotations left', [0], 0, 50 * MIB],
    ['one that is half full, four and a half', [5 * MIB], 0, 45 * MIB],
    ['one that is over its size is rotated at once', [12 * MIB], 0, 40 * MIB],
    ['a rotated one', [10 * MIB, 4 * MIB], 0, 36 * MIB],
    ['the live one after it', [10 * MIB, 4 * MIB], 1, 46 * MIB],
    ['the oldest that is kept goes with the next rotation', [10, 10, 10, 10, 4 * MIB], 0, 6 * MIB],
    ['one that should be gone already', [10, 10, 10, 10, 10, 4 * MIB], 0, 6 * MIB],
  ]
  for (const [what, sizes, index, bytes] of table) {
    const all = files(...sizes)
    t.equal(new Rotation(habit, 0).bytesUntilLoss(all, all[index] as TailedFile), bytes, what)
  }
  const [old, live] = files(10, 10) as [TailedFile, TailedFile]
  t.equal(new Rotation(unknown(), 0).bytesUntilLoss([old, live], old), Number.POSITIVE_INFINITY, 'nothing is known')
  old.linked = false
  t.equal(new Rotation(unknown(), 0).bytesUntilLoss([old, live], old), 0, 'it is gone')
  t.equal(new Rotation(habit, 0).bytesUntilLoss([old, live], live), 50 * MIB - 10, 'files without a name count no more')
})

t.test('size and number of files are learned, and others of the source learn with it', async (t) => {
  const habit: RotationHabit = { ...KUBELET_HABIT }
  const one = new Rotation(habit, 0)
  one.superseded(0)
  t.equal(habit.sizeBytes, 10 * MIB, 'an empty file says nothing')
  one.superseded(1000)
  one.listed(names('0.log'))
  one.listed(names('0.log.20261121-100000', '0.log'))
  one.listed(names('0.log.20261121-100000', '0.log.20261121-100010.gz', '0.log.20261121-100010', '0.log'))
  t.equal(habit.filesMax, 5, 'nothing was deleted yet')
  one.listed(names('0.log.20261121-100010.gz', '0.log.20261121-100020', '0.log'))
  t.same(habit, { sizeBytes: 1000, filesMax: 3 }, 'a file and its compressed form are one')
  const [live] = files(200) as [TailedFile]
  t.equal(one.bytesUntilLoss([live], live), 2800)
  const other = new Rotation(habit, 0)
  t.equal(other.bytesUntilLoss([live], live), 2800)
  other.superseded(500)
  t.equal(other.bytesUntilLoss([live], live), 1300, 'what it has seen itself comes first')
  t.equal(one.bytesUntilLoss([live], live), 2800)
})

t.test('a container that begins anew takes its files with it: that is no rotation', async (t) => {
  const habit = unknown()
  const rotation = new Rotation(habit, 0)
  rotation.listed(names('0.log.20261121-100000', '0.log', '1.log'))
  rotation.listed(names('1.log', '2.log'))
  rotation.listed([])
  rotation.listed(names('3.log'))
  t.same(habit, unknown())
})

t.test('at the first look the rate is that of the live file since its predecessor', async (t) => {
  const rotation = new Rotation(unknown(), 0)
  const [old, live] = files(10, 50_000) as [TailedFile, TailedFile]
  old.mtimeMs = 1000
  live.mtimeMs = 11_000
  rotation.guess([old, live])
  t.equal(rotation.written.perMs, 5)
  for (const none of [[], [live], [live, old]]) {
    const other = new Rotation(unknown(), 0)
    other.guess(none)
    t.equal(other.written.perMs, 0)
  }
})
