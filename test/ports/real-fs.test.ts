// The machine's file system keeps to the suite; what only it can show (modes, devices) is tested here.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { type OtherHand, readingConformance, writingConformance } from './fs.conformance.ts'

const shortAppend = new URL('short-append.child.ts', import.meta.url).pathname
const { reads, writes } = realFileSystem

const hand: OtherHand = {
  write: (path, content) => writeFileSync(path, content),
  append: (path, content) => appendFileSync(path, content),
  truncate: (path, lengthBytes) => truncateSync(path, lengthBytes),
  mkdir: (path) => mkdirSync(path),
  symlink: (target, path) => symlinkSync(target, path),
  rename: (from, to) => renameSync(from, to),
  unlink: (path) => unlinkSync(path),
  fifo: (path) => void execFileSync('mkfifo', [path]),
}

const makeRig = (t: Test) => ({ fs: realFileSystem, hand, root: realpathSync(t.testdir()) })
readingConformance(t, makeRig)
writingConformance(t, makeRig)

t.test('state is for the owner alone', async (t) => {
  const root = t.testdir()
  await writes.mkdir(`${root}/a/b`)
  const handle = await writes.openAppend(`${root}/a/b/file`, false)
  await handle.close()
  t.equal(statSync(`${root}/a`).mode & 0o777, 0o700)
  t.equal(statSync(`${root}/a/b`).mode & 0o777, 0o700)
  t.equal(statSync(`${root}/a/b/file`).mode & 0o777, 0o600)
})

t.test('devices and sockets are named as such', async (t) => {
  const socket = `${t.testdir()}/s`
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  t.teardown(() => server.close())
  t.equal(reads.stat(socket)?.kind, 'socket')
  t.throws(() => reads.open(socket), { code: 'ENXIO' })
  t.equal(reads.stat('/dev/null')?.kind, 'device')
})

t.test('the disk says no', async (t) => {
  const full = await writes.openAppend('/dev/full', false)
  await t.rejects(full.append(Buffer.from('x')), { code: 'ENOSPC' })
  await t.rejects(full.sync(), { code: 'EINVAL' }, 'a sync reaches the system: this device has none')
  await full.close()
  await t.rejects(writes.syncDirectory('/proc'), { code: 'EINVAL' }, 'and so does that of a directory')
})

t.test('an append that is cut short goes on until the system refuses', async (t) => {
  const path = `${t.testdir()}/file`
  // The limit on the size of files makes the first write a short one and the second an error. (Without what tap
  // adds to each process: it writes files of its own.)
  const child = spawnSync('bash', [
    '-c',
    'unset NODE_OPTIONS; ulimit -f 1; exec "$0" "$@"',
    process.execPath,
    shortAppend,
    path,
  ])
  t.equal(String(child.stdout), 'EFBIG', String(child.stderr))
  t.equal(statSync(path).size, 1024)
})
