// The simulated disk keeps to the suite that the machine's does.
import t from 'tap'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { readingConformance } from '../ports/fs.conformance.ts'
import { type Inode, SimDisk } from './sim-disk.ts'

const newDisk = (reuse = -1) =>
  new SimDisk({ now: () => 1_000_000, reuse: (free) => (free.length === 0 ? -1 : Math.min(reuse, free.length - 1)) })

readingConformance(t, () => {
  const disk = newDisk()
  disk.mkdir('/root')
  const there = (path: string) => disk.at(path) ?? disk.create(path)
  return {
    fs: { reads: disk.reads, writes: realFileSystem.writes },
    root: '/root',
    hand: {
      write: (path, content) => {
        disk.truncate(there(path), 0)
        disk.append(there(path), content)
      },
      append: (path, content) => disk.append(there(path), content),
      truncate: (path, lengthBytes) => disk.truncate(there(path), lengthBytes),
      mkdir: (path) => disk.mkdir(path),
      symlink: (target, path) => disk.symlink(target, path),
      rename: (from, to) => disk.rename(from, to),
      unlink: (path) => disk.unlink(path),
      fifo: (path) => disk.fifo(path),
    },
  }
})

t.test(
  'a file lives until its last name and its last descriptor are gone; then its number is given again',
  async (t) => {
    const disk = newDisk(0)
    const freed: Inode[] = []
    disk.onFree = (inode) => void freed.push(inode)
    const first = disk.create('/a', 'abc')
    const fd = disk.reads.open('/a')
    disk.rename('/a', '/b')
    t.equal(disk.at('/a'), null)
    disk.unlink('/b')
    t.strictSame(freed, [], 'it is open')
    t.not(disk.create('/c').ino, first.ino)
    disk.reads.close(fd)
    t.strictSame(freed, [first])
    t.equal(disk.create('/d').ino, first.ino)
  },
)
