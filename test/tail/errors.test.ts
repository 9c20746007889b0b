// The file system fails at any call: nothing is thrown, and when it has stopped failing everything is delivered.
import { copyFileSync, linkSync, truncateSync, utimesSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { Draw } from '../sim/draw.ts'
import { messages, type RigSink, row, rows, TailRig } from '../support/tail-rig.ts'
import type { ReadOperation } from '../support/watched-reads.ts'

/** Every so many calls one run; ERRORS_STEP=1 has them all. */
const CALLS_STEP = Number(process.env.ERRORS_STEP ?? 11)

type Fault = (operation: ReadOperation, path: string) => string | null

interface Story {
  name: string
  /** What happens, after each step a look and a delivery. */
  steps: ((rig: TailRig) => void)[]
  kind?: string
  expected: string[]
}

const stamp = (n: number) => `0.log.20261121-${String(80_000 + n)}`
const plain = (from: number, to: number) => `${messages(from, to).join('\n')}\n`

const STORIES: Story[] = [
  {
    name: 'rotation, compression, the next life',
    steps: [
      (rig) => {
        rig.write(stamp(0), rows(0, 3))
        rig.compress(stamp(0))
        rig.write('0.log', rows(3, 6))
      },
      (rig) => rig.append('0.log', `${row(6, 'line ', 'P')}\n`),
      (rig) => {
        rig.rename('0.log', stamp(1))
        rig.write('0.log', `${row(7, '6')}\n${rows(7, 9)}`)
      },
      (rig) => rig.compress(stamp(1)),
      (rig) => {
        rig.append('0.log', rows(9, 12))
        rig.rename('0.log', stamp(2))
        rig.compress(stamp(2))
        rig.write('0.log', rows(12, 15))
      },
      (rig) => rig.write('1.log', rows(15, 18)),
      (rig) => rig.unlink('0.log'),
    ],
    expected: messages(0, 18),
  },
  {
    name: 'copytruncate and numbers',
    kind: 'app.log',
    steps: [
      (rig) => rig.write('app.log', plain(0, 5)),
      (rig) => {
        rig.append('app.log', plain(5, 10))
        copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
        truncateSync(rig.path('app.log'), 0)
        rig.append('app.log', plain(10, 12))
      },
      (rig) => {
        rig.rename('app.log.1', 'app.log.2')
        rig.rename('app.log', 'app.log.1')
        rig.write('app.log', plain(12, 15))
      },
      (rig) => rig.append('app.log', plain(15, 18)),
    ],
    expected: messages(0, 18),
  },
  {
    name: 'a copy that is seen before the cut',
    kind: 'app.log',
    steps: [
      (rig) => rig.write('app.log', plain(0, 5)),
      (rig) => {
        rig.append('app.log', plain(5, 10))
        copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
        rig.look()
        truncateSync(rig.path('app.log'), 0)
        rig.append('app.log', plain(10, 12))
      },
      (rig) => rig.append('app.log', plain(12, 15)),
    ],
    expected: messages(0, 15),
  },
]

interface Outcome {
  texts: string[]
  calls: number
}

/** Tells a story while `fault` is in force, then lets the system be well again. */
async function tell(t: Test, story: Story, fault: Fault, shorten = (length: number) => length): Promise<Outcome> {
  const rig = new TailRig(t, { kind: story.kind ?? 'container' })
  const sink: RigSink = rig.sink()
  let calls = 0
  rig.fs.fault = (operation, path) => {
    calls++
    return fault(operation, path)
  }
  rig.fs.shorten = shorten
  for (const step of story.steps) {
    step(rig)
    await rig.run(200)
  }
  await rig.run(3000)
  rig.fs.fault = () => null
  rig.fs.shorten = (length) => length
  await rig.run(20_000)
  const outcome = { texts: sink.texts, calls }
  t.equal(sink.reader.hasWork, false)
  rig.close()
  rig.sinks.length = 0
  return outcome
}

/** All lines are there, in order where they first come; how many came more than once. */
function allThere(t: Test, story: Story, { texts }: Outcome, what: string): number {
  const lines = texts.filter((text) => !text.startsWith('taffrail: lost'))
  const first = [...new Set(lines)]
  if (first.slice().sort().join() !== story.expected.slice().sort().join()) t.strictSame(first, story.expected, what)
  return lines.length - first.length
}

for (const story of STORIES) {
  t.test(`${story.name}: each call fails once`, async (t) => {
    t.setTimeout(120_000)
    const { calls } = await tell(t, story, () => null)
    let repeats = 0
    for (const code of ['EIO', 'ENOENT', 'EMFILE']) {
      for (let failing = 1; failing <= calls + 5; failing += CALLS_STEP) {
        let count = 0
        const at = failing + ['EIO', 'ENOENT', 'EMFILE'].indexOf(code)
        let failed = ''
        const outcome = await tell(t, story, (operation, path) => {
          // A directory that is there is not said to be absent.
          if (++count !== at || (operation === 'readdir' && code === 'ENOENT')) return null
          failed = `${operation} ${path}`
          return code
        })
        repeats += allThere(t, story, outcome, `call ${at} fails with ${code}: ${failed}`)
      }
    }
    t.comment(`${calls} calls, ${repeats} lines repeated over all runs`)
  })

  t.test(`${story.name}: one operation fails all the time`, async (t) => {
    const operations = ['stat', 'lstat', 'fstat', 'readlink', 'realpath', 'readdir', 'open', 'read', 'close'] as const
    for (const failing of operations) {
      for (const code of ['EIO', 'EACCES']) {
        const outcome = await tell(t, story, (operation) => (operation === failing ? code : null))
        // What was gone when the system was well again could not be had.
        const lines = outcome.texts.filter((text) => !text.startsWith('taffrail: lost'))
        const isThere = (line: string) => lines.includes(line)
        t.ok(story.expected.slice(-3).every(isThere), `${failing} ${code}`)
        t.ok(outcome.calls < 2000, `${outcome.calls} calls while ${failing} fails`)
      }
    }
  })

  t.test(`${story.name}: reads are short`, async (t) => {
    for (let seed = 0; seed < 20; seed++) {
      let reads = seed
      const shorten = (length: number) => (++reads % 3 === 0 ? 1 : Math.ceil((length * (reads % 7)) / 7))
      const outcome = await tell(t, story, () => null, shorten)
      // A copy that could not be recognised is read again.
      const missing = story.expected.filter((line) => !outcome.texts.includes(line))
      t.strictSame(missing, [], `seed ${seed}: ${outcome.texts}`)
    }
  })
}

// The chance that showed something once, and some more.
for (const story of STORIES.filter(({ kind }) => kind !== undefined)) {
  t.test(`${story.name}: calls fail at random, and what is delivered is in order, once`, async (t) => {
    for (const seed of [29, 77, 147, 190, 1, 2, 3, 5, 8, 13, 21, 34]) {
      const draw = new Draw(seed)
      const rate = draw.pick([0.03, 0.1, 0.3])
      const { texts } = await tell(t, story, (operation) => {
        if (operation === 'close' || !draw.chance(rate)) return null
        return operation === 'open' ? draw.pick(['EMFILE', 'EIO']) : 'EIO'
      })
      t.strictSame(texts, story.expected, `seed ${seed}`)
    }
  })
}

t.test('what fails is told, and not again and again', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 10))
  rig.fs.fault = (operation) => (operation === 'read' ? 'EIO' : null)
  await rig.run(10_000)
  t.ok(rig.told('file.error').length > 5)
  t.ok(rig.told('file.error').length < 40, `${rig.told('file.error').length} errors in ten seconds`)
  rig.fs.fault = () => null
  await rig.run(2000)
  t.strictSame(sink.texts, messages(0, 10))
})

