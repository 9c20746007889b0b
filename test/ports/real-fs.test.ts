// The machine's file system keeps to the suite; what only it can show (modes, devices) is tested here.
import { execFileSync } from 'node:child_process'
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
import t from 'tap'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { fileSystemConformance, type OtherHand } from './fs.conformance.ts'

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

fileSystemConformance(t, (t) => ({ fs: realFileSystem, hand, root: realpathSync(t.testdir()) }))

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
  await full.close()
})
