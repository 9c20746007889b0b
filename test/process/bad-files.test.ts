// What may lie in a log directory that is no log, or cannot be read: each is named in the log, and nothing else is lost.
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Receiver } from '../../src/demo/receiver.ts'
import { lokiSink, SERVER, startRun, writeConfig } from '../support/process.ts'
import { arrives, linesOf, receiverOf } from '../support/receivers.ts'

t.jobs = 4

const CLEAN = { code: 0, signal: null }
const IS_ROOT = process.getuid?.() === 0
/** Root may read everything, so the child is somebody else then. */
const NOBODY = 65_534

async function scene(t: Test, files: Record<string, string | Buffer | object>, type = 'files', sink: object = {}) {
  const directory = t.testdir({ logs: files as Record<string, string>, state: {} })
  const receiver = await receiverOf(t)
  const config = writeConfig(directory, {
    sources: [
      { name: 'x', type, paths: [`${directory}/logs/*.log`], ...(type === 'files' ? {} : { roots: [directory] }) },
    ],
    sinks: [lokiSink(receiver.url, sink)],
    server: SERVER,
  })
  return { directory, logs: `${directory}/logs`, receiver, config }
}

const entries = (receiver: Receiver) => receiver.streams().flatMap((stream) => stream.entries)
t.test('links out of the directory, FIFO, socket, device, directory, odd name: refused by name', async (t) => {
  const { logs, receiver, config, directory } = await scene(t, { 'good.log': 'good\n', 'directory.log': {} })
  writeFileSync(`${directory}/secret`, 'secret\n')
  symlinkSync('/etc/shadow', `${logs}/shadow.log`)
  symlinkSync('/proc/self/environ', `${logs}/environ.log`)
  symlinkSync('../secret', `${logs}/above.log`)
  symlinkSync('/dev/zero', `${logs}/zero.log`)
  symlinkSync('loop.log', `${logs}/loop.log`)
  symlinkSync('missing', `${logs}/dangling.log`)
  symlinkSync('good.log', `${logs}/alias.log`)
  execFileSync('mkfifo', [`${logs}/fifo.log`])
  writeFileSync(Buffer.from(`${logs}/\xff.log`, 'latin1'), 'by a name that is no text\n')
  // Bound to a relative path, which is short enough, by a process that leaves it behind.
  const bind = "require('net').createServer().listen('socket.log', () => process.kill(process.pid, 'SIGKILL'))"
  spawnSync(process.execPath, ['-e', bind], { cwd: logs })
  const refusals: Record<string, RegExp> = {
    'directory.log': /is a directory, not a regular file/,
    'shadow.log': /resolves to \/etc\/shadow, outside of/,
    'environ.log': /resolves to \/proc\/.*environ, outside of/,
    'above.log': /resolves to .*\/secret, outside of/,
    'zero.log': /resolves to \/dev\/zero, outside of/,
    'loop.log': /go round in a circle/,
    'dangling.log': /leads nowhere/,
    'fifo.log': /is a fifo, not a regular file/i,
    'socket.log': /is a socket, not a regular file/,
    '\ufffd.log': /name is not valid UTF-8/,
  }
  if (IS_ROOT) {
    try {
      execFileSync('mknod', [`${logs}/device.log`, 'c', '1', '5'], { stdio: 'ignore' })
      refusals['device.log'] = /is a .*device, not a regular file|is a other/
    } catch {
      t.comment('this file system takes no devices')
    }
  }
  const taffrail = startRun(t, config)
  for (const [name, reason] of Object.entries(refusals)) {
    const path = `${logs}/${name}`
    const record = await taffrail.logged('file.refused', (record) => record.path === path)
    t.match(record, { level: 'warn', source: 'x', msg: `${path} is not read: ` })
    t.match(record.reason, reason)
  }
  await taffrail.settled()
  appendFileSync(`${logs}/good.log`, 'better\n')
  await arrives(receiver, taffrail, 'better')
  await taffrail.settled()
  const { counters } = await taffrail.status()
  t.equal(counters.filesRefused, Object.keys(refusals).length)
  t.same(await taffrail.end(), CLEAN)
  t.equal(taffrail.told('file.refused').length, Object.keys(refusals).length, 'each is named once')
  t.same(taffrail.told('file.error'), [])
  const byFile = (name: string) => receiver.find({ filename: `${logs}/${name}` }).flatMap((each) => each.entries.length)
  t.strictSame([byFile('good.log'), byFile('alias.log'), receiver.streams().length], [[2], [2], 2])
})

t.test('an agent that can open nothing of what it finds is not ready until it can', async (t) => {
  const { directory, logs, receiver, config } = await scene(t, { 'a.log': 'closed\n' })
  chmodSync(`${logs}/a.log`, 0o000)
  if (IS_ROOT) chownSync(`${directory}/state`, NOBODY, NOBODY)
  const taffrail = startRun(t, config, [], IS_ROOT ? { uid: NOBODY } : {})
  const failed = await taffrail.statusWhen('it has tried', ({ counters }) => counters.fileErrors > 0)
  t.equal(failed.ready, false)
  chmodSync(`${logs}/a.log`, 0o644)
  await arrives(receiver, taffrail, 'closed')
  await taffrail.statusWhen('it is ready', ({ ready }) => ready)
  t.same(await taffrail.end(), CLEAN)
})

