// The memory limit of the real process: V8's own limits are there, set by a restart that keeps the pid, and under load it
// stays below what the configuration allows.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startReceiver } from '../../src/demo/receiver.ts'
import { sampleLine } from '../../src/demo/sample-line.ts'
import { heapFlags } from '../../src/limits.ts'
import { eventually, lokiSink, SERVER, startRun, TaffrailProcess, writeConfig } from '../support/process.ts'

const CLEAN = { code: 0, signal: null }
const MEBIBYTE = 1024 * 1024
const SAMPLE_MS = 20
const LIMIT_BYTES = 96 * MEBIBYTE

const commandLine = ({ pid }: TaffrailProcess) =>
  readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').slice(0, -1)

function small(t: Test, limits: object) {
  const directory = t.testdir({ 'a.log': 'a 1\n' })
  return writeConfig(directory, {
    sources: [{ name: 'x', type: 'files', paths: [`${directory}/*.log`] }],
    sinks: [{ name: 'out', type: 'stdout' }],
    limits,
  })
}

t.test('V8 is limited by a restart of the process in place', async (t) => {
  const config = small(t, { memory: '200Mi' })
  for (const args of [
    ['--config', config],
    ['-c', config],
    [`--config=${config}`],
    [`-c${config}`],
    ['--log-level', 'info', '-c', config],
  ]) {
    const taffrail = new TaffrailProcess(t, ['run', ...args])
    await taffrail.logged('agent.started')
    // By the pid that was started: the process is the same one.
    const [node, ...rest] = commandLine(taffrail)
    const flags = heapFlags(200 * MEBIBYTE)
    t.equal(node, process.execPath)
    t.strictSame(rest.slice(0, flags.length), flags)
    t.equal(flags[0], '--max-old-space-size=155')
    t.same(await taffrail.end(), CLEAN)
  }
})

t.test('the heap of the agent itself is limited, by what V8 makes of the flags', async (t) => {
  const config = small(t, { memory: '200Mi' })
  const tell = join(dirname(config), 'tell.mjs')
  writeFileSync(
    tell,
    `import { appendFileSync } from 'node:fs'
    import v8 from 'node:v8'
    appendFileSync(new URL('limits', import.meta.url), v8.getHeapStatistics().heap_size_limit / ${MEBIBYTE} + ' ')`,
  )
  const taffrail = startRun(t, config, [], { nodeArgs: [`--import=${tell}`] })
  await taffrail.logged('agent.started')
  const told = readFileSync(join(dirname(config), 'limits'), 'latin1')
    .trim()
    .split(' ')
    .map(Number)
  t.equal(told.length, 2, 'once as it was started, once as it restarted itself')
  const limitMiB = told[1] as number
  // Above what the old generation gets there is the young one: three times a semi-space, which V8 alone would make 16 MiB.
  t.ok(limitMiB >= 155 && limitMiB <= 159, `${limitMiB} MiB`)
  t.same(await taffrail.end(), CLEAN)
})

t.test('the old generation has half of the memory, or what an eighth and 20 MiB leave', async (t) => {
  for (const [memory, old] of [
    [40, 32],
    [64, 36],
    [80, 50],
    [96, 64],
    [128, 92],
    [256, 204],
  ] as const) {
    t.equal(heapFlags(memory * MEBIBYTE)[0], `--max-old-space-size=${old}`)
  }
})

t.test(
  'whole collections are marked in steps, and what is seldom called is not optimised, where V8 knows the flags for it',
  async (t) => {
    for (const flag of [
      '--no-separate-gc-phases',
      '--no-incremental-marking-task',
      '--invocation-count-for-maglev=2000',
    ]) {
      t.ok(heapFlags(MEBIBYTE, '13.6.233.17-node.53').includes(flag))
      t.notOk(heapFlags(MEBIBYTE, '14.1.146.11-node.9').includes(flag))
    }
    t.notOk(heapFlags(MEBIBYTE, '14.1.146.11-node.9').includes('--no-incremental-marking'))
  },
)

