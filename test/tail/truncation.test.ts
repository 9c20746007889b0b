// Files that become shorter: copytruncate with and without a copy, truncation that is outgrown before anybody looks,
// and bytes that vanish unread. What can be had is delivered; what cannot is a hole, said and shipped.
import { copyFileSync, readFileSync, truncateSync } from 'node:fs'
import t from 'tap'
import { identity } from '../support/reference.ts'
import { lines, messages, numbered, plainRig, row, rows, TailRig, withoutSpans } from '../support/tail-rig.ts'

const plain = (from: number, to: number) => messages(from, to).map((line) => `${line}\n`)

function copyTruncate(rig: TailRig, copy = 'app.log.1'): void {
  copyFileSync(rig.path('app.log'), rig.path(copy))
  truncateSync(rig.path('app.log'), 0)
}

function losses(rig: TailRig): [number, number | null, string][] {
  return rig.told('bytes.lost').map((each) => [each.fromOffset, each.toOffset, each.cause])
}

t.test('copytruncate after everything was read', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  copyTruncate(rig)
  await rig.run(500)
  rig.append('app.log', lines(10, 20))
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 20))
  t.strictSame(losses(rig), [])
  t.equal(rig.counters.truncations, 1)
})

t.test('copytruncate while there is something to read: the copy has it', async (t) => {
  for (const seen of [false, true]) {
    for (const grown of [0, 5, 50]) {
      const { rig, sink } = plainRig(t)
      rig.write('app.log', lines(0, 10))
      await rig.step()
      rig.append('app.log', lines(10, 20))
      if (seen) {
        copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
        rig.look()
        truncateSync(rig.path('app.log'), 0)
      } else copyTruncate(rig)
      rig.append('app.log', lines(20, 20 + grown))
      await rig.run(4000)
      t.strictSame(sink.texts, messages(0, 20 + grown), `copy ${seen ? '' : 'not '}seen before, then ${grown} lines`)
      t.strictSame(losses(rig), [])
    }
  }
})

t.test('copytruncate between a push and its repeat: the lines keep their time of arrival', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.clock.wallMs = 1_795_248_000_000
  rig.write('app.log', lines(0, 10))
  rig.look()
  sink.fill()
  const first = sink.pending.map(identity)
  t.equal(first.length, 10)
  copyTruncate(rig)
  rig.look()
  sink.again()
  rig.clock.wallMs += 9000
  await rig.run(3000)
  t.strictSame(sink.delivered.map(identity), first, 'read from the copy, they are the same entries')
})

t.test(
  'copytruncate several times while we do not look: in order, also where all begin with the same line',
  async (t) => {
    for (const head of ['', 'the program starts\n']) {
      for (const [grown, copies] of [
        [0, 2],
        [5, 2],
        [50, 2],
        [50, 3],
      ] as const) {
        for (const isSeen of [false, true]) {
          const { rig, sink } = plainRig(t)
          rig.write('app.log', head + lines(0, 10))
          await rig.step()
          rig.append('app.log', lines(10, 20))
          for (let i = 0; i < copies; i++) {
            for (let n = i; n > 0; n--) rig.rename(`app.log.${n}`, `app.log.${n + 1}`)
            copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
            if (i === 0 && isSeen) rig.look()
            truncateSync(rig.path('app.log'), 0)
            rig.append('app.log', head + lines(20 + 10 * i, i < copies - 1 ? 30 + 10 * i : 20 + 10 * i + grown))
          }
          await rig.run(6000)
          const texts = sink.texts.filter((text) => !head.startsWith(text))
          const what = `${copies} copies, the first one ${isSeen ? '' : 'not '}seen, then ${grown} lines ${head}`
          t.strictSame(texts, messages(0, 10 + 10 * copies + grown), what)
          t.strictSame(losses(rig), [], what)
        }
      }
    }
  },
)

t.test('copytruncate, and the copy has the inode of an older one that was deleted', async (t) => {
  for (const grown of [0, 5, 50]) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    await rig.step()
    copyTruncate(rig)
    rig.append('app.log', lines(10, 20))
    await rig.run(3000)
    rig.append('app.log', lines(20, 30))
    rig.look()
    // Written in place: the same inode, as a file system gives it out again.
    rig.write('app.log.1', readFileSync(rig.path('app.log')))
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(30, 30 + grown))
    // Reading finds out, before anybody looks.
    await sink.drain()
    await rig.run(15_000)
    t.strictSame(sink.texts, messages(0, 30 + grown))
    t.strictSame(losses(rig), [])
  }
})

t.test('copytruncate of a file that was empty when it was last looked at', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', '')
  rig.look()
  rig.append('app.log', lines(0, 20))
  sink.take(7)
  copyTruncate(rig)
  rig.append('app.log', lines(20, 25))
  await rig.run(4000)
  t.strictSame(sink.texts, messages(0, 25))
  t.strictSame(losses(rig), [])
})

t.test('copytruncate, and the copy is compressed before we look', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  rig.append('app.log', lines(10, 20))
  copyTruncate(rig)
  rig.compress('app.log.1')
  rig.append('app.log', lines(20, 25))
  await rig.run(4000)
  t.strictSame(sink.texts, messages(0, 25))
  t.strictSame(losses(rig), [])
})

