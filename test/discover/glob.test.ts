// Which paths patterns match, on the machine's file system.
import { mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import t from 'tap'
import { compilePattern, findMatches } from '../../src/discover/glob.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { WatchedReads } from '../support/watched-reads.ts'

const tree = {
  'app.log': '',
  'app.txt': '',
  '.hidden.log': '',
  'a[1].log': '',
  one: { 'app.log': '', deep: { 'app.log': '', deeper: { 'app.log': '' } } },
  two: { 'app.log': '', 'x.log': {} },
}

t.test('patterns', async (t) => {
  const root = realpathSync(t.testdir(tree))
  symlinkSync(root, `${root}/one/loop`)
  symlinkSync('app.log', `${root}/link.log`)
  symlinkSync('nowhere', `${root}/dangling.log`)
  const cases: [string, string[]][] = [
    ['app.log', ['app.log']],
    ['none.log', []],
    ['a[0-9[].log', []],
    ['[ab]pp.log', ['app.log']],
    ['a\\[1\\].log', ['a[1].log']],
    ['*.log', ['.hidden.log', 'a[1].log', 'app.log', 'dangling.log', 'link.log']],
    ['a??.log', ['app.log']],
    ['{one,two}/*.log', ['one/app.log', 'two/app.log', 'two/x.log']],
    ['*/app.log', ['one/app.log', 'two/app.log']],
    ['*/*/app.log', ['one/deep/app.log']],
    ['one/**/*.log', ['one/app.log', 'one/deep/app.log', 'one/deep/deeper/app.log']],
    ['one/**', ['one/app.log', 'one/deep/app.log', 'one/deep/deeper/app.log', 'one/loop']],
    ['**/deeper/*.log', ['one/deep/deeper/app.log']],
    ['gone/*.log', []],
    ['app.log/*.log', []],
  ]
  for (const [glob, expected] of cases) {
    const pattern = compilePattern(`${root}/${glob}`)
    const found = findMatches(realFileSystem.reads, pattern, (path, error) => t.fail(`${path}: ${error}`))
    t.strictSame(found.map((path) => path.slice(root.length + 1)).sort(), expected, glob)
  }
})

t.test('the fixed part', async (t) => {
  const fixed = (text: string) => compilePattern(text).fixed
  t.equal(fixed('/var/log/containers/*.log'), '/var/log/containers')
  t.equal(fixed('/var/log/app.log'), '/var/log')
  t.equal(fixed('/var/log/*/x/*.log'), '/var/log')
  t.equal(fixed('/*.log'), '/')
})

t.test('a directory that cannot be read is told, and the others are', async (t) => {
  const root = realpathSync(t.testdir(tree))
  mkdirSync(`${root}/three`)
  const fs = new WatchedReads(realFileSystem.reads)
  fs.fault = (operation, path) => (operation === 'readdir' && path.endsWith('/one') ? 'EACCES' : null)
  const told: string[] = []
  const found = findMatches(fs, compilePattern(`${root}/*/app.log`), (path) => told.push(path))
  t.strictSame(found, [`${root}/two/app.log`])
  t.strictSame(told, [`${root}/one`])
  fs.fault = (operation) => (operation === 'lstat' ? 'EIO' : null)
  t.strictSame(
    findMatches(fs, compilePattern(`${root}/*/app.log`), (path) => told.push(path)),
    [],
  )
})