t.test('a rotated file that cannot be opened for a while is not passed over', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 3))
  await rig.step()
  rig.append('0.log', `${row(3, 'line ', 'P')}\n`)
  rig.rename('0.log', stamp(0))
  rig.write(stamp(1), `${row(4, '3')}\n${rows(4, 6)}`)
  rig.write('1.log', rows(6, 9))
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith(stamp(1)) ? 'EMFILE' : null)
  await rig.run(3000)
  rig.fs.fault = () => null
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 9))
})

t.test('a file that could not be opened at first comes to its place, even while another name fails', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(stamp(0), rows(0, 3))
  rig.write(stamp(1), rows(3, 6))
  rig.write('0.log', rows(6, 9))
  const fails = (what: ReadOperation, name: string) => {
    rig.fs.fault = (operation, path) => (operation === what && path.endsWith(name) ? 'EIO' : null)
  }
  fails('open', stamp(1))
  rig.look()
  fails('stat', '/0.log')
  rig.clock.monotonicMs += 500
  rig.look()
  rig.fs.fault = () => null
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 9))
})

for (const seen of ['app.log.3', 'app.log.2']) {
  t.test(`numbers move up between the listing and the look at ${seen}: no file is new`, async (t) => {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    const names = ['app.log.3', 'app.log.2', 'app.log.1', 'app.log']
    for (const [index, name] of names.entries()) rig.write(name, plain(3 * index, 3 * index + 3))
    await rig.run(4000)
    rig.append('app.log', plain(12, 15))
    rig.write('app.log.9', '')
    let isMoved = false
    rig.fs.fault = (operation, path) => {
      if (operation !== 'stat' || isMoved || !path.endsWith(seen)) return null
      isMoved = true
      for (const number of [3, 2, 1]) rig.rename(`app.log.${number}`, `app.log.${number + 1}`)
      return null
    }
    await rig.run(4000)
    t.ok(isMoved)
    t.strictSame(sink.texts, messages(0, 15))
  })
}