t.test('what was written between the copy and the truncation: read by us, or a hole', async (t) => {
  for (const read of ['read', 'acknowledged', 'seen', 'unseen']) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    await rig.step()
    copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
    const from = lines(0, 10).length
    rig.append('app.log', lines(10, 30))
    if (read !== 'unseen') rig.look()
    if (read === 'read' || read === 'acknowledged') sink.fill()
    if (read === 'acknowledged') sink.ack()
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(30, 35))
    if (read === 'read') rig.look()
    await rig.run(4000)
    const isRead = read === 'read' || read === 'acknowledged'
    const hole = `taffrail: lost ${lines(10, 30).length} bytes [${from}, ${from + lines(10, 30).length}) of ${rig.path('app.log')}: truncated`
    const middle = isRead ? messages(10, 30) : read === 'seen' ? [hole] : []
    t.strictSame(withoutSpans(sink.texts), [...messages(0, 10), ...middle, ...messages(30, 35)], read)
    t.equal(losses(rig).length, read === 'seen' ? 1 : 0)
  }
})

t.test('truncation without a copy while we are behind is a hole of known size', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  const from = lines(0, 10).length
  const to = from + lines(10, 20).length
  rig.append('app.log', lines(10, 20))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(20, 22))
  await rig.run(3000)
  const hole = `taffrail: lost ${to - from} bytes [${from}, ${to}) of ${rig.path('app.log')}: truncated`
  t.strictSame(withoutSpans(sink.texts), [...messages(0, 10), hole, ...messages(20, 22)])
  t.strictSame(sink.delivered[10]?.marks, ['gap'])
  t.equal(sink.delivered[10]?.sourceBytes, 0)
  t.strictSame(losses(rig), [[from, to, 'truncated']])
  t.strictSame(sink.ledger.lost.get('truncated'), { bytes: to - from, lines: 0 })
})

t.test('a hole is counted once, however often it is refused, and from the earliest place', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  rig.append('app.log', lines(10, 20))
  rig.look()
  sink.recordsMax = 5
  sink.fill()
  t.equal(sink.pending.length, 5)
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(20, 22))
  rig.look()
  sink.recordsMax = Number.POSITIVE_INFINITY
  for (let i = 0; i < 3; i++) {
    sink.fill()
    sink.again(i === 1 ? [1] : [])
  }
  await rig.run(3000)
  const lost = lines(10, 20).length
  t.equal(sink.ledger.lost.get('truncated')?.bytes, lost)
  t.equal(sink.texts.filter((each) => each.startsWith('taffrail: lost')).length, 1)
  t.strictSame(sink.texts.slice(-2), messages(20, 22))
})

t.test('two sinks: what one has read is a hole for the other, unless there is a copy', async (t) => {
  for (const copied of [false, true]) {
    const { rig, sink: fast } = plainRig(t)
    const slow = rig.sink()
    rig.write('app.log', lines(0, 10))
    rig.look()
    await fast.drain()
    slow.take(4)
    if (copied) copyTruncate(rig)
    else truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(10, 12))
    await rig.run(4000)
    t.strictSame(fast.texts, messages(0, 12))
    const isHole = (text: string) => text.startsWith('taffrail: lost')
    t.equal(slow.texts.filter(isHole).length, copied ? 0 : 1)
    const rest = slow.texts.filter((text) => !isHole(text))
    t.strictSame(rest, copied ? messages(0, 12) : [...messages(0, 4), ...messages(10, 12)])
    t.strictSame(
      losses(rig).map(([from]) => from),
      copied ? [] : [lines(0, 4).length],
    )
  }
})

t.test('truncation that is outgrown before we look', async (t) => {
  for (const before of ['looked', 'not looked']) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    await rig.step()
    truncateSync(rig.path('app.log'), 0)
    if (before === 'looked') rig.look()
    rig.append('app.log', lines(50, 100))
    await rig.run(3000)
    t.strictSame(sink.texts, [...messages(0, 10), ...messages(50, 100)], before)
    t.equal(rig.counters.truncations, 1)
    t.strictSame(losses(rig), [])
  }
})

t.test(
  'truncation that is outgrown, with the same bytes before the place: the first line is another one',
  async (t) => {
    const { rig, sink } = plainRig(t)
    const content = (start: number, count: number) => [`start ${start}`, ...new Array<string>(count).fill('.')]
    const text = (all: string[]) => all.map((line) => `${line}\n`).join('')
    rig.write('app.log', text(content(1, 60)))
    await rig.step()
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', text(content(2, 80)))
    await rig.run(3000)
    t.strictSame(sink.texts, [...content(1, 60), ...content(2, 80)])
    t.equal(rig.counters.truncations, 1)
  },
)

t.test('truncation that is outgrown before anything was read', async (t) => {
  for (const gz of [false, true]) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    rig.look()
    copyTruncate(rig)
    if (gz) rig.compress('app.log.1')
    rig.append('app.log', lines(10, 30))
    sink.fill()
    sink.ack()
    await rig.run(4000)
    t.strictSame(sink.texts, messages(0, 30))
    t.strictSame(losses(rig), [])
  }
})

