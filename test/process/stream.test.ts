// `taffrail stream` as the second container of a pod: what the program writes to its files comes out of standard output,
// whole, in order, and all of it, whatever happens to the files, the reader of standard output, or the process.
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { eventually, runToEnd, type StartOptions, TaffrailProcess, within } from '../support/process.ts'
import type { Row } from '../support/torture.ts'

t.jobs = 4

const MIB = 1024 * 1024
/** One a second; two minutes with `npm run test:process -- --long`. */
const ROTATIONS = process.env.TAFFRAIL_LONG === '1' ? 120 : 4
const CLEAN = { code: 0, signal: null }
const PIPE_BYTES = 4096

const stream = (t: Test, args: string[], options: StartOptions = {}) =>
  new TaffrailProcess(t, ['stream', '--log-level', 'info', ...args], options)

const linesOf = (taffrail: TaffrailProcess) => taffrail.stdout.toString().split('\n').slice(0, -1)

const until = (taffrail: TaffrailProcess, text: string) =>
  eventually(
    () => `${text} comes out\n${taffrail.stdout.toString().slice(-500)}\n${taffrail.story()}`,
    () => taffrail.stdout.includes(text),
  )

/** How a program's log is rotated; nothing is written meanwhile. */
const rotations: Record<string, (path: string) => void> = {
  rename(path) {
    shift(path)
    renameSync(path, `${path}.1`)
  },
  copytruncate(path) {
    shift(path)
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
  },
}

function shift(path: string): void {
  for (const n of [3, 2, 1]) if (existsSync(`${path}.${n}`)) renameSync(`${path}.${n}`, `${path}.${n + 1}`)
}

/** Writes lines of all sizes, with a rotation about every second; returns the lines. */
async function program(name: string, path: string): Promise<string[]> {
  const lines: string[] = []
  for (let rotation = 0; rotation <= ROTATIONS; rotation++) {
    for (let turn = 0; turn < 50; turn++) {
      const some = Array.from({ length: 40 }, (_, i) => {
        const number = lines.length + i
        const size = i === 0 && turn % 10 === 0 ? 40_000 : (number * 7) % 100
        // No two lines have the same bytes at one place: what tells that a file was written anew must not be hidden by the test.
        return `${name} ${number} ${`${number}`.repeat(size)}`
      })
      lines.push(...some)
      appendFileSync(path, some.map((line) => `${line}\n`).join(''))
      await sleep(20)
    }
    if (rotation < ROTATIONS) rotations[name]?.(path)
  }
  return lines
}

t.test('two logs of a pod through two sidecars, rotated every second: nothing missing, nothing torn', async (t) => {
  const logs = t.testdir({})
  const pods = Object.keys(rotations).map((name) => {
    const path = `${logs}/${name}.log`
    return { name, path, sidecar: stream(t, [path]) }
  })
  await Promise.all(pods.map(({ sidecar }) => sidecar.logged('agent.started')))
  await Promise.all(
    pods.map(async ({ name, path, sidecar }) => {
      const written = await program(name, path)
      // At once: the last lines were not even looked at.
      t.same(await sidecar.end(), CLEAN, name)
      const found = linesOf(sidecar)
      const known = new Set(written)
      const first = written.findIndex((line, i) => line !== found[i])
      t.equal(first, -1, `${name}: line ${first} is ${found[first]?.slice(0, 60)}`)
      t.equal(found.length, written.length, name)
      t.same(sidecar.told('bytes.lost'), [])
      const row: Row = {
        scenario: `stream: a log rotated every second (${name})`,
        lines: written.length,
        missing: written.length - new Set(found).size,
        malformed: found.length - found.filter((line) => known.has(line)).length,
        duplicates: found.length - new Set(found).size,
        outOfOrder: first < 0 ? 0 : 1,
        refused: null,
        notes: `${ROTATIONS} rotations`,
      }
      t.comment(`row ${JSON.stringify(row)}`)
    }),
  )
})

