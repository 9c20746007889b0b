// What every FileSystem keeps to, the machine's and the simulated one. Each implementation is run through this suite
// by a test of a few lines, so that the simulation cannot drift from Linux.
import type { Test } from 'tap'
import { errorCode } from '../../src/core/errors.ts'
import type { FileSystem } from '../../src/ports/fs.ts'

/** Somebody else at work on the same files: the kubelet, a container, an attacker. */
export interface OtherHand {
  /** Creates the file, or empties the one that is there and writes into it (same inode). */
  write(path: string, content: string): void
  append(path: string, content: string): void
  truncate(path: string, lengthBytes: number): void
  mkdir(path: string): void
  symlink(target: string, path: string): void
  rename(from: string, to: string): void
  unlink(path: string): void
  fifo(path: string): void
}

export interface Rig {
  fs: FileSystem
  hand: OtherHand
  /** An empty directory, absolute and free of links. */
  root: string
}

export type WritingRig = Omit<Rig, 'hand'> & { hand: Pick<OtherHand, 'write' | 'append'> }

/** What the reading half promises; `makeRig` is called once per test. */
export function readingConformance(t: Test, makeRig: (t: Test) => Rig): void {
  const check = (name: string, run: (t: Test, rig: Rig) => void) => t.test(name, async (t) => run(t, makeRig(t)))

  check('stat follows links, lstat does not', (t, { fs: { reads }, hand, root }) => {
    hand.write(`${root}/file`, 'abc')
    hand.symlink('file', `${root}/link`)
    const { dev, ino, mtimeMs, ...rest } = reads.stat(`${root}/link`)!
    t.strictSame(rest, { size: 3, nlink: 1, kind: 'file' })
    t.strictSame(reads.lstat(`${root}/file`), { dev, ino, mtimeMs, ...rest })
    t.equal(reads.lstat(`${root}/link`)?.kind, 'symlink')
    t.equal(reads.readlink(`${root}/link`), 'file')
    t.equal(reads.realpath(`${root}/link`), `${root}/file`)
    t.equal(reads.stat(root)?.kind, 'directory')
  })

  check('nothing there is null for stat and an error for the rest', (t, { fs: { reads }, hand, root }) => {
    hand.write(`${root}/file`, '')
    hand.symlink('nowhere', `${root}/dangling`)
    for (const path of [`${root}/no`, `${root}/no/no`, `${root}/file/no`]) {
      t.equal(reads.stat(path), null, path)
      t.equal(reads.lstat(path), null, path)
    }
    t.equal(reads.stat(`${root}/dangling`), null)
    t.equal(reads.lstat(`${root}/dangling`)?.kind, 'symlink')
    t.throws(() => reads.open(`${root}/no`), { code: 'ENOENT' })
    t.throws(() => reads.open(`${root}/dangling`), { code: 'ENOENT' })
    t.throws(() => reads.open(`${root}/file/no`), { code: 'ENOTDIR' })
    t.throws(() => reads.readdir(`${root}/no`), { code: 'ENOENT' })
    t.throws(() => reads.readdir(`${root}/file`), { code: 'ENOTDIR' })
    t.throws(() => reads.readlink(`${root}/no`), { code: 'ENOENT' })
    t.throws(() => reads.readlink(`${root}/file`), { code: 'EINVAL' })
    t.throws(() => reads.realpath(`${root}/dangling`), { code: 'ENOENT' })
  })

  check('a circle of links is an error, not an absence', (t, { fs: { reads }, hand, root }) => {
    hand.symlink('b', `${root}/a`)
    hand.symlink('a', `${root}/b`)
    t.throws(() => reads.stat(`${root}/a`), { code: 'ELOOP' })
    t.throws(() => reads.open(`${root}/a`), { code: 'ELOOP' })
    t.throws(() => reads.realpath(`${root}/a`), { code: 'ELOOP' })
    t.equal(reads.lstat(`${root}/a`)?.kind, 'symlink')
  })

  check('a link swings to another file, through a directory and with ..', (t, { fs: { reads }, hand, root }) => {
    hand.mkdir(`${root}/one`)
    hand.mkdir(`${root}/two`)
    hand.write(`${root}/one/log`, '1')
    hand.write(`${root}/two/log`, '22')
    hand.symlink('one/../one', `${root}/link`)
    t.equal(reads.realpath(`${root}/link/log`), `${root}/one/log`)
    hand.unlink(`${root}/link`)
    hand.symlink(`${root}/two`, `${root}/link`)
    t.equal(reads.stat(`${root}/link/log`)?.size, 2)
    t.equal(reads.realpath(`${root}/link/log`), `${root}/two/log`)
  })

  check('a directory lists its names', (t, { fs: { reads }, hand, root }) => {
    t.strictSame(reads.readdir(root), [])
    hand.write(`${root}/a`, '')
    hand.mkdir(`${root}/d`)
    hand.symlink('nowhere', `${root}/l`)
    t.strictSame(reads.readdir(root).sort(), ['a', 'd', 'l'])
  })

  check('reads are positional, short at the end and 0 past it', (t, { fs: { reads }, hand, root }) => {
    hand.write(`${root}/file`, 'abcdef')
    const fd = reads.open(`${root}/file`)
    const target = Buffer.alloc(8, '.')
    t.equal(reads.read(fd, target, 1, 2, 3), 2)
    t.equal(target.toString(), '.de.....')
    t.equal(reads.read(fd, target, 0, 8, 4), 2)
    t.equal(target.toString(), 'efe.....')
    t.equal(reads.read(fd, target, 0, 8, 6), 0)
    t.equal(reads.read(fd, target, 0, 8, 600), 0)
    t.equal(reads.read(fd, target, 0, 0, 0), 0)
    hand.append(`${root}/file`, 'gh')
    t.equal(reads.read(fd, target, 0, 8, 6), 2)
    t.equal(reads.fstat(fd).size, 8)
    hand.truncate(`${root}/file`, 3)
    t.equal(reads.read(fd, target, 0, 8, 6), 0)
    t.equal(reads.fstat(fd).size, 3)
    reads.close(fd)
    t.throws(() => reads.fstat(fd), { code: 'EBADF' })
    t.throws(() => reads.read(fd, target, 0, 1, 0), { code: 'EBADF' })
    t.throws(() => reads.close(fd), { code: 'EBADF' })
  })

  check('a descriptor keeps its file through rename and unlink', (t, { fs: { reads }, hand, root }) => {
    hand.write(`${root}/0.log`, 'old')
    const fd = reads.open(`${root}/0.log`)
    const { ino } = reads.fstat(fd)
    hand.rename(`${root}/0.log`, `${root}/0.log.1`)
    hand.write(`${root}/0.log`, 'newer')
    t.equal(reads.stat(`${root}/0.log.1`)?.ino, ino)
    t.not(reads.stat(`${root}/0.log`)?.ino, ino)
    hand.unlink(`${root}/0.log.1`)
    t.equal(reads.fstat(fd).nlink, 0)
    const target = Buffer.alloc(8)
    t.equal(target.toString('latin1', 0, reads.read(fd, target, 0, 8, 0)), 'old')
    reads.close(fd)
  })

  check('a rename takes the place of the file that was there', (t, { fs: { reads }, hand, root }) => {
    hand.write(`${root}/a`, 'a')
    hand.write(`${root}/b`, 'bb')
    const fd = reads.open(`${root}/b`)
    hand.rename(`${root}/a`, `${root}/b`)
    t.strictSame(reads.readdir(root), ['b'])
    t.equal(reads.stat(`${root}/b`)?.size, 1)
    t.equal(reads.fstat(fd).nlink, 0)
    reads.close(fd)
  })

  check('a file system has a size, the same for all that is in it', (t, { fs: { reads }, hand, root }) => {
    hand.write(`${root}/file`, 'abc')
    const bytes = reads.fileSystemBytes(root)
    t.ok(bytes >= 3 && Number.isSafeInteger(bytes), `${bytes} bytes`)
    t.equal(reads.fileSystemBytes(`${root}/file`), bytes)
    t.throws(() => reads.fileSystemBytes(`${root}/no`), { code: 'ENOENT' })
  })

  check('a FIFO and a directory open without blocking and show their kind', (t, { fs: { reads }, hand, root }) => {
    hand.fifo(`${root}/fifo`)
    t.equal(reads.lstat(`${root}/fifo`)?.kind, 'fifo')
    const target = Buffer.alloc(1)
    const fifo = reads.open(`${root}/fifo`)
    t.equal(reads.fstat(fifo).kind, 'fifo')
    reads.close(fifo)
    const directory = reads.open(root)
    t.equal(reads.fstat(directory).kind, 'directory')
    t.throws(() => reads.read(directory, target, 0, 1, 0), { code: 'EISDIR' })
    reads.close(directory)
  })
}

