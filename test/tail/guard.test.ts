// What must not be read is not read, does not block, and is told: planted links, FIFOs, sockets, devices, directories,
// in each of the places where somebody may plant them, and swapped in at the worst moment.
import { execFileSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { isUnderRoots, openGuarded } from '../../src/tail/guard.ts'
import { SourceRig } from '../support/source-rig.ts'
import { row } from '../support/tail-rig.ts'
import { WatchedReads } from '../support/watched-reads.ts'

const SECRET = 'the secret\n'

/** Everything that may be planted at a path; gives what its refusal should say. */
const PLANTS: Record<string, { plant: (path: string, root: string, t: Test) => unknown; reason: RegExp }> = {
  'a link to a secret': { plant: (path, root) => symlinkSync(`${root}/secret`, path), reason: /outside of/ },
  'a relative link to a secret': {
    plant: (path, root) => symlinkSync(`${'../'.repeat(path.split('/').length - 2)}${root.slice(1)}/secret`, path),
    reason: /outside of/,
  },
  'a link to /etc/shadow': { plant: (path) => symlinkSync('/etc/shadow', path), reason: /outside of/ },
  'a link to /proc/self/environ': { plant: (path) => symlinkSync('/proc/self/environ', path), reason: /outside of/ },
  'a link to a device': { plant: (path) => symlinkSync('/dev/zero', path), reason: /outside of/ },
  'a link to a directory outside': { plant: (path) => symlinkSync('/etc', path), reason: /outside of/ },
  'a FIFO': { plant: (path) => execFileSync('mkfifo', [path]), reason: /fifo/i },
  'a socket': {
    plant: (path, _root, t) =>
      new Promise<void>((resolve) => {
        // Made elsewhere, because the path of a socket must be short.
        const directory = mkdtempSync('/tmp/taffrail-')
        const server = createServer().listen(`${directory}/s`, () => {
          renameSync(`${directory}/s`, path)
          rmdirSync(directory)
          resolve()
        })
        t.teardown(() => server.close())
      }),
    reason: /socket/,
  },
  'a device': { plant: (path) => execFileSync('mknod', [path, 'c', '1', '5']), reason: /device/ },
  'a directory': { plant: (path) => mkdirSync(path), reason: /directory/ },
  'a dangling link': { plant: (path) => symlinkSync('nowhere', path), reason: /nowhere/ },
  'a link to itself': { plant: (path) => symlinkSync(path, path), reason: /circle/ },
}

const POD = 'log/pods/ns_pod_uid/app'

/** Where it may be planted, and a good file beside it that must be read all the same. */
const PLACES: Record<
  string,
  { type: 'containers' | 'files'; paths: string[]; at: string; good: string; link?: string }
> = {
  'among the links': {
    type: 'containers',
    paths: ['log/containers/*.log'],
    at: 'log/containers/planted.log',
    good: `${POD}/0.log`,
    link: `log/containers/pod_ns_app-${'c'.repeat(64)}.log`,
  },
  'as the live file of a container': {
    type: 'containers',
    paths: ['log/containers/*.log'],
    at: `${POD}/1.log`,
    good: `${POD}/0.log`,
    link: `log/containers/pod_ns_app-${'c'.repeat(64)}.log`,
  },
  'as a rotated file of a container': {
    type: 'containers',
    paths: ['log/containers/*.log'],
    at: `${POD}/0.log.20261121-080000`,
    good: `${POD}/0.log`,
    link: `log/containers/pod_ns_app-${'c'.repeat(64)}.log`,
  },
  'as a compressed file of a container': {
    type: 'containers',
    paths: ['log/containers/*.log'],
    at: `${POD}/0.log.20261121-080000.gz`,
    good: `${POD}/0.log`,
    link: `log/containers/pod_ns_app-${'c'.repeat(64)}.log`,
  },
  'among files': { type: 'files', paths: ['logs/*.log'], at: 'logs/planted.log', good: 'logs/good.log' },
  'as a rotated file': { type: 'files', paths: ['logs/*.log'], at: 'logs/good.log.1', good: 'logs/good.log' },
  'deep below': { type: 'files', paths: ['logs/**/*.log'], at: 'logs/a/planted.log', good: 'logs/a/good.log' },
}

for (const [where, { type, paths, at, good, link }] of Object.entries(PLACES)) {
  t.test(where, async (t) => {
    for (const [what, { plant, reason }] of Object.entries(PLANTS)) {
      await t.test(what, async (t) => {
        const rig = new SourceRig(t, { type, paths })
        writeFileSync(`${rig.root}/secret`, SECRET)
        for (const path of [at, good, ...(link === undefined ? [] : [link])])
          rig.mkdir(path.slice(0, path.lastIndexOf('/')))
        writeFileSync(`${rig.root}/${good}`, `${row(1, 'good')}\n`)
        if (link !== undefined) symlinkSync(`${rig.root}/${good}`, `${rig.root}/${link}`)
        await plant(`${rig.root}/${at}`, rig.root, t)
        const opened = new Set<string>()
        rig.fs.fault = (operation, path) => {
          if (operation === 'open' || operation === 'read' || operation === 'readdir') opened.add(path)
          return null
        }
        await rig.run(3000)
        const texts = Object.values(rig.texts).flat()
        t.match(texts.join(), /^[^,]*good$/)
        // A directory whose name a pattern for directories matches is not a thing to be read at all.
        const isWalked = what === 'a directory' && where === 'deep below'
        if (!isWalked) t.match(rig.refused[at], reason)
        t.equal(rig.told('file.refused').length, isWalked ? 0 : 1, 'told once')
        t.equal(rig.counters.filesRefused, isWalked ? 0 : 1)
        const isOutside = (path: string) => !path.startsWith(`${rig.root}/log`) && path !== rig.root
        t.strictSame([...opened].filter(isOutside), [], 'nothing outside was touched')
        t.notOk(opened.has(`${rig.root}/secret`))
        // What is good in its place later is read.
        rmSync(`${rig.root}/${at}`, { recursive: true })
        await rig.run(1500)
        if (!at.endsWith('.gz')) {
          writeFileSync(`${rig.root}/${at}`, `${row(2, 'better')}\n`)
          await rig.run(4000)
          t.match(
            Object.values(rig.texts).flat().sort().join(),
            type === 'files' || where !== 'among the links' ? /better/ : /good/,
          )
        }
      })
    }
  })
}

t.test('links inside of the roots are followed', async (t) => {
  const root = realpathSync(t.testdir({ logs: { 'a.log': 'a\n' }, others: {} }))
  symlinkSync('a.log', `${root}/logs/link.log`)
  symlinkSync(`${root}/logs`, `${root}/others/logs`)
  symlinkSync(`${root}/logs`, `${root}/alias`)
  const { reads } = realFileSystem
  for (const path of ['logs/link.log', 'others/logs/a.log', 'alias/link.log']) {
    for (const roots of [[`${root}/logs`], [`${root}/alias`], ['/nowhere', `${root}/logs/`]]) {
      const opened = openGuarded(reads, `${root}/${path}`, roots)
      t.equal(opened.kind, 'opened', path)
      if (opened.kind === 'opened') reads.close(opened.fd)
    }
  }
  // A root is a directory, not a beginning of names.
  t.equal(openGuarded(reads, `${root}/logs/a.log`, [`${root}/log`]).kind, 'refused')
  t.equal(openGuarded(reads, `${root}/logs/a.log`, []).kind, 'refused')
  t.ok(isUnderRoots(reads, `${root}/alias/none.log`, [`${root}/logs`]))
  t.notOk(isUnderRoots(reads, `${root}/gone/none.log`, [`${root}/logs`]))
  t.notOk(isUnderRoots(reads, `${root}/others/none.log`, [`${root}/logs`]))
})

t.test('swapped between any two steps of the check', async (t) => {
  const swaps: Record<string, (root: string) => void> = {
    'the file for a link to a secret': (root) => {
      rmSync(`${root}/base/logs/a.log`)
      symlinkSync(`${root}/secret`, `${root}/base/logs/a.log`)
    },
    'the directory for a link to another one': (root) => {
      renameSync(`${root}/base/logs`, `${root}/base/logs.away`)
      symlinkSync(`${root}/elsewhere`, `${root}/base/logs`)
    },
    'the file for a FIFO': (root) => {
      rmSync(`${root}/base/logs/a.log`)
      execFileSync('mkfifo', [`${root}/base/logs/a.log`])
    },
    'the file for nothing': (root) => rmSync(`${root}/base/logs/a.log`),
    'the directory for nothing': (root) => renameSync(`${root}/base/logs`, `${root}/base/logs.away`),
  }
  let count = 0
  for (const [what, swap] of Object.entries(swaps)) {
    for (let step = 1; step < 12; step++) {
      const root = `${realpathSync(count === 0 ? t.testdir() : t.testdirName)}/${++count}`
      for (const directory of ['', '/base', '/base/logs', '/elsewhere']) mkdirSync(root + directory)
      writeFileSync(`${root}/base/logs/a.log`, 'fine\n')
      writeFileSync(`${root}/secret`, SECRET)
      writeFileSync(`${root}/elsewhere/a.log`, SECRET)
      const fs = new WatchedReads(realFileSystem.reads)
      let steps = 0
      fs.fault = () => {
        if (++steps === step) swap(root)
        return null
      }
      const opened = openGuarded(fs, `${root}/base/logs/a.log`, [`${root}/base`])
      if (opened.kind === 'opened') {
        fs.fault = () => null
        const target = Buffer.alloc(100)
        const text = target.toString('utf8', 0, fs.read(opened.fd, target, 0, 100, 0))
        // If it was swapped after the last look at the path, it is the right file that is open.
        t.equal(text, 'fine\n', `${what} before step ${step}`)
        fs.close(opened.fd)
      }
      t.strictSame([...fs.openFiles], [], 'nothing is left open')
      if (steps < step) break
    }
  }
  t.ok(count > 20)
})

t.test('swapped for a moment only', async (t) => {
  const root = realpathSync(t.testdir({ base: { logs: { 'a.log': 'fine\n' } }, elsewhere: { 'a.log': SECRET } }))
  symlinkSync(`${root}/elsewhere`, `${root}/swapped`)
  const exchange = () => {
    renameSync(`${root}/base/logs`, `${root}/between`)
    renameSync(`${root}/swapped`, `${root}/base/logs`)
    renameSync(`${root}/between`, `${root}/swapped`)
  }
  let fine = 0
  for (let from = 1; from < 12; from++) {
    for (let to = from + 1; to <= 12; to++) {
      const fs = new WatchedReads(realFileSystem.reads)
      let steps = 0
      fs.fault = () => {
        steps++
        if (steps === from || steps === to) exchange()
        return null
      }
      const opened = openGuarded(fs, `${root}/base/logs/a.log`, [`${root}/base`])
      fs.fault = () => null
      if (steps >= from && steps < to) exchange()
      if (opened.kind !== 'opened') continue
      const target = Buffer.alloc(100)
      t.equal(target.toString('utf8', 0, fs.read(opened.fd, target, 0, 100, 0)), 'fine\n', `steps ${from} to ${to}`)
      fs.close(opened.fd)
      fine++
    }
  }
  t.ok(fine > 0)
})

t.test('a hard link cannot be told from a file', async (t) => {
  // Said here so that nobody relies on it: fs.protected_hardlinks is the system's answer to that.
  const root = realpathSync(t.testdir({ logs: {}, secret: SECRET }))
  linkSync(`${root}/secret`, `${root}/logs/a.log`)
  const opened = openGuarded(realFileSystem.reads, `${root}/logs/a.log`, [`${root}/logs`])
  t.equal(opened.kind, 'opened')
  if (opened.kind === 'opened') realFileSystem.reads.close(opened.fd)
})

t.test('what the system says', async (t) => {
  const root = realpathSync(t.testdir({ 'a.log': 'a\n' }))
  const outcomes: [string, string, string][] = [
    ['realpath', 'EACCES', 'failed'],
    ['lstat', 'EIO', 'failed'],
    ['open', 'EMFILE', 'failed'],
    ['open', 'EACCES', 'failed'],
    ['open', 'ENOENT', 'missing'],
    ['open', 'ENOTDIR', 'missing'],
    ['open', 'ENXIO', 'refused'],
    ['open', 'ELOOP', 'refused'],
    ['fstat', 'EIO', 'failed'],
  ]
  for (const [operation, code, kind] of outcomes) {
    const fs = new WatchedReads(realFileSystem.reads)
    fs.fault = (each) => (each === operation ? code : null)
    const outcome = openGuarded(fs, `${root}/a.log`, [root])
    t.equal(outcome.kind, kind, `${operation} ${code}`)
    if (outcome.kind === 'failed') t.equal(outcome.operation, operation === 'lstat' ? 'stat' : operation)
    t.equal(fs.openFiles.size, 0)
  }
})
