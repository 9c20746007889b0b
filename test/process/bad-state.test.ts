// The state directory in every bad shape: in use, not to be written, on a full disk, damaged. Where it can, the agent goes
// on shipping and says so; where it cannot, it ends with 1 and one line that says why.
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { eventually, lokiSink, runToEnd, SERVER, startRun, within, writeConfig } from '../support/process.ts'
import { arrives, linesOf, receiverOf } from '../support/receivers.ts'

t.jobs = 4

const CLEAN = { code: 0, signal: null }
const IS_ROOT = process.getuid?.() === 0
const NOBODY = 65_534

async function scene(t: Test, content: string, more: object = {}) {
  const directory = t.testdir({ 'a.log': content })
  const receiver = await receiverOf(t)
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type: 'files', paths: [`${directory}/*.log`] }],
    sinks: [lokiSink(receiver.url)],
    server: SERVER,
    ...more,
  })
  const say = (text: string) => appendFileSync(`${directory}/a.log`, `${text}\n`)
  return { directory, state: `${directory}/state`, receiver, config, say }
}

/** The child ends with 1, and its log with this. */
async function fails(t: Test, config: string, code: string, message: RegExp, options: { uid?: number } = {}) {
  const { process: taffrail, ...ended } = await runToEnd(t, ['run', '-c', config], options)
  t.match(ended, { code: 1, stdout: '', stderr: '' })
  t.match(taffrail.log.at(-1), { level: 'fatal', event: 'agent.failed', code, msg: message })
  t.same(taffrail.told('agent.started'), [])
}

t.test('a second process is refused, and told who is there; the first goes on', async (t) => {
  const { state, receiver, config, say } = await scene(t, 'a 1\n')
  const first = startRun(t, config)
  await arrives(receiver, first, 'a 1')
  await fails(t, config, 'STATE_LOCKED', new RegExp(`^${state} is in use by another taffrail, process ${first.pid}$`))
  say('a 2')
  await arrives(receiver, first, 'a 2')
  t.same(await first.end(), CLEAN)
  t.notOk(readdirSync(state).includes('lock'))
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1', 'a 2'])
  t.equal(receiver.counts.repeated, 0)
})

t.test('another pod takes the directory over: this one ends', async (t) => {
  const { state, receiver, config } = await scene(t, 'a 1\n')
  const taffrail = startRun(t, config)
  await arrives(receiver, taffrail, 'a 1')
  symlinkSync('1.42.another-boot', `${state}/theirs`)
  renameSync(`${state}/theirs`, `${state}/lock`)
  t.same(await taffrail.result(), { code: 1, signal: null })
  t.match(taffrail.log.at(-1), { level: 'fatal', code: 'STATE_LOCKED', msg: /another process has taken it over/ })
  t.ok(readdirSync(state).includes('lock'), "the lock is the other one's, and stays")
})

t.test('a directory that cannot be made or written', async (t) => {
  const { directory, receiver, config } = await scene(t, 'a 1\n')
  const at = (stateDir: string) =>
    writeFileSync(config, readFileSync(config, 'utf8').replace(/"stateDir": ".*"/, `"stateDir": "${stateDir}"`))
  writeFileSync(`${directory}/file`, '')
  at(`${directory}/file/state`)
  await fails(t, config, 'ENOTDIR', new RegExp(`ENOTDIR.*${directory}/file/state`))
  at(`${directory}/file`)
  await fails(t, config, 'EEXIST', new RegExp(`EEXIST.*${directory}/file`))
  mkdirSync(`${directory}/closed`)
  chmodSync(`${directory}/closed`, 0o500)
  at(`${directory}/closed`)
  await fails(t, config, 'EACCES', new RegExp(`EACCES.*${directory}/closed`), IS_ROOT ? { uid: NOBODY } : {})
  mkdirSync(`${directory}/odd/checkpoints.log`, { recursive: true })
  at(`${directory}/odd`)
  await fails(t, config, 'EISDIR', /EISDIR/)
  t.equal(receiver.counts.requests, 0)
})