t.test('truncation that is outgrown, and the new content begins alike', async (t) => {
  const banner = 'started\n'
  for (const then of ['fill', 'refusal', 'kill', 'kill after less']) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', banner + lines(0, 10))
    await rig.step()
    if (then === 'refusal') {
      rig.append('app.log', lines(10, 20))
      sink.fill()
    }
    if (then.startsWith('kill')) {
      rig.append('app.log', lines(10, 20))
      sink.fill()
    }
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', banner + lines(50, then === 'kill after less' ? 52 : 100))
    if (then === 'refusal') sink.again()
    if (then.startsWith('kill')) {
      sink.ack()
      rig.restart()
      rig.append('app.log', lines(100, 150))
      rig.look()
    }
    // Without a look in between.
    sink.fill()
    sink.ack()
    await rig.run(3000)
    const texts = sink.texts.filter((each) => !each.startsWith('taffrail: lost'))
    const read = then.startsWith('kill') ? 20 : 10
    const last = then === 'kill' ? [...messages(50, 150)] : messages(50, 100)
    const expected = then === 'kill after less' ? [...messages(50, 52), ...messages(100, 150)] : last
    const wanted = ['started', ...messages(0, read), 'started', ...expected]
    t.strictSame(texts, wanted, then)
  }
})

t.test('truncation that is outgrown between a fill and its refusal', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  rig.append('app.log', lines(10, 20))
  rig.look()
  sink.fill()
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(50, 100))
  sink.again()
  await rig.run(3000)
  const texts = sink.texts.filter((each) => !each.startsWith('taffrail: lost'))
  t.strictSame(texts, [...messages(0, 10), ...messages(50, 100)])
  t.equal(losses(rig).length, 1)
})

t.test(
  'truncation that is outgrown between a fill and its ack: the place is not saved with the new bytes',
  async (t) => {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    await rig.step()
    rig.append('app.log', lines(10, 20))
    rig.look()
    sink.fill()
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(50, 100))
    sink.ack()
    rig.restart()
    await rig.run(3000)
    const texts = sink.texts.filter((each) => !each.startsWith('taffrail: lost'))
    t.strictSame(texts, [...messages(0, 20), ...messages(50, 100)])
  },
)

t.test('truncated, and nothing comes after it', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  truncateSync(rig.path('app.log'), 0)
  await rig.run(3000)
  t.notOk(sink.reader.hasWork)
  t.equal(sink.reader.lagBytes, 0)
  rig.restart()
  rig.append('app.log', lines(10, 12))
  await rig.run(3000)
  t.strictSame(
    sink.texts.filter((each) => !each.startsWith('taffrail: lost')),
    messages(0, 12),
  )
})

t.test('truncated in a line: what was open does not run into the new content', async (t) => {
  const container = new TailRig(t)
  const sink = container.sink()
  container.write('0.log', `${row(1, 'one')}\n${row(2, 'begin ', 'P')}\n`)
  await container.step()
  container.append('0.log', `${row(3, 'never read')}\n`)
  container.look()
  truncateSync(container.path('0.log'), 0)
  container.append('0.log', rows(4, 6))
  await container.run(3000)
  t.match(sink.texts[2], /^taffrail: lost/)
  t.strictSame([...sink.texts.slice(0, 2), ...sink.texts.slice(3)], ['one', 'begin ', ...messages(4, 6)])
  t.strictSame(sink.delivered[1]?.marks, ['partial_open'])

  for (const seen of [true, false]) {
    const raw = plainRig(t)
    raw.rig.write('app.log', `${lines(0, 2)}${'x'.repeat(700_000)}`)
    await raw.rig.step()
    if (seen) raw.rig.append('app.log', 'more')
    raw.rig.look()
    truncateSync(raw.rig.path('app.log'), 0)
    raw.rig.append('app.log', lines(2, 4))
    await raw.rig.run(3000)
    const texts = raw.sink.texts.map((each) => each.replace(/x+/, 'x').replace(/lost .*/, 'lost'))
    t.strictSame(texts, [...messages(0, 2), 'x', 'taffrail: lost', ...messages(2, 4)])
    t.strictSame(
      raw.sink.delivered.map((each) => each.marks.join()),
      ['', '', 'cut,partial_open', 'gap', '', ''],
    )
    const { acked, lost } = raw.sink.ledger
    t.equal(acked.bytes + (lost.get('truncated')?.bytes ?? 0), lines(0, 4).length + 700_000 + (seen ? 4 : 0))
  }
})

t.test('files that begin alike: an older sibling is not taken for the copy', async (t) => {
  const banner = 'application started\n'
  const { rig, sink } = plainRig(t)
  rig.write('app.log.1', `${banner}${lines(0, 5)}`)
  rig.write('app.log', `${banner}${lines(5, 10)}`)
  await rig.run(3000)
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', `${banner}${lines(10, 12)}`)
  await rig.run(3000)
  const expected = [banner, ...plain(0, 5), banner, ...plain(5, 10), banner, ...plain(10, 12)]
  t.strictSame(
    sink.texts,
    expected.map((each) => each.trimEnd()),
  )
})

