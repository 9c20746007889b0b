// Which file an entry says that it begins in: that of its first byte, by what stays the same of it.
import { createHash } from 'node:crypto'
import t from 'tap'
import { row, TailRig } from '../support/tail-rig.ts'

const headOf = (line: string) => createHash('sha256').update(line).digest('hex').slice(0, 32)

t.test('by the hash of its first line, torn or whole when it was first seen', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const first = `${row(1, 'first')}\n`
  rig.write('0.log', first.slice(0, 20))
  await rig.step()
  rig.append('0.log', `${first.slice(20)}${row(2, 'second')}\n`)
  await rig.step()
  t.strictSame(sink.begun, [`0 ${headOf(first)} 0`, `${first.length} ${headOf(first)} 0`])
})

t.test('a line in pieces begins where its first piece is, and the next line where it is itself', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const before = `${row(1, 'whole')}\n`
  rig.write('0.log', `${before}${row(2, 'begin ', 'P')}\n`)
  await rig.step()
  rig.rename('0.log', '0.log.20261121-080001')
  const middle = `${row(3, 'other', 'F', 'stderr')}\n`
  const end = `${row(4, 'end')}\n`
  rig.write('0.log', `${middle}${end}${row(5, 'after')}\n`)
  await rig.run(3000)
  t.strictSame(sink.texts, ['whole', 'other', 'begin end', 'after'])
  const [old, live] = [`${headOf(before)} 0`, `${headOf(middle)} 0`]
  t.strictSame(sink.begun, [
    `0 ${old}`,
    `0 ${live}`,
    `${before.length} ${old}`,
    `${middle.length + end.length} ${live}`,
  ])
})

t.test('a restart of the container and a repeat', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const line = `${row(1, 'equal')}\n`
  rig.write('0.log', line)
  await rig.step()
  rig.write('1.log', line)
  await rig.run(3000)
  t.strictSame(sink.begun, [`0 ${headOf(line)} 0`, `0 ${headOf(line)} 1`])
  rig.append('1.log', line)
  rig.lineage.look()
  sink.fill()
  sink.again()
  sink.fill()
  t.equal(sink.begun.length, 4)
  t.equal(sink.begun[2], sink.begun[3])
})