for (const [when, ms] of [
  ['after it was finished', 3000],
  ['before it is finished', 500],
] as const) {
  t.test(`a file that was read is compressed ${when}, which cannot be opened for a while`, async (t) => {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    const lines = (from: number, to: number) => messages(from, to).join('\n')
    rig.write('app.log', `${lines(0, 10)}\n`)
    await rig.step()
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', `${lines(10, 20)}\n`)
    await rig.run(ms)
    rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith('.gz') ? 'EMFILE' : null)
    rig.compress('app.log.1')
    await rig.run(3000)
    rig.fs.fault = () => null
    await rig.run(3000)
    t.strictSame(sink.texts, messages(0, 20))
  })
}

t.test('names fail in turn for long: what is read again and again is known, and no file is passed over', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  for (let i = 0; i < 10; i++) rig.write(stamp(i), rows(3 * i, 3 * i + 3))
  rig.write('0.log', rows(30, 33))
  rig.look()
  // No look is whole for far more than ten seconds; the last name is there for the first time at its end.
  let looks = 0
  rig.fs.fault = (operation, path) => (operation === 'stat' && path.endsWith(stamp(looks % 10)) ? 'EIO' : null)
  for (; looks < 20; looks++) {
    rig.write(`${stamp(50 + looks)}.other`, '')
    rig.clock.monotonicMs += 1000
    rig.look()
  }
  rig.rename('0.log', stamp(20))
  rig.write(stamp(21), rows(33, 36))
  rig.write('0.log', rows(36, 39))
  rig.fs.fault = (operation, path) => {
    if (operation === 'open' && path.endsWith(stamp(21))) return 'EIO'
    return operation === 'stat' && path.endsWith(stamp(5)) ? 'EIO' : null
  }
  await rig.run(5000)
  rig.fs.fault = () => null
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 39))
})

t.test('a file that could not be opened comes before one that was live then and has lost its name', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(stamp(0), rows(0, 3))
  await rig.step()
  rig.write(stamp(1), rows(3, 6))
  rig.write('0.log', rows(6, 9))
  const notYet = (operation: ReadOperation, path: string) => operation === 'open' && path.endsWith(stamp(1))
  rig.fs.fault = (operation, path) => (notYet(operation, path) ? 'EIO' : null)
  rig.clock.monotonicMs += 100
  rig.look()
  rig.unlink('0.log')
  rig.write('0.log', rows(9, 12))
  rig.clock.monotonicMs += 100
  rig.look()
  rig.fs.fault = () => null
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 12))
})

t.test('of what could not be opened, and is written to all the time, so much is remembered and no more', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(stamp(0), rows(0, 3))
  await rig.step()
  rig.write(stamp(1), rows(3, 6))
  rig.write('0.log', rows(6, 9))
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith(stamp(1)) ? 'EIO' : null)
  for (let i = 0; i < 300; i++) {
    utimesSync(rig.path(stamp(1)), 1_000_000 + i, 1_000_000 + i)
    rig.clock.monotonicMs += 1000
    rig.look()
  }
  t.equal(rig.lineage.files.at(-1)?.unopenedBefore?.size, 256)
  rig.unlink('0.log')
  rig.write('0.log', rows(9, 12))
  for (const isOver of [false, true]) {
    if (isOver) rig.fs.fault = () => null
    rig.clock.monotonicMs += 1000
    rig.look()
  }
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 12), 'what it was last is among it')
})