t.test('limits that were given by hand are left alone', async (t) => {
  const config = small(t, {})
  const byHand = startRun(t, config, [], { nodeArgs: ['--max-old-space-size=64'] })
  await byHand.logged('agent.started')
  t.match(commandLine(byHand)[1], '--max-old-space-size=64')
  t.equal(commandLine(byHand).filter((arg) => arg.startsWith('--max-')).length, 1)
  t.same(await byHand.end(), CLEAN)
  const byEnvironment = startRun(t, config, [], { env: { NODE_OPTIONS: '--max-old-space-size=64' } })
  await byEnvironment.logged('agent.started')
  t.equal(commandLine(byEnvironment).filter((arg) => arg.startsWith('--max-')).length, 0)
  t.same(await byEnvironment.end(), CLEAN)
})

/** Writes `bytes` of a container's log in lines of `lineBytes`. */
function writeLog(path: string, name: string, bytes: number, lineBytes: number): number {
  const time = new Date().toISOString()
  const fd = openSync(path, 'a')
  let sequence = 0
  for (let left = bytes; left > 0; ) {
    const rows: Buffer[] = []
    for (let size = 0; size < MEBIBYTE && left > 0; ) {
      const line = sampleLine(name, ++sequence, lineBytes)
      rows.push(Buffer.from(`${time} stdout F `), line, Buffer.from('\n'))
      size += line.length
      left -= line.length
    }
    writeSync(fd, Buffer.concat(rows))
  }
  closeSync(fd)
  return sequence
}

t.test('a hundred megabytes of backlog, long lines, a sink that stalls: it stays under its limit', async (t) => {
  const directory = t.testdir()
  let lines = 0
  for (let pod = 0; pod < 24; pod++) {
    const logs = `${directory}/pods/ns_pod-${pod}_uid/app`
    mkdirSync(logs, { recursive: true })
    const lineBytes = pod % 6 === 5 ? 600 * 1024 : 150 + 40 * pod
    lines += writeLog(`${logs}/0.log`, `w${pod}`, 4 * MEBIBYTE, lineBytes)
  }
  const receiver = await startReceiver({ mode: 'null' })
  t.teardown(() => receiver.close())
  receiver.setFault(({ n }) => {
    if (n % 7 === 0) return { kind: 'slow', delayMs: 150 }
    return n % 11 === 0 ? { kind: 'answer', status: 503 } : null
  })
  const config = writeConfig(directory, {
    sources: [{ name: 'c', type: 'containers', paths: [`${directory}/pods/*/*/*.log`], roots: [directory] }],
    sinks: [lokiSink(receiver.url)],
    limits: { memory: LIMIT_BYTES },
    server: SERVER,
  })
  const taffrail = startRun(t, config)
  await taffrail.logged('agent.started')
  let highest = 0
  let isOver = false
  const sampling = (async () => {
    while (!isOver) {
      highest = Math.max(highest, taffrail.anonymousBytes)
      await sleep(SAMPLE_MS)
    }
  })()
  try {
    const { sinks, memory } = await taffrail.settled()
    t.equal(sinks[0]!.acked.lines, lines)
    t.ok(memory.budgetBytes <= 24 * MEBIBYTE)
    receiver.setFault(null)
    await eventually(
      () => 'there were samples',
      () => highest > 0,
    )
  } finally {
    isOver = true
    await sampling
  }
  t.same(await taffrail.end(), CLEAN)
  t.comment(`${(highest / MEBIBYTE).toFixed(1)} MiB of anonymous memory at the most`)
  t.ok(highest < LIMIT_BYTES, `${(highest / MEBIBYTE).toFixed(1)} MiB`)
})

t.test("node's own fetch and WebSocket, which nobody uses, are not loaded", async (t) => {
  const modules = ['commands/run', 'observe/server', 'ports/real-http', 'enrich/watcher'].map((name) =>
    fileURLToPath(new URL(`../../src/${name}.ts`, import.meta.url)),
  )
  const script = `for (const path of ${JSON.stringify(modules)}) await import(path)
    console.log(JSON.stringify(process.moduleLoadList))`
  const { NODE_OPTIONS: _, ...env } = process.env
  const loaded = JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], { env }).toString())
  t.ok(loaded.includes('NativeModule http'))
  t.notOk(loaded.includes('NativeModule internal/deps/undici/undici'), '6 MiB of memory')
})
