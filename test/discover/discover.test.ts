// Lineages as they are found on a node, and what is delivered of them.
import {
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { Directories } from '../../src/discover/directory.ts'
import { Discovery } from '../../src/discover/discover.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { SourceRig } from '../support/source-rig.ts'
import { messages, row, rows } from '../support/tail-rig.ts'

const ID = 'c'.repeat(64)

function nodeRig(t: Test, roots: string[] | null = null): SourceRig {
  const rig = new SourceRig(t, { type: 'containers', paths: ['log/containers/*.log'], roots })
  rig.mkdir('log/containers')
  return rig
}

/** A container as the kubelet makes it; gives its directory. */
function container(rig: SourceRig, pod: string, uid: string, name = 'app', restart = 0): string {
  const directory = rig.mkdir(`log/pods/ns_${pod}_${uid}/${name}`)
  writeFileSync(`${directory}/${restart}.log`, `${row(0, `${pod} ${uid} ${name} ${restart}`)}\n`, { flag: 'a' })
  link(rig, `${pod}_ns_${name}-${ID}.log`, `${directory}/${restart}.log`)
  return directory
}

function link(rig: SourceRig, name: string, target: string): void {
  const path = `${rig.root}/log/containers/${name}`
  rmSync(path, { force: true })
  symlinkSync(target, path)
}

t.test('containers by their links', async (t) => {
  const rig = nodeRig(t)
  container(rig, 'cart', 'u1')
  container(rig, 'cart', 'u1', 'side')
  container(rig, 'shop', 'u2')
  await rig.run(500)
  t.strictSame(rig.texts, {
    'ns/cart/app/u1': ['cart u1 app 0'],
    'ns/cart/side/u1': ['cart u1 side 0'],
    'ns/shop/app/u2': ['shop u2 app 0'],
  })
  const info = rig.found.get('src:ns/cart/side/u1')?.info
  t.strictSame(info, {
    source: 'src',
    sourceType: 'containers',
    key: 'src:ns/cart/side/u1',
    path: `${rig.root}/log/containers/cart_ns_side-${ID}.log`,
    namespace: 'ns',
    pod: 'cart',
    podUid: 'u1',
    container: 'side',
  })
})

t.test('two links into one directory are one lineage', async (t) => {
  const rig = nodeRig(t)
  const directory = container(rig, 'cart', 'u1')
  writeFileSync(`${directory}/1.log`, `${row(1, 'second life')}\n`)
  link(rig, `cart_ns_app-${'d'.repeat(64)}.log`, `${directory}/1.log`)
  await rig.run(3000)
  t.strictSame(rig.texts, { 'ns/cart/app/u1': ['cart u1 app 0', 'second life'] })
})

t.test('a link that swings to another pod of the same name', async (t) => {
  const rig = nodeRig(t)
  const old = container(rig, 'cart-0', 'u1')
  await rig.run(500)
  container(rig, 'cart-0', 'u2')
  writeFileSync(`${old}/0.log`, `${row(1, 'last words')}\n`, { flag: 'a' })
  await rig.run(500)
  t.strictSame(rig.texts, {
    'ns/cart-0/app/u1': ['cart-0 u1 app 0', 'last words'],
    'ns/cart-0/app/u2': ['cart-0 u2 app 0'],
  })
})

t.test('a link whose target comes later, and one that never comes', async (t) => {
  const rig = nodeRig(t)
  link(rig, `late_ns_app-${ID}.log`, `${rig.root}/log/pods/ns_late_u1/app/0.log`)
  link(rig, `never_ns_app-${ID}.log`, `${rig.root}/log/pods/ns_never_u2/app/0.log`)
  await rig.run(500)
  t.strictSame(rig.texts, {})
  container(rig, 'late', 'u1')
  await rig.run(500)
  t.strictSame(rig.texts, { 'ns/late/app/u1': ['late u1 app 0'] })
})

t.test('names in the containers directory that are no links of the kubelet', async (t) => {
  const rig = nodeRig(t)
  writeFileSync(`${rig.root}/log/containers/plain.log`, `${row(1, 'plain')}\n`)
  writeFileSync(`${rig.root}/log/containers/other.txt`, 'x\n')
  await rig.run(500)
  t.strictSame(rig.texts, { '/log/containers/plain.log': [] })
  t.match(rig.refused['log/containers/plain.log'], /outside of/)
})

t.test('docker: links to links, and a rotation in the directory of docker', async (t) => {
  const rig = nodeRig(t, ['docker', 'log/pods'])
  const json = (text: string) =>
    `${JSON.stringify({ log: `${text}\n`, stream: 'stdout', time: '2026-11-21T08:00:00Z' })}\n`
  const docker = (id: string) => rig.mkdir(`docker/${id}`)
  const lines = (from: number, to: number) => messages(from, to).map(json).join('')
  const one = docker(ID)
  const live = `${one}/${ID}-json.log`
  writeFileSync(`${live}.2.gz`, gzipSync(lines(0, 10)))
  writeFileSync(`${live}.1`, lines(10, 20))
  writeFileSync(live, lines(20, 30))
  const directory = rig.mkdir('log/pods/ns_cart_u1/app')
  symlinkSync(live, `${directory}/0.log`)
  link(rig, `cart_ns_app-${ID}.log`, `${directory}/0.log`)
  await rig.run(4000)
  t.strictSame(rig.texts, { 'ns/cart/app/u1': messages(0, 30) })
  // max-file=3: the oldest goes, the others move up, the first one is compressed.
  unlinkSync(`${live}.2.gz`)
  writeFileSync(`${live}.2.gz`, gzipSync(lines(10, 20)))
  unlinkSync(`${live}.1`)
  writeFileSync(live, lines(30, 35), { flag: 'a' })
  renameSync(live, `${live}.1`)
  writeFileSync(live, lines(35, 40))
  await rig.run(4000)
  t.strictSame(rig.texts, { 'ns/cart/app/u1': messages(0, 40) })
  // The next life is another file of docker's; the link of the first one goes.
  const id = 'd'.repeat(64)
  const next = `${docker(id)}/${id}-json.log`
  writeFileSync(next, lines(40, 50))
  symlinkSync(next, `${directory}/1.log`)
  unlinkSync(`${directory}/0.log`)
  await rig.run(7000)
  renameSync(next, `${next}.1`)
  writeFileSync(next, lines(50, 60))
  await rig.run(7000)
  t.strictSame(rig.texts, { 'ns/cart/app/u1': messages(0, 60) })
})

t.test('a link straight to a file of docker', async (t) => {
  const rig = nodeRig(t, ['docker'])
  const live = `${rig.mkdir(`docker/${ID}`)}/${ID}-json.log`
  const line = (text: string) =>
    `${JSON.stringify({ log: `${text}\n`, stream: 'stdout', time: '2026-11-21T08:00:00Z' })}\n`
  writeFileSync(live, line('one'))
  link(rig, `cart_ns_app-${ID}.log`, live)
  await rig.run(1000)
  renameSync(live, `${live}.1`)
  writeFileSync(live, line('two'))
  await rig.run(4000)
  t.strictSame(rig.texts, { [`/log/containers/cart_ns_app-${ID}.log`]: ['one', 'two'] })
  const info = rig.found.values().next().value?.info
  t.strictSame([info?.namespace, info?.pod, info?.container], ['ns', 'cart', 'app'])
})

t.test('the pods directory itself as a pattern', async (t) => {
  const rig = new SourceRig(t, { type: 'containers', paths: ['log/pods/*/*/*.log'], roots: ['log/pods'] })
  const directory = rig.mkdir('log/pods/ns_cart_u1/app')
  writeFileSync(`${directory}/0.log.20261121-080000`, rows(0, 5))
  writeFileSync(`${directory}/0.log`, rows(5, 10))
  writeFileSync(`${directory}/1.log`, rows(10, 15))
  await rig.run(5000)
  t.strictSame(rig.texts, { 'ns/cart/app/u1': messages(0, 15) })
})

t.test('what an audit source reads nobody else finds, also while its names are away', async (t) => {
  const root = realpathSync(t.testdir())
  const directory = `${root}/log/pods/kube-system_kube-apiserver-node_u1/kube-apiserver`
  mkdirSync(directory, { recursive: true })
  for (const path of ['log/containers', 'log/kubernetes']) mkdirSync(`${root}/${path}`)
  const name = `kube-apiserver-node_kube-system_kube-apiserver-${ID}.log`
  const files = ['log/kubernetes/audit.log', 'log/kubernetes/audit-2026-11-21T07-48-32.645.log'].map(
    (p) => `${root}/${p}`,
  )
  const [live = '', backup = ''] = files
  const source = (type: string, paths: string[], format?: string) =>
    ({
      name: type,
      type,
      paths: paths.map((path) => `${root}/log/${path}`),
      exclude: [],
      roots: null,
      format,
    }) as object
  const fs = realFileSystem.reads
  const found = (audit: object, other: object) => {
    const make = (each: object) =>
      new Discovery(each as never, fs, new Directories(fs, { monotonic: () => 0 } as never), { emit() {} })
    const discovery = make(other)
    discovery.leavesTo = [make(audit)]
    return [...discovery.scan().keys()]
  }
  const pods = ['pods/*/*/*.log', 'pods/*/*/*.log*']
  const byLink = source('audit', ['containers/kube-apiserver-*.log'], 'cri')
  const byFile = source('audit', ['pods/kube-system_kube-apiserver-*/*/*.log'], 'cri')
  const asFile = source('audit', ['kubernetes/audit.log'], 'json')
  const others = {
    'by links': source('containers', ['containers/*.log']),
    'by files': source('containers', pods),
    files: source('files', [...pods, 'kubernetes/*.log']),
    backups: source('files', ['kubernetes/audit-*.log']),
  }
  // The link is there and its file is not, the other way round, rotated and not there again, both.
  const states: [links: string[], rest: string[], lives: string[]][] = [
    [[`${root}/log/containers/${name}`], [], [backup]],
    [[], [`${directory}/0.log`], [live]],
    [[`${root}/log/containers/${name}`], [`${directory}/0.log.20261121-080000`], [live, backup]],
    [[], [`${directory}/3.log.20261121-080000`], []],
  ]
  for (const [links, rest, lives] of states) {
    for (const path of links) symlinkSync(`${directory}/0.log`, path)
    for (const path of [...rest, ...lives]) writeFileSync(path, 'x\n')
    for (const [what, other] of Object.entries(others)) {
      for (const audit of [byLink, byFile]) {
        const theirs = found(audit, other).filter((key) => key.includes('kube-apiserver'))
        t.strictSame(theirs, [], `${what}: ${[...links, ...rest]}`)
      }
      t.strictSame(
        found(asFile, other).filter((key) => key.includes('/kubernetes/audit')),
        [],
        `${what}: ${lives}`,
      )
    }
    for (const path of [...links, ...rest, ...lives]) rmSync(path)
  }
  writeFileSync(`${directory}/0.log`, 'x\n')
  t.strictSame(found(asFile, others['by files']).length, 1, 'and all others are found')
})

t.test('files: one lineage for a live file and what it was rotated to', async (t) => {
  const rotations = {
    numbered: ['app.log.3.gz', 'app.log.2', 'app.log.1', 'app.log'],
    dated: ['app.log-20261119.gz', 'app.log-20261120', 'app.log-20261121', 'app.log'],
    lumberjack: [
      'app-2026-11-20T10-00-00.000.log.gz',
      'app-2026-11-20T11-00-00.000.log',
      'app-2026-11-20T11-00-00.001.log',
      'app.log',
    ],
  }
  for (const [kind, names] of Object.entries(rotations)) {
    await t.test(kind, async (t) => {
      const rig = new SourceRig(t, { type: 'files', paths: ['logs/*.log', 'logs/*.log.*', 'logs/*.log-*'] })
      const directory = rig.mkdir('logs')
      for (const [i, name] of names.entries()) {
        const text = `${messages(10 * i, 10 * i + 10).join('\n')}\n`
        writeFileSync(`${directory}/${name}`, name.endsWith('.gz') ? gzipSync(text) : text)
      }
      await rig.run(6000)
      t.strictSame(rig.texts, { '/logs/app.log': messages(0, 40) })
    })
  }
})

t.test('files: numbers that move up, compressed at once or a turn later', async (t) => {
  for (const delayed of [false, true]) {
    await t.test(delayed ? 'delaycompress' : 'compress', async (t) => {
      const rig = new SourceRig(t, { type: 'files', paths: ['logs/*.log'] })
      const directory = rig.mkdir('logs')
      const path = (n: number, gz: boolean) => `${directory}/app.log${n === 0 ? '' : `.${n}`}${gz ? '.gz' : ''}`
      const exists = new Set<string>()
      let next = 0
      const write = (count: number) => {
        writeFileSync(path(0, false), `${messages(next, next + count).join('\n')}\n`, { flag: 'a' })
        next += count
      }
      const compress = (n: number) => {
        const plain = path(n, false)
        if (!exists.delete(plain)) return
        writeFileSync(path(n, true), gzipSync(readFileSync(plain)))
        exists.add(path(n, true))
        unlinkSync(plain)
      }
      const rotate = () => {
        for (let n = 6; n >= 1; n--) {
          for (const gz of [false, true]) {
            if (!exists.delete(path(n, gz))) continue
            if (n === 6) unlinkSync(path(n, gz))
            else {
              renameSync(path(n, gz), path(n + 1, gz))
              exists.add(path(n + 1, gz))
            }
          }
        }
        renameSync(path(0, false), path(1, false))
        exists.add(path(1, false))
        writeFileSync(path(0, false), '')
        compress(delayed ? 2 : 1)
      }
      write(5)
      // As often as it is looked at, more often, and less often.
      for (const pause of [3000, 0, 3000, 0, 0, 100, 100, 100, 3000, 0, 0, 0, 5000]) {
        write(5)
        if (pause > 0) await rig.run(pause)
        write(1)
        rotate()
        if (pause === 100) await rig.run(pause)
        write(5)
      }
      await rig.run(20_000)
      t.strictSame(rig.texts, { '/logs/app.log': messages(0, next) })
    })
  }
})

t.test('files: rotated siblings that begin alike are all read', async (t) => {
  const rig = new SourceRig(t, { type: 'files', paths: ['logs/*.log'] })
  const directory = rig.mkdir('logs')
  const live = `${directory}/app.log`
  const content = (n: number) => `started\n${messages(10 * n, 10 * n + 10).join('\n')}\n`
  writeFileSync(live, content(0))
  await rig.run(500)
  // Three rotations and compressions that nobody sees.
  for (let n = 1; n <= 3; n++) {
    for (let i = n - 1; i >= 1; i--) renameSync(`${live}.${i}.gz`, `${live}.${i + 1}.gz`)
    writeFileSync(`${live}.1.gz`, gzipSync(content(n - 1)))
    unlinkSync(live)
    writeFileSync(live, content(n))
  }
  await rig.run(8000)
  const expected = [0, 1, 2, 3].flatMap((n) => content(n).trimEnd().split('\n'))
  t.strictSame(rig.texts, { '/logs/app.log': expected })
})

t.test('files: a number that was another file a moment ago', async (t) => {
  for (const banner of ['', 'started\n']) {
    for (const behind of [true, false]) {
      await t.test(`${banner === '' ? '' : 'alike, '}${behind ? 'unread' : 'read'}`, async (t) => {
        const rig = new SourceRig(t, { type: 'files', paths: ['logs/*.log'] })
        const live = `${rig.mkdir('logs')}/app.log`
        const content = (n: number) => `${banner}${messages(10 * n, 10 * n + 10).join('\n')}\n`
        const compress = (from: string, to: string) => {
          writeFileSync(to, gzipSync(readFileSync(from)))
          unlinkSync(from)
        }
        writeFileSync(live, content(0))
        rig.scan()
        const { lineage, sink } = [...rig.found.values()][0]!
        lineage.look()
        renameSync(live, `${live}.1`)
        writeFileSync(live, content(1))
        lineage.look()
        if (!behind) await rig.run(3000)
        // The first one: .1 -> .2 -> .2.gz -> .3.gz; the second: .1 -> .2; the third, which nobody saw live: .1.gz
        compress(`${live}.1`, `${live}.2.gz`)
        renameSync(live, `${live}.1`)
        writeFileSync(live, content(2))
        renameSync(`${live}.2.gz`, `${live}.3.gz`)
        renameSync(`${live}.1`, `${live}.2`)
        compress(live, `${live}.1.gz`)
        writeFileSync(live, content(3))
        await rig.run(8000)
        t.strictSame(
          sink.texts,
          [0, 1, 2, 3].flatMap((n) => content(n).trimEnd().split('\n')),
        )
      })
    }
  }
})

t.test('files: names that only look rotated are lineages of their own', async (t) => {
  const rig = new SourceRig(t, { type: 'files', paths: ['logs/*', 'more/app.log.1'], exclude: ['logs/*.bak'] })
  rig.mkdir('logs')
  rig.mkdir('more')
  writeFileSync(`${rig.root}/logs/release-20261121`, 'dated\n')
  writeFileSync(`${rig.root}/logs/service-1.2`, 'numbered\n')
  writeFileSync(`${rig.root}/logs/old.log.gz`, gzipSync('compressed\n'))
  writeFileSync(`${rig.root}/logs/a.bak`, 'left out\n')
  writeFileSync(`${rig.root}/more/app.log`, 'left out\n')
  writeFileSync(`${rig.root}/more/app.log.1`, 'named\n')
  await rig.run(3000)
  t.strictSame(rig.texts, {
    '/logs/release': ['dated'],
    '/logs/service-1': ['numbered'],
    '/logs/old.log.gz': ['compressed'],
    '/more/app.log.1': ['named'],
  })
})

t.test('files: a link that swings, and a link to a file that is rotated where it lies', async (t) => {
  const rig = new SourceRig(t, { type: 'files', paths: ['logs/current'], roots: ['.'] })
  rig.mkdir('logs')
  const data = rig.mkdir('data')
  writeFileSync(`${data}/one`, 'one\n')
  writeFileSync(`${data}/two`, 'two\n')
  symlinkSync('../data/one', `${rig.root}/logs/current`)
  await rig.run(500)
  unlinkSync(`${rig.root}/logs/current`)
  symlinkSync('../data/two', `${rig.root}/logs/current`)
  await rig.run(7000)
  writeFileSync(`${data}/two`, 'two more\n', { flag: 'a' })
  renameSync(`${data}/two`, `${data}/two.1`)
  writeFileSync(`${data}/two`, 'three\n')
  await rig.run(7000)
  t.strictSame(rig.texts, { '/logs/current': ['one', 'two', 'two more', 'three'] })
})

t.test('files: a directory that comes late', async (t) => {
  const rig = new SourceRig(t, { type: 'files', paths: ['late/*.log', 'late/**/x.txt'] })
  await rig.run(300)
  rig.mkdir('late/deep/deeper')
  writeFileSync(`${rig.root}/late/app.log`, 'here\n')
  writeFileSync(`${rig.root}/late/deep/deeper/x.txt`, 'there\n')
  await rig.run(300)
  t.strictSame(rig.texts, { '/late/app.log': ['here'], '/late/deep/deeper/x.txt': ['there'] })
})

t.test('what came or went shows without a scan', async (t) => {
  const rig = nodeRig(t)
  t.ok(rig.discovery.changed())
  rig.clock.stepMs = 60_000 // the directory's time is long past
  rig.discovery.changed()
  t.notOk(rig.discovery.changed())
  container(rig, 'cart', 'u1')
  t.ok(rig.discovery.changed())
  t.notOk(rig.discovery.changed())
})

t.test('errors are told, and do not stop the rest', async (t) => {
  const rig = nodeRig(t)
  container(rig, 'cart', 'u1')
  container(rig, 'shop', 'u2')
  rig.fs.fault = (operation, path) => (operation === 'readlink' && path.includes('cart_ns') ? 'EIO' : null)
  await rig.run(300)
  t.strictSame(Object.keys(rig.texts), ['ns/shop/app/u2'])
  t.equal(rig.told('file.error')[0]?.operation, 'readlink')
  rig.fs.fault = (operation) => (operation === 'readdir' ? 'EIO' : null)
  rig.scan()
  rig.discovery.changed()
  rig.fs.fault = () => null
  await rig.run(300)
  t.strictSame(Object.keys(rig.texts).sort(), ['ns/cart/app/u1', 'ns/shop/app/u2'])
})