t.test('a file and a directory that may not be read: said, and read as soon as they may', async (t) => {
  const { directory, logs, receiver, config } = await scene(t, { 'a.log': 'open\n', 'b.log': 'closed\n' })
  mkdirSync(`${logs}/more`)
  writeFileSync(`${logs}/more/c.log`, 'in a closed directory\n')
  const wide = writeConfig(directory, {
    sources: [
      { name: 'x', type: 'files', paths: [`${logs}/*.log`] },
      { name: 'y', type: 'files', paths: [`${logs}/more/*.log`] },
    ],
    sinks: [lokiSink(receiver.url)],
    server: SERVER,
  })
  t.equal(wide, config)
  chmodSync(`${logs}/b.log`, 0o000)
  chmodSync(`${logs}/more`, 0o000)
  if (IS_ROOT) chownSync(`${directory}/state`, NOBODY, NOBODY)
  const taffrail = startRun(t, config, [], IS_ROOT ? { uid: NOBODY } : {})
  t.match(await taffrail.logged('file.error', ({ path }) => path === `${logs}/b.log`), {
    level: 'warn',
    code: 'EACCES',
    msg: /b\.log failed and is tried again: .*permission denied/i,
  })
  t.match(await taffrail.logged('file.error', ({ path }) => path === `${logs}/more`), {
    operation: 'readdir',
    code: 'EACCES',
  })
  await arrives(receiver, taffrail, 'open')
  t.strictSame(linesOf(receiver), ['open'])
  chmodSync(`${logs}/b.log`, 0o644)
  await arrives(receiver, taffrail, 'closed')
  chmodSync(`${logs}/more`, 0o755)
  await arrives(receiver, taffrail, 'in a closed directory')
  t.same(await taffrail.end(), CLEAN)
  t.equal(receiver.counts.repeated, 0)
})

t.test("content that is not a container runtime's, too long, or no UTF-8: delivered and marked", async (t) => {
  const long = 'long '.repeat(20_000)
  const time = new Date().toISOString()
  const content = Buffer.concat([
    Buffer.from(`no format at all\n${time} stdout F fine\n{"json": true}\n\n${time} stdout X odd tag\n`),
    Buffer.from([0xff, 0xfe, 0x00, 0x41, 0x0a]),
    Buffer.from(`${time} stderr F caf\xe9\n`, 'latin1'),
    Buffer.from(`${time} stdout F ${long}\n`),
  ])
  const { receiver, config } = await scene(t, { 'x.log': content }, 'containers', { lineBytesMax: '2Ki' })
  const taffrail = startRun(t, config)
  await taffrail.settled()
  const mark = (line: Buffer | string) =>
    entries(receiver)
      .filter((entry) => entry.line.equals(Buffer.from(line)))
      .map(({ metadata }) => metadata.taffrail_mark)
  t.strictSame(mark('no format at all'), ['not_cri'])
  t.strictSame(mark('fine'), [undefined])
  t.strictSame(mark('{"json": true}'), ['not_cri'])
  t.strictSame(mark(''), ['not_cri'])
  t.strictSame(mark(`${time} stdout X odd tag`), ['not_cri'])
  t.strictSame(mark('\ufffd\ufffd\0A'), ['not_cri'])
  t.strictSame(mark('caf\ufffd'), [undefined])
  const cut = entries(receiver).find(({ metadata }) => metadata.taffrail_mark === 'cut')!
  t.equal(cut.line.toString(), long.slice(0, 2048))
  t.match(cut.metadata, {
    taffrail_original_bytes: String(long.length),
    taffrail_original_sha256: createHash('sha256').update(long).digest('hex'),
  })
  t.equal(entries(receiver).length, 8)
  t.match(await taffrail.logged('lines.marked', ({ mark }) => mark === 'not_cri'), { level: 'info', lines: 5 })
  t.match(await taffrail.logged('lines.marked', ({ mark }) => mark === 'invalid_utf8'), { level: 'info', lines: 2 })
  t.same(await taffrail.end(), CLEAN)
})

t.test('bytes that vanish while it does not run are told of, and the hole is shipped', async (t) => {
  const { logs, receiver, config } = await scene(t, { 'a.log': 'a 1\na 2\n' })
  receiver.setFault(() => ({ kind: 'answer', status: 503 }))
  const first = startRun(t, config)
  await first.statusWhen('its place is durable', ({ checkpoints, lineages }) => {
    return lineages.length > 0 && checkpoints.pending === 0 && receiver.counts.requests > 0
  })
  t.same(await first.end('SIGKILL'), { code: null, signal: 'SIGKILL' })
  writeFileSync(`${logs}/a.log`, 'another file under the name\n')
  receiver.setFault(null)
  const taffrail = startRun(t, config)
  t.match(await taffrail.logged('bytes.lost'), { level: 'error', fromOffset: 0, toOffset: 8, sink: 'loki' })
  await arrives(receiver, taffrail, 'another file under the name')
  const { sinks } = await taffrail.settled()
  t.match(Object.values(sinks[0]!.lost), [{ bytes: 8 }])
  t.same(await taffrail.end(), CLEAN)
  t.match(entries(receiver), [
    {
      line: /^taffrail: lost 8 bytes \[0, 8\) of .*a\.log, written before .*: gone or replaced/,
      metadata: { taffrail_mark: 'gap' },
    },
    { line: /^another file/, metadata: {} },
  ])
})
