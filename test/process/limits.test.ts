// The limits of a real cgroup, derived from it by the process itself: 128 MiB of memory at full speed with a dead sink
// and 2,000 files, and a fifth of a core. Where no cgroup can be made the same is measured against limits in the
// configuration, and a comment says so. TAFFRAIL_LONG=1 makes ten minutes of the first and two of the second.
import { linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startReceiver } from '../../src/demo/receiver.ts'
import { makeCgroup } from '../support/cgroup.ts'
import { lokiSink, SERVER, startRun, type TaffrailProcess, writeConfig } from '../support/process.ts'
import { receiverOf } from '../support/receivers.ts'

t.jobs = 2

const IS_LONG = process.env.TAFFRAIL_LONG === '1'
const MEBIBYTE = 1024 * 1024
const LIMIT_BYTES = 128 * MEBIBYTE
const SAMPLE_MS = 100
const MILLICORES = 200
const WINDOW_MS = 10_000
/** Clock ticks of the kernel's accounts per second (USER_HZ). */
const TICKS = 100

/** `count` containers of one content of `bytes`: hard links, so that much to read takes little of a disk. */
function containers(directory: string, count: number, bytes: number): object {
  const rows: string[] = []
  for (let size = 0; size < bytes; ) {
    const time = new Date(Date.now() - 60_000 + rows.length).toISOString()
    const row = `${time} stdout F GET /api/v1/things/${rows.length} 200 ${'x'.repeat(100)}\n`
    rows.push(row)
    size += row.length
  }
  writeFileSync(`${directory}/content`, rows.join(''))
  mkdirSync(`${directory}/containers`)
  for (let i = 0; i < count; i++) {
    const logs = `${directory}/pods/ns_pod-${i}_uid-${i}/app`
    mkdirSync(logs, { recursive: true })
    linkSync(`${directory}/content`, `${logs}/0.log`)
    symlinkSync(`${logs}/0.log`, `${directory}/containers/pod-${i}_ns_app-${i.toString(16).padStart(64, '0')}.log`)
  }
  return { name: 'c', type: 'containers', paths: [`${directory}/containers/*.log`], roots: [directory] }
}

/** Says where the limits are when they are not a cgroup's. */
function group(t: Test, limits: Parameters<typeof makeCgroup>[1]) {
  const cgroup = makeCgroup(t, limits)
  if (typeof cgroup !== 'string') return cgroup
  t.comment(`NO CGROUP HERE (${cgroup}): measured against the configuration's limits, which proves less`)
  return null
}

t.test('128 MiB, 2,000 files, a dead sink, full speed: not killed', { buffered: true }, async (t) => {
  const seconds = IS_LONG ? 600 : 55
  const directory = t.testdir()
  const source = containers(directory, 2000, 2 * MEBIBYTE)
  const receiver = await startReceiver({ mode: 'null' })
  t.teardown(() => receiver.close())
  // Dead in every way: most pushes are refused at once, some hang or are cut off.
  receiver.setFault(({ n }) => {
    if (n % 50 === 0) return { kind: 'hang', store: 'none' }
    return n % 10 === 0 ? { kind: 'reset', store: 'none' } : { kind: 'answer', status: 503 }
  })
  const cgroup = group(t, { memoryBytes: LIMIT_BYTES })
  const config = writeConfig(directory, {
    sources: [source],
    sinks: [lokiSink(receiver.url, { requestTimeout: '2s', concurrency: 8 })],
    server: SERVER,
    ...(cgroup === null && { limits: { memory: LIMIT_BYTES } }),
  })
  const taffrail = startRun(t, config, [], cgroup === null ? {} : { prefix: cgroup.prefix })
  await taffrail.statusWhen('it follows all files', ({ lineages }) => lineages.length === 2000)
  let highest = 0
  for (let ms = 0; ms < seconds * 1000 && !taffrail.hasEnded; ms += SAMPLE_MS) {
    await sleep(SAMPLE_MS)
    if (!taffrail.hasEnded) highest = Math.max(highest, taffrail.anonymousBytes)
  }
  t.notOk(taffrail.hasEnded, 'it lives')
  const { requests } = receiver.counts
  t.ok(requests > 10 * seconds, `${requests} pushes`)
  t.ok(highest < LIMIT_BYTES, `${(highest / MEBIBYTE).toFixed(0)} MiB of anonymous memory at the most`)
  if (cgroup !== null) {
    t.equal(cgroup.memory().kills, 0)
    const { memory } = await taffrail.status()
    t.equal(memory.budgetBytes, LIMIT_BYTES / 4, 'the limit is known from the cgroup')
  }
  const row = { seconds, pushes: requests, MiB: Math.round(highest / MEBIBYTE), kills: cgroup?.memory().kills ?? null }
  t.comment(`limits ${JSON.stringify({ scenario: '128 MiB, 2,000 files, dead sink', ...row })}`)
  await taffrail.end('SIGKILL')
})

/** Milliseconds of CPU that it has used. */
function cpuMs({ pid }: TaffrailProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS
}

t.test('200m of CPU: kept to by itself, hardly ever throttled', { buffered: true }, async (t) => {
  const windows = IS_LONG ? 12 : 3
  const directory = t.testdir()
  const source = containers(directory, IS_LONG ? 500 : 160, 64 * MEBIBYTE)
  const receiver = await receiverOf(t, { mode: 'null' })
  const cgroup = group(t, { millicores: MILLICORES })
  const config = writeConfig(directory, {
    sources: [source],
    sinks: [lokiSink(receiver.url)],
    server: SERVER,
    limits: cgroup === null ? { memory: '96Mi', cpu: `${MILLICORES}m` } : { memory: '96Mi' },
  })
  const taffrail = startRun(t, config, [], cgroup === null ? {} : { prefix: cgroup.prefix })
  // What a start costs, loading and compiling above all, is no matter of pace.
  await taffrail.statusWhen('it is under way', ({ sinks }) => sinks[0]!.acked.bytes > 100 * MEBIBYTE)
  const begun = cgroup?.throttling()
  const used: number[] = []
  for (let window = 0; window < windows; window++) {
    const [cpu, at] = [cpuMs(taffrail), performance.now()]
    await sleep(WINDOW_MS)
    used.push(Math.round((1000 * (cpuMs(taffrail) - cpu)) / (performance.now() - at)))
  }
  const { sinks } = await taffrail.status()
  t.ok(sinks[0]!.lagBytes > 0, 'there was work all the time')
  for (const millicores of used) t.ok(millicores <= 1.1 * MILLICORES, `${millicores}m over ten seconds`)
  let share: number | null = null
  if (cgroup !== null && begun !== undefined) {
    const { periods, throttled } = cgroup.throttling()
    share = (throttled - begun.throttled) / (periods - begun.periods)
    t.ok(periods - begun.periods > 50 * windows, 'it ran in most periods')
    t.ok(share < 0.02, `${(100 * share).toFixed(1)} % of ${periods - begun.periods} periods were throttled`)
  }
  const row = {
    windows: used.map((m) => `${m}m`).join(' '),
    throttled: share === null ? null : `${(100 * share).toFixed(1)} %`,
  }
  t.comment(`limits ${JSON.stringify({ scenario: '200m of CPU', ...row })}`)
  await taffrail.end('SIGKILL')
})