t.test('what was read at once goes beyond the end of the copy', async (t) => {
  for (const head of ['', 'the program starts\n']) {
    for (const copied of [20, 200]) {
      const what = `${copied} lines in the copy ${head}`
      const { rig, sink } = plainRig(t)
      rig.write('app.log', head + lines(0, copied))
      rig.look()
      const copy = readFileSync(rig.path('app.log'))
      rig.append('app.log', lines(copied, copied + 10))
      await rig.step()
      const read = sink.delivered.map(identity)
      // Of the places that are remembered each is beyond it.
      for (let n = 1; n <= 6; n++) {
        rig.append('app.log', lines(copied + 9 + n, copied + 10 + n))
        await rig.step()
      }
      rig.write('app.log.1', copy)
      truncateSync(rig.path('app.log'), 0)
      await rig.run(3000)
      rig.append('app.log', lines(copied + 16, copied + 20))
      await rig.run(3000)
      t.strictSame(sink.texts, [...(head === '' ? [] : [head.trim()]), ...messages(0, copied + 20)], what)
      t.strictSame(sink.delivered.map(identity).slice(0, read.length), read, what)
      t.strictSame(losses(rig), [], what)
    }
  }
})

t.test('another file that begins alike, and is shorter than what was read, is no copy', async (t) => {
  const head = `${'='.repeat(100)}\n`
  for (const other of ['', lines(100, 101), lines(100, 150)]) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', head + lines(0, 200))
    await rig.step()
    rig.write('app.log.1', head + other)
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(200, 201))
    await rig.run(3000)
    const texts = [head, ...plain(0, 200), head, ...(other === '' ? [] : other.trim().split('\n')), ...plain(200, 201)]
    t.strictSame(
      sink.texts,
      texts.map((each) => each.trimEnd()),
    )
  }
})

t.test('the copy is a plain file beside the live one for a while, without any truncation', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
  await rig.run(1000)
  rig.append('app.log', lines(10, 20))
  await rig.run(1000)
  t.strictSame(sink.texts, messages(0, 20))
  // Now another file takes its name, and perhaps its inode.
  rig.unlink('app.log.1')
  rig.write('app.log.1', lines(30, 40))
  await rig.run(3000)
  t.strictSame(sink.texts, [...messages(0, 20), ...messages(30, 40)])
})

t.test('what was read, and found no room, is lost when the file is cut', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 5))
  rig.look()
  rig.append('app.log', lines(5, 10))
  sink.recordsMax = 3
  sink.fill()
  sink.ack()
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(50, 51))
  sink.recordsMax = Number.POSITIVE_INFINITY
  await rig.run(3000)
  t.strictSame(losses(rig), [[lines(0, 3).length, lines(0, 10).length, 'truncated']])
  t.strictSame(
    sink.texts.filter((text) => !text.startsWith('taffrail: lost')),
    [...messages(0, 3), ...messages(50, 51)],
  )
})

t.test('a file that was found empty, and was copied and cut before it was looked at again', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', '')
  await rig.step()
  rig.append('app.log', lines(0, 10))
  copyTruncate(rig)
  rig.append('app.log', lines(10, 20))
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 20))
  t.strictSame(losses(rig), [])
})

for (const then of ['read', 'killed', 'killed, with what came before it deleted'] as const) {
  t.test(`a file that was found empty, and a copy of it that cannot be looked at: ${then}`, async (t) => {
    for (const failing of ['stat', 'open', 'read'] as const) {
      const { rig, sink } = plainRig(t)
      const isBehind = then !== 'read' && then !== 'killed'
      rig.write('app.log.3', lines(0, 3))
      rig.write('app.log', '')
      if (isBehind) {
        rig.look()
        sink.take(2)
      } else await rig.run(3000)
      rig.append('app.log', lines(3, 10))
      copyTruncate(rig)
      rig.append('app.log', lines(10, 20))
      rig.fs.fault = (operation, path) => (operation === failing && path.endsWith('.1') ? 'EIO' : null)
      if (isBehind) {
        rig.look()
        sink.savePosition()
      } else await rig.run(5000)
      if (then !== 'read') {
        rig.restart()
        if (isBehind) rig.unlink('app.log.3')
      }
      rig.fs.fault = () => null
      await rig.run(5000)
      const texts = numbered(sink.texts)
      t.strictSame(texts, isBehind ? [...messages(0, 2), ...messages(3, 20)] : messages(0, 20), failing)
      t.equal(losses(rig).length, isBehind ? 1 : 0)
    }
  })
}

t.test('a file that was found empty, and was copied and cut between a look and a reading', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', '')
  await rig.step()
  rig.append('app.log', lines(0, 10))
  copyTruncate(rig)
  rig.append('app.log', lines(10, 20))
  await sink.drain()
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 20))
  t.strictSame(losses(rig), [])
})

t.test('a file that was found empty, and was cut when its beginning had been read for a checkpoint', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', '')
  rig.look()
  sink.fill()
  rig.append('app.log', lines(0, 10))
  sink.savePosition()
  t.equal(sink.position?.sizeSeen, lines(0, 10).length)
  truncateSync(rig.path('app.log'), 0)
  await rig.run(1000)
  rig.append('app.log', lines(10, 20))
  await rig.run(1000)
  t.strictSame(losses(rig), [[0, lines(0, 10).length, 'truncated']])
  t.strictSame(sink.texts.slice(1), messages(10, 20))
})

t.test('a file that grew just when it was met, and was cut before it was looked at again', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 1))
  let isGrown = false
  rig.fs.fault = (operation) => {
    if (operation === 'read' && !isGrown) rig.append('app.log', lines(1, 10))
    isGrown ||= operation === 'read'
    return null
  }
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  await rig.run(1000)
  rig.append('app.log', lines(10, 20))
  await rig.run(1000)
  t.strictSame(losses(rig), [[0, lines(0, 10).length, 'truncated']])
  t.strictSame(sink.texts.slice(1), messages(10, 20))
})

