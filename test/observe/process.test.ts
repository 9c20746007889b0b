import { closeSync, openSync } from 'node:fs'
import t from 'tap'
import { readProcess, watchLoopDelay } from '../../src/observe/process.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function work(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** Takes so much CPU, however long a busy machine needs for it. */
function spend(ms: number): void {
  const before = process.cpuUsage()
  for (let spentMs = 0; spentMs < ms; ) {
    const { user, system } = process.cpuUsage(before)
    spentMs = (user + system) / 1000
  }
}

t.test('the process as the kernel sees it', async (t) => {
  const before = readProcess()
  const rss = process.memoryUsage.rss()
  t.ok(Math.abs(before.residentBytes - rss) < rss / 4, 'resident')
  t.ok(before.anonymousBytes! > 1e6 && before.anonymousBytes! < before.residentBytes, 'anonymous is a part of resident')
  t.ok(before.maxFds! >= before.openFds!, 'descriptors')
  const fds = Array.from({ length: 5 }, () => openSync('/dev/null', 'r'))
  t.equal(readProcess().openFds! - before.openFds!, 5)
  for (const fd of fds) closeSync(fd)
  spend(30)
  const spent = readProcess().cpuSeconds - before.cpuSeconds
  t.ok(spent > 0.01 && spent < 2, `cpu ${spent}`)
})

t.test('a long turn of the event loop is seen once', async (t) => {
  const look = watchLoopDelay()
  t.equal(look(), null, 'the first look begins')
  await turn()
  work(60)
  await turn()
  await turn()
  const delay = look()
  if (delay === null) return t.pass('this runtime cannot measure turns')
  t.ok(delay.max >= 0.055 && delay.max < 5, `max ${delay.max}`)
  await turn()
  await turn()
  t.ok((look()?.max ?? 0) < delay.max, 'each look covers the time since the last')
})
