// What `check --connect` says of the files of each source.
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { check } from '../../src/commands/check.ts'
import { trySources } from '../../src/commands/connect-files.ts'
import { loadConfigFile } from '../../src/config/load.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { WatchedReads } from '../support/watched-reads.ts'

/** Two containers' logs with their links, and a file of its own. */
function node(t: Test) {
  const root = realpathSync(t.testdir())
  mkdirSync(`${root}/containers`)
  for (const pod of ['a', 'b']) {
    mkdirSync(`${root}/pods/shop_${pod}_uid-${pod}/app`, { recursive: true })
    writeFileSync(`${root}/pods/shop_${pod}_uid-${pod}/app/0.log`, '')
    const link = `${root}/containers/${pod}_shop_app-${'0'.repeat(64)}.log`
    symlinkSync(`${root}/pods/shop_${pod}_uid-${pod}/app/0.log`, link)
  }
  writeFileSync(`${root}/own.log`, '')
  const file = `${root}/taffrail.yaml`
  const config = `kubernetes: {metadata: off}
sources:
  - {name: pods, type: containers, paths: ["${root}/containers/*.log"]}
  - {name: own, type: files, paths: ["${root}/own.log"]}
  - {name: typo, type: files, paths: ["${root}/onw.log", "${root}/none/**/*.log"]}
sinks: [{name: out, type: stdout}]
`
  writeFileSync(file, config)
  const fs = new WatchedReads(realFileSystem.reads)
  const say = () => {
    const loaded = loadConfigFile(file, {})
    if (!('config' in loaded)) throw new Error(JSON.stringify(loaded))
    return [...trySources(loaded.config, fs, new FakeClock())].map(
      ({ works, isDoubtful = false, text }) => `${works} ${isDoubtful} ${text.replaceAll(root, '')}`,
    )
  }
  return { root, file, fs, say }
}

t.test('files that can be opened, and patterns that nothing matches', async (t) => {
  const { say, fs, file } = node(t)
  t.strictSame(say(), [
    'true false source pods: /containers/*.log: 2 logs, can be opened',
    'true false source own: /own.log: 1 log, can be opened',
    'true true source typo: /onw.log, /none/**/*.log: no file matches; it would be looked for',
  ])
  t.strictSame([fs.openFiles.size, fs.counts.get('read') ?? 0], [0, 0], 'all are closed, and nothing is read')
  // And so it is printed.
  let stdout = ''
  const io = { stdout: (text: string) => void (stdout += text), stderr: () => {}, env: {} }
  t.equal(await check(['-c', file, '--connect'], io), 0, 'a file may come later')
  t.match(stdout, /\nok {3}source own: .*\nwarn source typo: .*\n$/)
})

t.test('files that cannot be opened', async (t) => {
  const { say, fs, root } = node(t)
  fs.fault = (operation, path) => (operation === 'open' && path.includes('/shop_b_') ? 'EACCES' : null)
  t.match(
    say()[0],
    /^false false source pods: .* 1 of 2 logs cannot be opened: \/pods\/shop_b_uid-b\/app\/0.log: open: EACCES/,
  )
  fs.fault = (operation, path) => (operation === 'readdir' && path === `${root}/containers` ? 'EACCES' : null)
  t.match(say().slice(0, 2), [/^false false source pods: \/containers: readdir: EACCES/, /^true false source own/])
})

t.test('files that must not be opened', async (t) => {
  const { say, root } = node(t)
  mkdirSync(`${root}/pods/shop_c_uid-c/app`, { recursive: true })
  symlinkSync('/etc/passwd', `${root}/pods/shop_c_uid-c/app/0.log`)
  symlinkSync(`${root}/pods/shop_c_uid-c/app/0.log`, `${root}/containers/c_shop_app-${'0'.repeat(64)}.log`)
  t.match(
    say()[0],
    /^false false source pods: .* 1 of 3 logs cannot be opened: .*it resolves to \/etc\/passwd, outside of /,
  )
})