t.test('what was read of a file that was cut is not behind again with its copy', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  rig.append('app.log', lines(10, 12))
  copyTruncate(rig)
  rig.look()
  t.equal(sink.reader.lagBytes, lines(10, 12).length)
  await rig.step()
  t.equal(sink.reader.lagBytes, 0)
})

t.test('cut when little was there: what was read and compressed meanwhile is not taken for its copy', async (t) => {
  for (const isRead of [false, true]) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    await rig.step()
    copyTruncate(rig)
    rig.append('app.log', 'li')
    await rig.run(isRead ? 3000 : 100)
    rig.compress('app.log.1')
    rig.rename('app.log.1.gz', 'app.log.2.gz')
    rig.append('app.log', 'ne 10\n')
    copyTruncate(rig)
    await rig.run(500)
    rig.append('app.log', lines(11, 15))
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 15), isRead ? 'it was finished' : 'it was still open')
    t.strictSame(losses(rig), [])
  }
})

t.test('a compressed file that is met behind one that was cut is not taken for its copy', async (t) => {
  for (const isCopied of [true, false]) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(10, 14))
    rig.look()
    sink.recordsMax = 2
    sink.fill()
    sink.recordsMax = Number.POSITIVE_INFINITY
    rig.write('app.log.2', lines(0, 3))
    rig.compress('app.log.2')
    if (isCopied) copyTruncate(rig)
    else truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(20, 30))
    await rig.run(5000)
    const read = isCopied ? messages(10, 14) : messages(10, 12)
    // Nobody can know any more that it is the older one: it comes before what is in the live file now.
    const texts = sink.texts.filter((text) => !text.startsWith('taffrail: lost'))
    t.strictSame(texts, [...read, ...messages(0, 3), ...messages(20, 30)])
    const lost: [number, number, string] = [lines(10, 12).length, lines(10, 14).length, 'truncated']
    t.strictSame(losses(rig), isCopied ? [] : [lost])
  }
})

t.test('a copy that cannot be read when its original was cut is waited for', async (t) => {
  for (const isSeen of [false, true]) {
    for (const failing of ['stat', 'open', 'read', 'readdir'] as const) {
      const { rig, sink } = plainRig(t)
      rig.write('app.log', lines(0, 10))
      await rig.step()
      rig.append('app.log', lines(10, 20))
      copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
      if (isSeen) rig.look()
      truncateSync(rig.path('app.log'), 0)
      rig.append('app.log', lines(20, 25))
      // Of a path the name, of a descriptor what it was opened by; a directory is neither.
      const isMeant = (path: string) => path.endsWith(failing === 'readdir' ? '/logs' : 'app.log.1')
      rig.fs.fault = (operation, path) => (operation === failing && isMeant(path) ? 'EIO' : null)
      await rig.run(3000)
      rig.fs.fault = () => null
      await rig.run(3000)
      const what = `${failing} fails, the copy was ${isSeen ? '' : 'not '}seen before`
      t.strictSame(sink.texts, messages(0, 25), what)
      t.strictSame(losses(rig), [], what)
    }
  }
})

t.test('killed between a truncation and the reading of the copy: the copy is not lost', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  rig.look()
  sink.recordsMax = 5
  sink.fill()
  sink.ack()
  copyTruncate(rig)
  rig.look()
  sink.savePosition()
  sink.recordsMax = Number.POSITIVE_INFINITY
  rig.restart()
  rig.append('app.log', lines(10, 20))
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 20))
  t.strictSame(losses(rig), [])
})

t.test(
  'killed when the copy was read from the start, and the place was in its original: the same entries',
  async (t) => {
    const { rig, sink } = plainRig(t)
    rig.clock.wallMs = 1_795_248_000_000
    rig.write('app.log', lines(0, 5))
    rig.look()
    sink.take(2)
    rig.rename('app.log', 'app.log.2')
    rig.write('app.log', lines(5, 10))
    for (let i = 0; i < 20; i++) {
      rig.clock.monotonicMs += 100
      rig.look()
    }
    rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith('app.log.1') ? 'EIO' : null)
    copyTruncate(rig)
    rig.look()
    // To the end of the first one, and to what was cut, of which no checkpoint has told as the place.
    sink.fill()
    sink.ack()
    rig.fs.fault = () => null
    rig.clock.monotonicMs += 2000
    rig.look()
    sink.fill()
    const sent = sink.pending.map(identity)
    t.equal(sent.length, 5)
    rig.restart()
    rig.clock.wallMs += 9000
    rig.append('app.log', lines(10, 12))
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 12))
    t.strictSame(sink.delivered.map(identity).slice(5, 10), sent)
    t.strictSame(losses(rig), [])
  },
)

t.test(
  'cut between a reading and the checkpoint that is to hold its times: the place is named all the same',
  async (t) => {
    for (const isTold of [true, false]) {
      const { rig, sink } = plainRig(t)
      rig.clock.wallMs = 1_795_248_000_000
      rig.write('app.log', lines(0, 5))
      rig.look()
      sink.take(2)
      rig.append('app.log', lines(5, 10))
      rig.look()
      const save = sink.savePosition.bind(sink)
      sink.savePosition = () => {
        copyTruncate(rig)
        sink.savePosition = save
        save()
      }
      // The place was told before, or is come to just then.
      if (isTold) sink.fill()
      else sink.take(3)
      const sent = [...sink.delivered, ...sink.pending].map(identity)
      rig.restart()
      rig.clock.wallMs += 9000
      rig.append('app.log', lines(10, 12))
      await rig.run(5000)
      t.strictSame(sink.texts, messages(0, 12))
      t.strictSame(sink.delivered.map(identity).slice(0, sent.length), sent)
      t.strictSame(losses(rig), [])
    }
  },
)