t.test('two writers of one pipe whose reader is slow: no line is in the middle of another', async (t) => {
  const directory = t.testdir({})
  const fifo = `${directory}/fifo`
  execFileSync('mkfifo', [fifo])
  const fd = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  // A description of its own: the writers' is not made non-blocking by ours.
  const out = openSync(fifo, constants.O_WRONLY)
  t.teardown(() => {
    closeSync(fd)
    closeSync(out)
  })
  const wanted: Record<string, string[]> = {}
  const writers = ['a', 'b'].map((name) => {
    wanted[name] = Array.from({ length: 3000 }, (_, i) => `${name} ${i} ${name.repeat((i * 37) % 1500)}.`)
    writeFileSync(`${directory}/${name}.log`, wanted[name].map((line) => `${line}\n`).join(''))
    return stream(t, [`${directory}/${name}.log`], { stdio: ['ignore', out, 'pipe'] })
  })
  await Promise.all(writers.map((writer) => writer.logged('agent.started')))
  const bytes = Object.values(wanted)
    .flat()
    .reduce((sum, line) => sum + line.length + 1, 0)
  const chunks: Buffer[] = []
  let read = 0
  await eventually(
    () => `${bytes} bytes come out, not ${read}`,
    () => {
      // So little at a time that the pipe is always full while both have something to write.
      for (let i = 0; i < 64 && read < bytes; i++) {
        const chunk = Buffer.alloc(PIPE_BYTES)
        const got = readNow(fd, chunk)
        if (got === 0) break
        chunks.push(chunk.subarray(0, got))
        read += got
      }
      return read >= bytes
    },
  )
  const found = Buffer.concat(chunks).toString().split('\n').slice(0, -1)
  for (const [name, lines] of Object.entries(wanted)) {
    t.strictSame(
      found.filter((line) => line.startsWith(name)),
      lines,
      name,
    )
  }
  t.equal(found.length, 6000)
  for (const writer of writers) t.same(await writer.end(), CLEAN)
})

function readNow(fd: number, chunk: Buffer): number {
  try {
    return readSync(fd, chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
    throw error
  }
}

/** Bytes that the process has read, and written, from and to anything. */
function transferred(pid: number): { read: number; written: number } {
  const io = readFileSync(`/proc/${pid}/io`, 'latin1')
  const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1])
  return { read: of('rchar'), written: of('wchar') }
}

t.test('nobody reads standard output: nothing is read either, and all of it comes later', async (t) => {
  const line = 'x'.repeat(250)
  const count = 160_000
  const directory = t.testdir({ 'a.log': '' })
  writeFileSync(`${directory}/a.log`, `${line}\n`.repeat(count))
  const taffrail = stream(t, [`${directory}/a.log`])
  const out = taffrail.child.stdout!
  out.pause()
  await taffrail.logged('agent.started')
  await eventually(
    () => `the pipe is full\n${taffrail.story()}`,
    () => transferred(taffrail.pid).written >= 60 * 1024,
  )
  // It is told to end, and waits for the reader.
  taffrail.child.kill('SIGTERM')
  await taffrail.logged('agent.stopping')
  t.ok(transferred(taffrail.pid).read < 20 * MIB, 'of 40 MB, the sources of the program among what was read')
  t.notOk(taffrail.hasEnded)
  out.resume()
  t.same(await taffrail.result(), CLEAN)
  t.equal(taffrail.stdout.length, count * (line.length + 1))
  t.ok(linesOf(taffrail).every((each) => each === line))
})

t.test('nobody reads standard output, and a second signal: it ends at once and says what is left', async (t) => {
  const directory = t.testdir({ 'a.log': `${'x'.repeat(99)}\n`.repeat(20_000) })
  const taffrail = stream(t, [`${directory}/a.log`])
  taffrail.child.stdout!.pause()
  await taffrail.logged('agent.started')
  await eventually(
    () => 'the pipe is full',
    () => transferred(taffrail.pid).written >= 60 * 1024,
  )
  const exited = once(taffrail.child, 'exit')
  taffrail.child.kill('SIGTERM')
  await taffrail.logged('agent.stopping')
  taffrail.child.kill('SIGTERM')
  // By itself it would take 20 s.
  t.same(await within(exited, () => `it ends\n${taffrail.story()}`, 15_000), [1, null])
  taffrail.child.stdout!.resume()
  await taffrail.ended
  t.match(taffrail.told('agent.stopped'), [{ drained: false, left: [{ sink: 'stdout' }] }])
})

t.test('SIGTERM: the last line without its end, and a file that nobody has seen yet', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const directory = t.testdir({ 'a.log': 'first\n' })
    const taffrail = stream(t, ['--prefix', '{file}: ', `${directory}/*.log`])
    await until(taffrail, 'first')
    appendFileSync(`${directory}/a.log`, 'second\nthe end')
    writeFileSync(`${directory}/b.log`, 'late\n')
    t.same(await taffrail.end(signal), CLEAN)
    t.same(linesOf(taffrail).sort(), ['a.log: first', 'a.log: second', 'a.log: the end', 'b.log: late'], signal)
    t.same(taffrail.otherLines, [])
  }
})

t.test('files that come later, in a directory that comes later; --from end is about what is there', async (t) => {
  const directory = t.testdir({ there: { 'a.log': 'old\n' } })
  const paths = [`${directory}/there/a.log`, `${directory}/later/**/*.log`]
  const taffrail = stream(t, ['--log-level', 'debug', '--from', 'end', ...paths])
  await taffrail.logged('file.opened')
  mkdirSync(`${directory}/later/deep`, { recursive: true })
  writeFileSync(`${directory}/later/deep/b.log`, 'b 1\n')
  await until(taffrail, 'b 1')
  appendFileSync(`${directory}/there/a.log`, 'new\n')
  appendFileSync(`${directory}/later/deep/b.log`, 'b 2\n')
  t.same(await taffrail.end(), CLEAN)
  t.same(linesOf(taffrail).sort(), ['b 1', 'b 2', 'new'])
})