t.test('a name fails, and the live file was not met: nobody knows where another belongs', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(stamp(0), rows(0, 3))
  rig.write('0.log', rows(3, 6))
  rig.look()
  // Renamed, while its name cannot be looked at, and another one is there already that was rotated after it.
  rig.rename('0.log', stamp(1))
  rig.write(stamp(2), rows(6, 9))
  rig.write('0.log', rows(9, 12))
  rig.fs.fault = (operation, path) => (operation === 'stat' && path.endsWith(stamp(1)) ? 'EIO' : null)
  rig.clock.monotonicMs += 100
  rig.look()
  rig.compress(stamp(1))
  rig.fs.fault = () => null
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 12))
})

t.test('a file that was read is known by its compressed form, though its number is given to another', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink()
  rig.write('app.log.1', plain(0, 10))
  rig.write('app.log', plain(10, 20))
  await rig.run(3000)
  // The same inode comes back as the live file, as a freed number does.
  linkSync(rig.path('app.log.1'), rig.path('kept'))
  rig.compress('app.log.1')
  rig.rename('app.log', 'app.log.2')
  truncateSync(rig.path('kept'), 0)
  rig.rename('kept', 'app.log')
  rig.append('app.log', plain(20, 21))
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith('.gz') ? 'EMFILE' : null)
  await rig.run(1000)
  rig.fs.fault = () => null
  await rig.run(3000)
  t.strictSame(sink.texts.slice().sort(), messages(0, 21).sort())
})

t.test('numbers move up, and a file that could be opened late comes before one that has lost its name', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink()
  rig.write('app.log', plain(0, 10))
  await rig.run(1000)
  rig.restart()
  rig.rename('app.log', 'app.log.3')
  rig.write('app.log.2', plain(10, 20))
  rig.write('app.log.1', plain(20, 30))
  rig.write('app.log', plain(30, 40))
  // Its place is in there.
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith('.3') ? 'EIO' : null)
  rig.look()
  for (const number of [3, 2]) rig.rename(`app.log.${number}`, `app.log.${number + 1}`)
  rig.compress('app.log.1')
  rig.rename('app.log.1.gz', 'app.log.2.gz')
  rig.rename('app.log', 'app.log.1')
  rig.write('app.log', plain(40, 50))
  rig.fs.fault = () => null
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 50))
})

t.test(
  'after a restart, a file that was read is met late, and what comes after it has lost its name meanwhile',
  async (t) => {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    rig.write('app.log', plain(0, 10))
    await rig.step()
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', plain(10, 20))
    await rig.run(3000)
    t.strictSame(sink.texts, messages(0, 20))
    // The place is in the second file; the first one is compressed, and cannot be opened.
    rig.compress('app.log.1')
    rig.rename('app.log.1.gz', 'app.log.2.gz')
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', plain(20, 30))
    rig.restart()
    rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith('.gz') ? 'EMFILE' : null)
    rig.look()
    rig.rename('app.log.2.gz', 'app.log.3.gz')
    rig.compress('app.log.1')
    rig.rename('app.log.1.gz', 'app.log.2.gz')
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', plain(30, 40))
    rig.fs.fault = () => null
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 40))
  },
)

t.test('the decision is in the checkpoint though the file could not be read at once', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink()
  rig.write('app.log', 'a\n')
  await rig.step()
  rig.append('app.log', 'b\n')
  rig.look()
  sink.fill()
  let failures = 0
  rig.fs.fault = (operation) => (operation === 'read' && ++failures < 3 ? 'EIO' : null)
  t.ok(sink.reader.position()?.stamps.length)
  t.equal(failures, 3)
  // And of a file behind it.
  rig.fs.fault = () => null
  rig.rename('app.log', 'app.log.1')
  rig.write('app.log', 'c\n')
  rig.look()
  failures = 0
  rig.fs.fault = (operation, path) => {
    return operation === 'read' && path.endsWith('/app.log') && ++failures < 3 ? 'EIO' : null
  }
  t.ok(sink.reader.position()?.later?.[0]?.witness)
})

for (const readable of ['at once', 'when its compressed form is there'] as const) {
  t.test(`a file whose first bytes could not be read, but ${readable}, is known by its compressed form`, async (t) => {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    rig.write('app.log', '')
    rig.look()
    rig.append('app.log', plain(0, 10))
    rig.fs.fault = (operation, path) => (operation === 'read' && path.endsWith('app.log') ? 'EIO' : null)
    rig.look()
    if (readable === 'at once') rig.fs.fault = () => null
    rig.rename('app.log', 'app.log.1')
    rig.compress('app.log.1')
    rig.write('app.log', plain(10, 20))
    rig.look()
    rig.fs.fault = () => null
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 20))
  })
}