/** The path of a tiny disk of memory; null where none can be mounted. */
function mountTiny(t: Test): string | null {
  const path = mkdtempSync(join(tmpdir(), 'taffrail-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=755', 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    rmdirSync(path)
    return null
  }
  t.teardown(() => {
    execFileSync('umount', ['-l', path])
    rmdirSync(path)
  })
  return path
}

t.test('a full disk: it ships on, says so, and checkpoints as soon as there is room', async (t) => {
  const state = mountTiny(t)
  if (state === null) {
    t.comment('nothing can be mounted here: not shown on this machine')
    return
  }
  const { receiver, config, say } = await scene(t, 'a 1\n', { stateDir: state })
  fill(`${state}/filler`)
  const taffrail = startRun(t, config)
  t.match(await taffrail.logged('checkpoint.failed'), {
    level: 'error',
    code: 'ENOSPC',
    path: `${state}/checkpoints.log`,
    msg: /a restart would repeat records/,
  })
  await arrives(receiver, taffrail, 'a 1')
  for (let i = 2; i <= 4; i++) {
    say(`a ${i}`)
    await arrives(receiver, taffrail, `a ${i}`)
  }
  const { checkpoints } = await taffrail.statusWhen('it is known', ({ checkpoints }) => checkpoints.pending > 0)
  t.match(checkpoints.failing, /ENOSPC/)
  t.same(await taffrail.end(), CLEAN)

  const again = startRun(t, config)
  await again.logged('checkpoint.failed')
  unlinkSync(`${state}/filler`)
  t.match(await again.logged('checkpoint.recovered'), { level: 'info' })
  say('a 5')
  await arrives(receiver, again, 'a 5')
  const { accepted } = receiver.counts
  await again.settled()
  t.same(await again.end(), CLEAN)
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.equal(receiver.counts.accepted, accepted, 'what was checkpointed is not sent again')
  t.strictSame([...new Set(linesOf(receiver))], ['a 1', 'a 2', 'a 3', 'a 4', 'a 5'])
})

t.test('a disk that fills while it runs', async (t) => {
  const state = mountTiny(t)
  if (state === null) {
    t.comment('nothing can be mounted here: not shown on this machine')
    return
  }
  const { receiver, config, say } = await scene(t, 'a 1\n', { stateDir: state })
  const taffrail = startRun(t, config)
  await arrives(receiver, taffrail, 'a 1')
  await taffrail.settled()
  fill(`${state}/filler`)
  for (let i = 2; taffrail.told('checkpoint.failed').length === 0; i++) {
    if (i > 400) throw new Error(`the disk never fills\n${taffrail.story()}`)
    say(`a ${i}`)
    await arrives(receiver, taffrail, `a ${i}`)
  }
  rmSync(`${state}/filler`)
  await taffrail.logged('checkpoint.recovered')
  const { accepted } = receiver.counts
  await taffrail.settled()
  t.same(await taffrail.end('SIGKILL'), { code: null, signal: 'SIGKILL' })
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.equal(receiver.counts.accepted, accepted, 'all was durable')
})

/** Takes all the room there is. */
function fill(path: string): void {
  for (const size of [4096, 1]) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(size))
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error
    }
  }
}

// Each kind of damage is a test of the store (test/checkpoint); here is what it does to a delivery.
const damages: Record<string, { damage: (log: Buffer) => Buffer; kept: boolean }> = {
  'one byte of it': {
    damage: (log) => {
      const damaged = Buffer.from(log)
      damaged[log.indexOf('\n') + 20]! ^= 1
      return damaged
    },
    kept: false,
  },
  'something after its end': { damage: (log) => Buffer.concat([log, Buffer.from([0, 0, 0, 10, 255])]), kept: true },
}

for (const [what, { damage, kept }] of Object.entries(damages)) {
  t.test(`checkpoints.log damaged: ${what}`, async (t) => {
    const { state, receiver, config, say } = await scene(t, 'a 1\na 2\n')
    t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
    const path = `${state}/checkpoints.log`
    writeFileSync(path, damage(readFileSync(path)))
    const { accepted } = receiver.counts
    const taffrail = startRun(t, config)
    const record = await taffrail.logged('checkpoint.damaged')
    t.match(record, { level: 'error', path, msg: `${path} is damaged at byte ` })
    t.ok(readdirSync(state).includes(basename(String(record.movedTo))), 'a copy is kept')
    say('a 3')
    await arrives(receiver, taffrail, 'a 3')
    await taffrail.settled()
    t.same(await taffrail.end(), CLEAN)
    t.equal(receiver.counts.accepted - accepted, kept ? 1 : 3)
    t.strictSame([...new Set(linesOf(receiver))].sort(), ['a 1', 'a 2', 'a 3'])
    const last = await runToEnd(t, ['run', '-c', config, '--once'])
    t.same(last.process.told('checkpoint.damaged'), [], 'the next start finds it sound')
  })
}

t.test('the checkpoint log of many files does not grow without end', async (t) => {
  const directory = t.testdir()
  const names = Array.from({ length: 150 }, (_, i) => `${directory}/${i}.log`)
  const receiver = await receiverOf(t)
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type: 'files', paths: [`${directory}/*.log`] }],
    sinks: [lokiSink(receiver.url, { batchAgeMax: '1ms' })],
  })
  for (const name of names) appendFileSync(name, 'first\n')
  const taffrail = startRun(t, config)
  const path = `${directory}/state/checkpoints.log`
  let accepted = names.length
  let bytes = 0
  let bytesMax = 0
  const inodes = new Set<number>()
  for (let round = 0; inodes.size < 2 && round < 100; round++) {
    await within(
      receiver.until(() => receiver.counts.accepted >= accepted),
      () => `round ${round} arrives\n${taffrail.story()}`,
    )
    await eventually(
      () => `round ${round} is checkpointed\n${taffrail.story()}`,
      () => statSync(path).size !== bytes,
    )
    const { size, ino } = statSync(path)
    bytes = size
    bytesMax = Math.max(bytesMax, size)
    inodes.add(ino)
    for (const name of names) appendFileSync(name, `line ${round}\n`)
    accepted += names.length
  }
  t.same(await taffrail.end(), CLEAN)
  t.equal(inodes.size, 2, 'it was written anew')
  t.ok(bytesMax > 512 * 1024 && bytesMax < 1.5 * 1024 * 1024, `${bytesMax} bytes at most`)
})