t.test('--state-dir: a restart goes on; without it, it begins anew; one process at a time', async (t) => {
  const directory = t.testdir({ 'a.log': 'one\n' })
  const args = ['--state-dir', `${directory}/state`, `${directory}/a.log`]
  const first = stream(t, args)
  await until(first, 'one')
  const second = await runToEnd(t, ['stream', ...args])
  t.match(second, { code: 1, stdout: '' })
  t.match(second.process.log, [{ level: 'fatal', code: 'STATE_LOCKED' }])
  t.same(await first.end(), CLEAN)
  appendFileSync(`${directory}/a.log`, 'two\n')
  const again = stream(t, args)
  await until(again, 'two')
  t.same(await again.end(), CLEAN)
  t.same(linesOf(again), ['two'])
  const anew = stream(t, [`${directory}/a.log`])
  await until(anew, 'two')
  t.same(await anew.end(), CLEAN)
  t.same(linesOf(anew), ['one', 'two'])
})

t.test('json and multiline: a trace is one object', async (t) => {
  const trace = 'failed\njava.lang.Error: x\n\tat a.B.c(B.java:1)'
  const directory = t.testdir({ 'a.log': `${trace}\nnext\n` })
  const taffrail = stream(t, ['--format', 'json', '--multiline', 'java', `${directory}/a.log`])
  await until(taffrail, 'failed')
  t.same(await taffrail.end(), CLEAN)
  const labels = { job: 'stream', filename: `${directory}/a.log` }
  t.match(
    linesOf(taffrail).map((line) => JSON.parse(line)),
    [
      { labels, line: trace },
      { labels, line: 'next' },
    ],
  )
})

t.test('plain and multiline: the lines of a record stand together, each behind the prefix', async (t) => {
  const directory = t.testdir({ 'a.log': '2026 failed\n  here\n\n2026 next\n  and the end' })
  const taffrail = stream(t, ['--prefix', '[{file}] ', '--multiline-start', '^2026', `${directory}/a.log`])
  await until(taffrail, 'failed')
  t.same(await taffrail.end(), CLEAN)
  const wanted = ['2026 failed', '  here', '', '2026 next', '  and the end']
  t.same(
    linesOf(taffrail),
    wanted.map((line) => `[a.log] ${line}`),
  )
})

t.test('its reader goes away: it says so and ends', async (t) => {
  const directory = t.testdir({ 'a.log': 'line\n'.repeat(100_000) })
  const taffrail = stream(t, [`${directory}/a.log`])
  taffrail.child.stdout!.once('data', () => taffrail.child.stdout!.destroy())
  t.same(await taffrail.result(), { code: 1, signal: null })
  t.match(taffrail.told('agent.failed'), [{ level: 'fatal', code: 'STDOUT_CLOSED' }])
})

t.test('compiled, it keeps within 40 MiB of anonymous memory', async (t) => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const directory = t.testdir({ logs: {} })
  // Without the test runner's own loader, which the compiler would inherit.
  const compile = ['-u', 'NODE_OPTIONS', `${root}/node_modules/.bin/tsc`, '-p', 'tsconfig.build.json']
  await promisify(execFile)('env', [...compile, '--outDir', `${directory}/dist`], { cwd: root })
  const rows = Array.from({ length: 60_000 }, (_, i) => `2026-11-21 INFO line ${i} ${'x'.repeat(120)}\n`).join('')
  for (const name of ['a', 'b', 'c', 'd']) writeFileSync(`${directory}/logs/${name}.log`, rows)
  writeFileSync(`${directory}/logs/e.log`, `${'"y'.repeat(MIB / 2 - 10)}\n`.repeat(8))
  for (const args of [
    ['--prefix', '{file} '],
    ['--format', 'json', '--multiline', 'java'],
  ]) {
    const taffrail = stream(t, [...args, `${directory}/logs/*.log`], { program: `${directory}/dist/main.js` })
    let bytesMax = 0
    let lines = 0
    taffrail.child.stdout!.on('data', (chunk: Buffer) => {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++
      if (!taffrail.hasEnded) bytesMax = Math.max(bytesMax, taffrail.anonymousBytes)
    })
    await eventually(
      () => `all comes out, not ${lines} lines\n${taffrail.story()}`,
      () => lines === 4 * 60_000 + 8,
    )
    t.same(await taffrail.end(), CLEAN)
    t.ok(bytesMax > 15 * MIB && bytesMax < 40 * MIB, `${bytesMax} bytes at the most with ${args.join(' ')}`)
  }
})