t.test('killed when a hole behind the copy was noticed: the rest of the copy is read', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 5))
  await rig.step()
  rig.append('app.log', lines(5, 10))
  copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
  rig.append('app.log', lines(10, 12))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.look()
  // The record of the hole, before the lines of the copy: decided, saved, and not sent.
  sink.recordsMax = 1
  sink.fill()
  sink.recordsMax = Number.POSITIVE_INFINITY
  rig.restart()
  rig.compress('app.log.1')
  rig.append('app.log', lines(20, 25))
  await rig.run(5000)
  t.strictSame(
    sink.texts.filter((text) => !text.startsWith('taffrail: lost')),
    [...messages(0, 10), ...messages(20, 25)],
  )
  t.strictSame(losses(rig).at(-1), [lines(0, 10).length, lines(0, 12).length, 'truncated'])
})

t.test('cut off after a restart, before anything was read: the copy is known by the checkpoint', async (t) => {
  for (const seen of ['found', 'not found']) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    rig.look()
    sink.take(5)
    rig.restart()
    rig.look()
    if (seen === 'found') sink.reader.findPlace()
    copyTruncate(rig)
    rig.look()
    rig.append('app.log', lines(10, 20))
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 20), seen)
    t.strictSame(losses(rig), [])
  }
})

t.test('cut off after a restart, before its place was found: what was seen is lost', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 5))
  rig.look()
  sink.fill()
  sink.ack()
  rig.restart()
  rig.append('app.log', lines(5, 10))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(50, 51))
  await rig.run(3000)
  t.strictSame(losses(rig), [[lines(0, 5).length, lines(0, 10).length, 'truncated']])
  t.strictSame(
    sink.texts.filter((text) => !text.startsWith('taffrail: lost')),
    [...messages(0, 5), ...messages(50, 51)],
  )
})

t.test('cut off twice before its place was found: what was written and seen in between is lost too', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 5))
  rig.look()
  sink.fill()
  sink.ack()
  rig.restart()
  rig.write('app.log', lines(50, 70))
  rig.look()
  rig.write('app.log', lines(90, 91))
  await rig.run(3000)
  t.strictSame(losses(rig), [[0, lines(50, 70).length, 'truncated']])
  t.strictSame(
    sink.texts.filter((text) => !text.startsWith('taffrail: lost')),
    [...messages(0, 5), ...messages(90, 91)],
  )
})

t.test('cut off before its place was found, and the cut is not noticed before that either', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  rig.restart()
  rig.look()
  copyTruncate(rig)
  sink.fill()
  rig.append('app.log', lines(10, 20))
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 20))
  t.strictSame(losses(rig), [])
})

t.test('what is there now is shorter and another, which the reading notices first', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  rig.look()
  copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
  rig.append('app.log', lines(10, 15))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(20, 22))
  sink.fill()
  await rig.run(5000)
  t.strictSame(numbered(sink.texts), [...messages(0, 10), ...messages(20, 22)])
  t.strictSame(losses(rig), [[lines(0, 10).length, lines(0, 15).length, 'truncated']])
})

t.test('cut off just when its place is found, and its copy cannot be looked at', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 5))
  await rig.step()
  rig.append('app.log', lines(5, 10))
  rig.restart()
  rig.look()
  copyTruncate(rig)
  rig.append('app.log', lines(10, 12))
  let isTried = false
  rig.fs.fault = (operation, path) => {
    if (isTried || operation !== 'stat' || !path.endsWith('app.log.1')) return null
    isTried = true
    return 'EIO'
  }
  t.equal(sink.fill(), 'dry')
  t.ok(isTried)
  t.notOk(sink.reader.hasWork)
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 12))
  t.strictSame(losses(rig), [])
})

t.test('cut off once more before its place was found, and all of it began alike', async (t) => {
  const { rig, sink } = plainRig(t)
  const head = 'the program starts\n'
  rig.write('app.log', head + lines(0, 5))
  await rig.step()
  rig.append('app.log', lines(5, 10))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.look()
  // The hole is noticed and told, and nothing comes after it yet.
  await rig.step()
  rig.append('app.log', head + lines(20, 40))
  rig.restart()
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(90, 91))
  await rig.run(5000)
  t.strictSame(losses(rig).at(-1), [0, (head + lines(20, 40)).length, 'truncated'])
  t.equal(new Set(sink.texts.filter((text) => text.startsWith('taffrail: lost'))).size, 2)
})

t.test('cut off and told, and what came instead begins alike: none of it counts as read', async (t) => {
  const { rig, sink } = plainRig(t)
  const head = 'the program starts'
  rig.write('app.log', `${head}\n`)
  await rig.step()
  rig.append('app.log', lines(0, 5))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.look()
  await rig.step()
  rig.append('app.log', `${head}\n${lines(20, 25)}`)
  rig.restart()
  await rig.run(5000)
  t.strictSame(
    sink.texts.filter((text) => !text.startsWith('taffrail: lost')),
    [head, head, ...messages(20, 25)],
  )
})