t.test('a file whose first bytes could not be read when they came is in the checkpoint when they can', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink()
  rig.write('app.log.1', plain(0, 10))
  rig.write('app.log', '')
  await rig.step()
  rig.append('app.log', plain(10, 20))
  rig.fs.fault = (operation) => (operation === 'read' ? 'EIO' : null)
  rig.look()
  rig.fs.fault = () => null
  rig.look()
  sink.savePosition()
  rig.restart()
  rig.unlink('app.log')
  await rig.run(1000)
  t.match(sink.texts.at(-1), /lost \d+ bytes/)
})

t.test('a line goes on behind an empty file whose name is gone, though another name fails', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(stamp(0), `${row(0, 'line ', 'P')}\n`)
  rig.write('0.log', '')
  await rig.step()
  rig.rename('0.log', stamp(1))
  rig.compress(stamp(1))
  rig.write('0.log', `${row(1, '0')}\n`)
  rig.fs.fault = (operation, path) => (operation === 'stat' && path.endsWith(stamp(0)) ? 'EIO' : null)
  await rig.run(5000)
  t.strictSame(sink.texts, messages(0, 1))
})

for (const [what, content] of [
  ['empty', ''],
  ['others', plain(50, 55)],
] as const) {
  t.test(
    `many files are ${what}, and now and then one cannot be looked at: a new one is met all the same`,
    async (t) => {
      const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
      for (let i = 2; i < 42; i++) rig.write(`app.log.${i}`, content)
      rig.write('app.log', plain(0, 10))
      rig.look()
      rig.write('app.log.1', plain(10, 20))
      rig.compress('app.log.1')
      let calls = 0
      const path = /log\.\d+$/
      // Each tenth call about them fails once they have been measured.
      rig.fs.fault = (operation, of) => {
        if (operation === 'open' && of.endsWith('.gz')) calls = 1
        return calls > 0 && (operation === 'read' || operation === 'fstat') && path.test(of) && ++calls % 10 === 0
          ? 'EIO'
          : null
      }
      rig.look()
      t.ok(calls > 10)
      t.ok(rig.lineage.files.some(({ compressed }) => compressed))
    },
  )
}

t.test('a rotated file that could be opened is held, though the live one could not', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(stamp(0), rows(0, 3))
  rig.write('0.log', rows(3, 6))
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith('0.log') ? 'EMFILE' : null)
  rig.look()
  rig.unlink(stamp(0))
  rig.fs.fault = () => null
  await rig.run(8000)
  t.strictSame(sink.texts, messages(0, 6))
})

t.test(
  'a file that was read is known by its compressed form, though its number is given to that of the next one',
  async (t) => {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    rig.write('app.log.1', plain(0, 10))
    rig.write('app.log', plain(10, 20))
    await rig.run(3000)
    linkSync(rig.path('app.log.1'), rig.path('kept'))
    rig.compress('app.log.1')
    rig.rename('app.log.1.gz', 'app.log.3.gz')
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', plain(20, 30))
    // The same inode comes back, as a freed number does.
    rig.write('kept', gzipSync(plain(10, 20)))
    rig.rename('kept', 'app.log.2.gz')
    rig.unlink('app.log.1')
    rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith('.3.gz') ? 'EIO' : null)
    await rig.run(1000)
    rig.fs.fault = () => null
    await rig.run(5000)
    t.strictSame(sink.texts, messages(0, 30))
  },
)

t.test(
  'a compressed file that could be opened late comes before one without a name, of which the compressed form has one',
  async (t) => {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    rig.write('app.log.2', plain(0, 10))
    rig.write('app.log.1', plain(10, 20))
    rig.write('app.log', plain(20, 30))
    // The second one cannot be opened, neither plain nor compressed.
    let second = 'app.log.1'
    rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith(second) ? 'EMFILE' : null)
    rig.look()
    rig.compress('app.log.1')
    rig.rename('app.log.2', 'app.log.3')
    rig.rename('app.log.1.gz', 'app.log.2.gz')
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', plain(30, 40))
    rig.compress('app.log.1')
    rig.rename('app.log.3', 'app.log.4')
    rig.rename('app.log.2.gz', 'app.log.3.gz')
    rig.rename('app.log.1.gz', 'app.log.2.gz')
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', plain(40, 50))
    second = 'app.log.3.gz'
    rig.look()
    rig.fs.fault = () => null
    await rig.run(8000)
    t.strictSame(sink.texts, messages(0, 50))
  },
)
