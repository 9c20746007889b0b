// Listings that are read again only when the directory has changed, and never too seldom.
import t from 'tap'
import { Directories, Directory } from '../../src/discover/directory.ts'
import type { FileStat, ReadFileSystem } from '../../src/ports/fs.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** One directory whose names, time and troubles the test sets. */
function rig() {
  const clock = new FakeClock()
  const state = {
    names: ['a'],
    mtimeMs: clock.now() - 60_000,
    ino: 1,
    kind: 'directory' as FileStat['kind'] | null,
    statError: '',
    readdirError: '',
    reads: 0,
  }
  const fail = (code: string) => {
    if (code !== '') throw Object.assign(new Error(code), { code })
  }
  const fs = {
    stat() {
      fail(state.statError)
      return state.kind === null
        ? null
        : { dev: 1, ino: state.ino, size: 0, mtimeMs: state.mtimeMs, nlink: 2, kind: state.kind }
    },
    readdir() {
      state.reads++
      fail(state.readdirError)
      return [...state.names]
    },
  } as unknown as ReadFileSystem
  return { clock, state, fs, directory: new Directory('/d', fs, clock) }
}

t.test('a quiet directory is listed once', async (t) => {
  const { state, directory } = rig()
  const version = directory.refresh()
  t.strictSame(directory.names, ['a'])
  for (let i = 0; i < 5; i++) t.equal(directory.refresh(), version)
  t.equal(state.reads, 1)
})

t.test('a change shows in the time, and is listed', async (t) => {
  const { state, directory } = rig()
  const version = directory.refresh()
  state.names = ['a', 'b']
  state.mtimeMs++
  t.ok(directory.refresh() > version)
  t.strictSame(directory.names, ['a', 'b'])
})

t.test('a time that is just now is not trusted until it is past', async (t) => {
  const { clock, state, directory } = rig()
  state.mtimeMs = clock.now()
  directory.refresh()
  state.names = ['a', 'b'] // in the same tick of the kernel's clock
  directory.refresh()
  t.strictSame(directory.names, ['a', 'b'])
  await clock.advance(200)
  state.names = ['a', 'b', 'c']
  directory.refresh()
  t.strictSame(directory.names, ['a', 'b', 'c'], 'once more, now that it is settled')
  const { reads } = state
  directory.refresh()
  t.equal(state.reads, reads)
})

t.test('the clock is set back, and comes to the time of the last change once more', async (t) => {
  for (const stepMs of [-150, -60_000]) {
    const { clock, state, directory } = rig()
    state.mtimeMs = clock.now()
    await clock.advance(1000)
    directory.refresh()
    clock.step(stepMs - 1000)
    directory.refresh()
    await clock.advance(-stepMs)
    state.names = ['a', 'b'] // at the very time of the change before
    await clock.advance(1000)
    directory.refresh()
    t.strictSame(directory.names, ['a', 'b'])
    const { reads } = state
    t.equal(reads, 2)
    await clock.advance(1000)
    directory.refresh()
    t.equal(state.reads, reads)
  }
})

t.test('another directory under the same name and time', async (t) => {
  const { state, directory } = rig()
  directory.refresh()
  state.ino = 2
  state.names = ['z']
  directory.refresh()
  t.strictSame(directory.names, ['z'])
})

t.test('a directory that comes, goes, and is none', async (t) => {
  const { state, directory } = rig()
  state.kind = null
  const none = directory.refresh()
  t.equal(directory.names, null)
  t.equal(directory.refresh(), none)
  state.kind = 'directory'
  t.ok(directory.refresh() > none)
  t.strictSame(directory.names, ['a'])
  state.kind = 'file'
  directory.refresh()
  t.equal(directory.names, null)
  state.kind = 'directory'
  directory.refresh()
  t.strictSame(directory.names, ['a'], 'the same time as before it went is no reason not to look')
})

t.test('errors are thrown, and the next refresh tries again', async (t) => {
  const { state, directory } = rig()
  state.statError = 'EACCES'
  t.throws(() => directory.refresh(), { code: 'EACCES' })
  state.statError = ''
  state.readdirError = 'EIO'
  t.throws(() => directory.refresh(), { code: 'EIO' })
  t.throws(() => directory.refresh(), { code: 'EIO' })
  state.readdirError = ''
  directory.refresh()
  t.strictSame(directory.names, ['a'])
  state.mtimeMs++
  state.readdirError = 'ENOENT'
  directory.refresh()
  t.equal(directory.names, null, 'gone in between')
})

t.test('groups are made once per listing', async (t) => {
  const { state, directory } = rig()
  state.names = ['a1', 'b1', 'a2']
  t.strictSame([...directory.group((name) => name[0]!)], [])
  directory.refresh()
  const groups = directory.group((name) => name[0]!)
  t.strictSame(Object.fromEntries(groups), { a: ['a1', 'a2'], b: ['b1'] })
  t.equal(
    directory.group(() => 'x'),
    groups,
  )
})

t.test('directories are shared by path', async (t) => {
  const { clock, fs } = rig()
  const directories = new Directories(fs, clock)
  const one = directories.at('/d')
  t.equal(directories.at('/d'), one)
  t.not(directories.at('/e'), one)
  directories.forget('/d')
  t.not(directories.at('/d'), one)
})