t.test('what is there now is shorter than the first line that was seen', async (t) => {
  const { rig, sink } = plainRig(t)
  const long = `${'x'.repeat(500)}\n`
  rig.write('app.log', long)
  rig.look()
  copyTruncate(rig)
  rig.append('app.log', lines(0, 3))
  sink.fill()
  sink.ack()
  await rig.run(5000)
  t.strictSame(sink.texts, [long.trim(), ...messages(0, 3)])
  t.strictSame(losses(rig), [])
})

t.test('what is there now is shorter than what was seen, and begins alike', async (t) => {
  const { rig, sink } = plainRig(t)
  const head = `${'='.repeat(1100)}\n`
  rig.write('app.log', head + lines(0, 50))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', head + lines(50, 55))
  // Read before the next look.
  await sink.drain()
  await rig.run(3000)
  t.strictSame(
    sink.texts.filter((text) => !text.startsWith('taffrail: lost')),
    [head.trim(), ...messages(50, 55)],
  )
  t.strictSame(losses(rig), [[0, (head + lines(0, 50)).length, 'truncated']])
})

t.test('a copy and the file that is about to be cut are met at once', async (t) => {
  for (const cut of ['before the next look', 'during the look']) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
    let opens = 0
    rig.fs.fault = (operation) => {
      // After the live file was opened and its size was seen.
      if (operation === 'open' && ++opens === 2 && cut === 'during the look') {
        rig.fs.fault = (next) => {
          if (next !== 'close' && next !== 'read') return null
          rig.fs.fault = () => null
          truncateSync(rig.path('app.log'), 0)
          return null
        }
      }
      return null
    }
    rig.look()
    rig.fs.fault = () => null
    if (cut === 'before the next look') truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(10, 20))
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 20), cut)
    t.strictSame(losses(rig), [])
  }
})

t.test('cut just when it was to be told what was seen of it: after a restart its copy is not lost', async (t) => {
  for (const [isCopied, grown, isNoticed] of [
    [true, 2, true],
    [true, 12, true],
    [true, 2, false],
    [true, 12, false],
    [false, 2, true],
    [false, 12, true],
    [false, 2, false],
  ] as const) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log.2', lines(0, 10))
    rig.write('app.log', lines(10, 15))
    rig.look()
    sink.take(2)
    rig.append('app.log', lines(15, 20))
    rig.look()
    if (isCopied) copyTruncate(rig)
    else truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(20, 20 + grown))
    sink.savePosition()
    if (isNoticed) rig.look()
    sink.savePosition()
    rig.restart()
    await rig.run(5000)
    const texts = numbered(sink.texts)
    t.strictSame(texts, isCopied ? messages(0, 20 + grown) : [...messages(0, 10), ...messages(20, 20 + grown)])
    t.equal(losses(rig).length, isCopied ? 0 : 1)
  }
})

t.test('a copy is met while it cannot be told that its original was cut', async (t) => {
  for (const isBegun of [false, true]) {
    for (const failing of [[1], [1, 3], [1, 2], [1, -2]]) {
      const { rig, sink } = plainRig(t)
      rig.write('app.log', lines(0, 10))
      rig.look()
      sink.recordsMax = 2
      if (isBegun) sink.fill()
      sink.recordsMax = Number.POSITIVE_INFINITY
      copyTruncate(rig)
      rig.append('app.log', lines(10, 12))
      let sizes = 0
      let copies = 0
      rig.fs.fault = (operation, path) => {
        if (operation === 'open' && path.endsWith('.1')) return failing.includes(-++copies) ? 'EMFILE' : null
        return operation === 'fstat' && path.endsWith('app.log') && failing.includes(++sizes) ? 'EIO' : null
      }
      rig.look()
      t.ok(sizes > 1)
      rig.fs.fault = () => null
      await rig.run(5000)
      t.strictSame(sink.texts, messages(0, 12), `${isBegun ? 'begun' : 'not begun'}, ${failing}`)
      t.strictSame(losses(rig), [])
    }
  }
})

t.test('what could not be opened came before what is in a file now, not before what was', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 3))
  rig.write('app.log.9', 'an old one\n')
  let failing = 'app.log.9'
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith(failing) ? 'EIO' : null)
  const look = () => {
    rig.clock.monotonicMs += 1000
    rig.look()
  }
  look()
  sink.take(1)
  rig.unlink('app.log.9')
  copyTruncate(rig)
  rig.append('app.log', lines(3, 6))
  look()
  rig.unlink('app.log.1')
  // Of two that are cut between two looks nobody has seen the second, and it cannot be opened at first.
  copyTruncate(rig, 'app.log.2')
  rig.append('app.log', lines(6, 9))
  copyTruncate(rig)
  rig.append('app.log', lines(9, 12))
  failing = 'app.log.1'
  look()
  rig.unlink('app.log.2')
  failing = 'none'
  look()
  await rig.run(15_000)
  t.strictSame(sink.texts, messages(0, 12))
  t.strictSame(losses(rig), [])
})

