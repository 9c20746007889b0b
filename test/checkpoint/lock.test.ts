// One process per state directory, whatever became of the one before.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { acquireStateLock } from '../../src/checkpoint/lock.ts'

const CHILD = new URL('lock.child.ts', import.meta.url).pathname
const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
const statFields = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ')
const startOf = (pid: number) => statFields(pid)[19]!

/** A child process that talks in lines. */
function start(t: Test, command: string, args: string[]) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  t.teardown(() => end(child, exited))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async () => String((await lines.next()).value)
  return { child, pid: child.pid!, next, tell: () => void child.stdin.write('go\n'), kill: () => end(child, exited) }
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGKILL')
  await exited
}

t.test('a second taker is refused and told who has it', async (t) => {
  const directory = `${t.testdir()}/state`
  const lock = acquireStateLock(directory)
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.ok(lock.isHeld())
  t.throws(() => acquireStateLock(directory), {
    code: 'STATE_LOCKED',
    message: `${directory} is in use by another taffrail, process ${process.pid}`,
  })
  lock.release()
  t.notOk(existsSync(`${directory}/lock`))
  t.notOk(lock.isHeld())
  lock.release()
  acquireStateLock(directory).release()
  t.strictSame(readdirSync(directory), [])
})

t.test('held by another process until that is dead', async (t) => {
  const directory = t.testdir()
  const other = start(t, process.execPath, [CHILD, directory])
  t.equal(await other.next(), 'ready')
  other.tell()
  t.equal(await other.next(), 'held')
  t.throws(() => acquireStateLock(directory), { code: 'STATE_LOCKED', message: new RegExp(`process ${other.pid}$`) })
  await other.kill()
  const lock = acquireStateLock(directory)
  t.ok(lock.isHeld())
  t.strictSame(readdirSync(directory), ['lock'])
  lock.release()
})

t.test('the same pid is not the same process', async (t) => {
  const { pid } = process
  const stale = {
    'of a container before this one': `${pid}.${Number(startOf(pid)) - 1}.${bootId}`,
    'of before the boot': `${pid}.${startOf(pid)}.00000000-0000-0000-0000-000000000000`,
    'of a process that is gone': `4194305.1.${bootId}`,
  }
  for (const [what, owner] of Object.entries(stale)) {
    const directory = t.testdir()
    symlinkSync(owner, `${directory}/lock`)
    const lock = acquireStateLock(directory)
    t.ok(lock.isHeld(), what)
    t.strictSame(readdirSync(directory), ['lock'])
  }
})

t.test('a process is known by its start, whatever its name', async (t) => {
  const directory = t.testdir({ bin: {} })
  const name = `${directory}/bin/) Z 1 (`
  symlinkSync('/bin/sleep', name)
  const { pid } = start(t, name, ['1000'])
  while (!readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith(') Z')) await new Promise(setImmediate)
  symlinkSync(`${pid}.${startOf(pid)}.${bootId}`, `${directory}/lock`)
  t.throws(() => acquireStateLock(directory), { code: 'STATE_LOCKED', message: new RegExp(`process ${pid}$`) })
})

t.test('a dead process that nobody has buried holds nothing', async (t) => {
  const directory = t.testdir()
  const parent = start(t, 'bash', ['-c', 'sleep 1000 & echo $!; exec sleep 1000'])
  const pid = Number(await parent.next())
  symlinkSync(`${pid}.${startOf(pid)}.${bootId}`, `${directory}/lock`)
  t.throws(() => acquireStateLock(directory), { code: 'STATE_LOCKED' })
  process.kill(pid, 'SIGKILL')
  while (statFields(pid)[0] !== 'Z') await new Promise(setImmediate)
  acquireStateLock(directory).release()
})

t.test('of many that see the same dead owner, one gets the lock', async (t) => {
  const directory = t.testdir()
  symlinkSync(`4194305.1.${bootId}`, `${directory}/lock`)
  const takers = Array.from({ length: 6 }, () => start(t, process.execPath, [CHILD, directory]))
  for (const taker of takers) await taker.next()
  for (const taker of takers) taker.tell()
  const answers = await Promise.all(takers.map((taker) => taker.next()))
  const refused = answers.filter((answer) => answer.startsWith('STATE_LOCKED '))
  const holders = takers.filter((_, index) => answers[index] === 'held')
  t.equal(refused.length + holders.length, 6, answers.join('\n'))
  // Rarely a second one gets it for a moment, in the moment in which a third puts it back; but it can tell.
  for (const holder of holders) holder.tell()
  const states = await Promise.all(holders.map((holder) => holder.next()))
  t.equal(states.filter((state) => state === 'still held').length, 1, states.join())
})

t.test('one whose lock was taken over learns of it, and leaves the new one alone', async (t) => {
  const directory = t.testdir()
  const lock = acquireStateLock(directory)
  unlinkSync(`${directory}/lock`)
  t.notOk(lock.isHeld())
  symlinkSync(`1.1.${bootId}`, `${directory}/lock`)
  t.notOk(lock.isHeld())
  lock.release()
  t.equal(readlinkSync(`${directory}/lock`), `1.1.${bootId}`)
})

t.test('what is no lock of ours is left alone', async (t) => {
  const directory = t.testdir()
  writeFileSync(`${directory}/lock`, '')
  t.throws(() => acquireStateLock(directory), {
    code: 'STATE_LOCKED',
    message: /not made by taffrail.*it is not a link.*remove/,
  })
  unlinkSync(`${directory}/lock`)
  symlinkSync('elsewhere', `${directory}/lock`)
  t.throws(() => acquireStateLock(directory), { code: 'STATE_LOCKED', message: /not made by taffrail.*"elsewhere"/ })
})