/** What the writing half promises. Of the other hand only `write` and `append` are used. */
export function writingConformance(t: Test, makeRig: (t: Test) => WritingRig): void {
  const check = (name: string, run: (t: Test, rig: WritingRig) => Promise<void>) =>
    t.test(name, async (t) => run(t, makeRig(t)))

  check('what is appended is at the end, also after a truncate', async (t, { fs: { writes, reads }, hand, root }) => {
    const path = `${root}/state`
    const handle = await writes.openAppend(path, false)
    await handle.append(Buffer.from('one.'))
    await handle.append(Buffer.alloc(0))
    hand.append(path, 'theirs.')
    await handle.append(Buffer.from('two.'))
    await handle.sync()
    t.equal(String(await writes.readFile(path)), 'one.theirs.two.')
    await handle.truncate(4)
    await handle.append(Buffer.from('three.'))
    await handle.close()
    t.equal(String(await writes.readFile(path)), 'one.three.')
    t.equal(reads.stat(path)?.size, 10)
    const again = await writes.openAppend(path, false)
    await again.append(Buffer.from('four.'))
    await again.close()
    t.equal(String(await writes.readFile(path)), 'one.three.four.')
    await (await writes.openAppend(path, true)).close()
    t.equal(String(await writes.readFile(path)), '')
  })

  check('a large append is written whole', async (t, { fs: { writes }, root }) => {
    const data = Buffer.alloc(3 * 1024 * 1024, 'taffrail.')
    const handle = await writes.openAppend(`${root}/large`, false)
    await handle.append(data)
    await handle.close()
    t.ok((await writes.readFile(`${root}/large`)).equals(data))
  })

  check('renames, unlinks and lists', async (t, { fs: { writes }, hand, root }) => {
    hand.write(`${root}/a`, 'a')
    hand.write(`${root}/b`, 'bb')
    await writes.rename(`${root}/a`, `${root}/b`)
    await writes.syncDirectory(root)
    t.strictSame(await writes.list(root), ['b'])
    t.equal(String(await writes.readFile(`${root}/b`)), 'a')
    await writes.unlink(`${root}/b`)
    t.strictSame(await writes.list(root), [])
  })

  check('mkdir makes what is missing and minds nothing that is there', async (t, { fs: { writes }, hand, root }) => {
    await writes.mkdir(`${root}/a/b/c`)
    await writes.mkdir(`${root}/a/b/c`)
    hand.write(`${root}/a/b/c/file`, '')
    t.strictSame(await writes.list(`${root}/a/b/c`), ['file'])
    t.equal(await codeOf(writes.mkdir(`${root}/a/b/c/file`)), 'EEXIST')
  })

  check('writing says what is wrong', async (t, { fs: { writes }, hand, root }) => {
    hand.write(`${root}/file`, '')
    t.strictSame(await writes.list(`${root}/no`), [], 'a missing directory lists nothing')
    t.equal(await codeOf(writes.list(`${root}/file`)), 'ENOTDIR')
    t.equal(await codeOf(writes.readFile(`${root}/no`)), 'ENOENT')
    t.equal(await codeOf(writes.readFile(root)), 'EISDIR')
    t.equal(await codeOf(writes.openAppend(`${root}/no/file`, false)), 'ENOENT')
    t.equal(await codeOf(writes.openAppend(root, false)), 'EISDIR')
    t.equal(await codeOf(writes.rename(`${root}/no`, `${root}/file`)), 'ENOENT')
    t.equal(await codeOf(writes.unlink(`${root}/no`)), 'ENOENT')
    t.equal(await codeOf(writes.syncDirectory(`${root}/no`)), 'ENOENT')
  })
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    return errorCode(error)
  }
}