t.test('an earlier copy is met late: it does not come between a file that was cut and its copy', async (t) => {
  // Which names cannot be opened when the last copy was made, and in each look after that.
  for (const failing of [
    [['app.log.2'], []],
    [['app.log.1', 'app.log.2'], ['app.log.1'], []],
    [['app.log.1', 'app.log.2'], ['app.log.2'], []],
  ]) {
    const { rig, sink } = plainRig(t)
    let fails = ['none']
    rig.fs.fault = (operation, path) =>
      operation === 'open' && fails.some((name) => path.endsWith(name)) ? 'EIO' : null
    const look = async () => {
      rig.clock.monotonicMs += 1000
      await rig.step()
    }
    rig.write('app.log', lines(0, 3))
    await rig.step()
    // Cut twice between two looks: nobody has seen what was written in between.
    copyTruncate(rig, 'app.log.2')
    rig.append('app.log', lines(3, 6))
    copyTruncate(rig)
    rig.append('app.log', lines(6, 10))
    const { fault } = rig.fs
    rig.fs.fault = (operation) => (operation === 'readdir' ? 'EIO' : null)
    await look()
    rig.fs.fault = fault
    rig.rename('app.log.2', 'app.log.3')
    rig.rename('app.log.1', 'app.log.2')
    copyTruncate(rig)
    rig.append('app.log', lines(10, 12))
    for (fails of failing) await look()
    await rig.run(15_000)
    t.strictSame(sink.texts, messages(0, 12), failing.join(' then '))
    t.strictSame(losses(rig), [], failing.join(' then '))
  }
})

t.test('a copy is met when its original was cut, and the name of that cannot be looked at', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  rig.look()
  sink.fill()
  sink.again()
  copyTruncate(rig)
  rig.append('app.log', lines(10, 12))
  let calls = 0
  const fails = new Set(['fstat app.log', 'stat app.log', 'open app.log.1 again'])
  rig.fs.fault = (operation, path) => {
    const name = path.slice(path.lastIndexOf('/') + 1)
    const isAgain = operation === 'open' && name === 'app.log.1' && calls++ > 0
    return fails.delete(`${operation} ${name}${isAgain ? ' again' : ''}`) ? 'EIO' : null
  }
  await rig.run(5000)
  t.equal(fails.size, 0)
  t.strictSame(sink.texts, messages(0, 12))
  t.strictSame(losses(rig), [])
})

t.test('what was seen while a copy was compared is lost with its original, though that failed', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
  let sizes = 0
  rig.fs.fault = (operation, path) => {
    if (!path.endsWith('app.log.1')) return null
    if (operation === 'open') rig.append('app.log', lines(10, 15))
    return operation === 'fstat' && ++sizes === 2 ? 'EIO' : null
  }
  rig.look()
  t.equal(sizes, 2)
  rig.fs.fault = () => null
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(15, 17))
  await rig.run(5000)
  t.strictSame(numbered(sink.texts), [...messages(0, 10), ...messages(15, 17)])
  t.strictSame(losses(rig), [[lines(0, 10).length, lines(0, 15).length, 'truncated']])
})

t.test(
  'cut and outgrown, and what is there now cannot be read at once: its size is not that of what was there',
  async (t) => {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    await rig.step()
    copyTruncate(rig)
    rig.append('app.log', lines(10, 30))
    let failed = 0
    rig.fs.fault = (operation, path) =>
      operation === 'read' && path.endsWith('app.log') && failed++ === 0 ? 'EIO' : null
    rig.look()
    t.ok(failed > 0)
    rig.append('app.log', lines(30, 40))
    rig.look()
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 40))
    t.strictSame(losses(rig), [])
  },
)

t.test('a copy and the file that is about to be cut are met at once, and one of the calls fails', async (t) => {
  // In the first round none does: it tells how many there are.
  let callsMax = 1
  for (let failing = 0; failing < callsMax; failing++) {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', lines(0, 10))
    copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
    let calls = 0
    let failed = ''
    rig.fs.fault = (operation, path) => {
      if (++calls !== failing) return null
      failed = `${operation} ${path}`
      return 'EIO'
    }
    rig.look()
    await sink.drain()
    rig.fs.fault = () => null
    if (failing === 0) callsMax = calls + 1
    await rig.run(2000)
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(10, 20))
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 20), failed)
    t.strictSame(losses(rig), [])
  }
})

t.test('what a file has when it is met at once with its copy is lost when it is cut then', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
  let sizes = 0
  rig.fs.fault = (operation, path) => {
    if (operation === 'fstat' && path.endsWith('app.log') && ++sizes === 2) rig.append('app.log', lines(10, 15))
    return null
  }
  rig.look()
  t.ok(sizes > 1)
  rig.fs.fault = () => null
  truncateSync(rig.path('app.log'), 0)
  rig.append('app.log', lines(20, 22))
  await rig.run(5000)
  t.strictSame(numbered(sink.texts), [...messages(0, 10), ...messages(20, 22)])
  t.strictSame(losses(rig), [[lines(0, 10).length, lines(0, 15).length, 'truncated']])
})

t.test('a copy that has the number of an older one is another copy', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log', lines(0, 10))
  await rig.step()
  copyTruncate(rig)
  await rig.run(3000)
  rig.append('app.log', lines(10, 20))
  rig.look()
  sink.take(5)
  // Written into the same inode, as a freed number is given to the next file.
  copyTruncate(rig)
  sink.fill()
  sink.ack()
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 20))
  t.strictSame(losses(rig), [])
})
