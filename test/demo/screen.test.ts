import t from 'tap'
import { colourPaint, fit, Screen } from '../../src/demo/screen.ts'

t.test('a line is cut to the width, and colours take none of it', async (t) => {
  t.equal(fit('12345', 5), '12345')
  t.equal(fit('123456', 5), '1234…')
  t.equal(fit(colourPaint('red', '12345'), 5), '\x1b[31m12345\x1b[0m')
  t.equal(fit(`${colourPaint('red', '123')}456`, 5), '\x1b[31m123\x1b[0m4…\x1b[0m')
  t.equal(fit(`ab${colourPaint('red', '1234')}`, 4), 'ab\x1b[31m1…\x1b[0m')
  t.equal(fit('', 5), '')
})

t.test('a block is drawn over itself in one write, whatever its height', async (t) => {
  const writes: string[] = []
  let columns = 80
  const screen = new Screen({ write: (text) => writes.push(text), columns: () => columns })
  screen.draw(['a', 'b'], ['head'])
  screen.draw(['c', 'd', 'e'], ['head'])
  screen.draw(['f'], ['head'])
  columns = 40
  screen.draw(['g'], ['head'])
  t.same(writes, [
    'head\x1b[K\na\x1b[K\nb\x1b[K\n\x1b[J',
    '\x1b[2Fc\x1b[K\nd\x1b[K\ne\x1b[K\n\x1b[J',
    '\x1b[3Ff\x1b[K\n\x1b[J',
    '\x1b[2J\x1b[Hhead\x1b[K\ng\x1b[K\n\x1b[J',
  ])
})
