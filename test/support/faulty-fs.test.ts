// The disk in memory is a file system like any other, until it is told not to be.
import t from 'tap'
import { writingConformance } from '../ports/fs.conformance.ts'
import { FaultyFileSystem } from './faulty-fs.ts'

writingConformance(t, () => {
  const fs = new FaultyFileSystem(1, new Map(), new Set(['/', '/root']))
  return {
    fs,
    root: '/root',
    hand: { write: (path, content) => fs.plant(path, content), append: (path, content) => fs.scribble(path, content) },
  }
})

t.test('a power cut keeps what was synced, and of the rest anything', async (t) => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 300; seed++) {
    const fs = new FaultyFileSystem(seed, new Map(), new Set(['/', '/d']))
    const handle = await fs.writes.openAppend('/d/f', false)
    await handle.append(Buffer.from('safe.'))
    await handle.sync()
    await fs.writes.syncDirectory('/d')
    await handle.append(Buffer.from('not'))
    const after = fs.powerCut()
    seen.add(String(after.peek('/d/f')))
    await t.rejects(handle.append(Buffer.from('x')), { code: 'EIO' }, 'the old machine is off')
  }
  t.ok(seen.has('safe.') && seen.has('safe.no') && seen.has('safe.not') && seen.has('safe.\0\0t'), [...seen].join())
  for (const content of seen) t.match(content, /^safe\.[not\0]{0,3}$/)
})

t.test('a name is safe only after the sync of its directory', async (t) => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 100; seed++) {
    const fs = new FaultyFileSystem(seed)
    fs.plant('/d/old', 'old')
    const handle = await fs.writes.openAppend('/d/new', false)
    await handle.append(Buffer.from('new'))
    await handle.sync()
    await fs.writes.rename('/d/new', '/d/old')
    const after = fs.powerCut()
    seen.add(`${(await after.writes.list('/d')).sort().join()}=${after.peek('/d/old')}`)
  }
  t.strictSame([...seen].sort(), ['new,old=old', 'old=new', 'old=old'])
})

t.test('what a failed sync gave up is never written', async (t) => {
  const fs = new FaultyFileSystem(1)
  fs.plant('/d/f', 'ab')
  const handle = await fs.writes.openAppend('/d/f', false)
  await handle.append(Buffer.from('cd'))
  fs.fault = (operation) => (operation === 'sync' ? 'EIO' : null)
  await t.rejects(handle.sync(), { code: 'EIO' })
  fs.fault = () => null
  await handle.append(Buffer.from('ef'))
  await handle.sync()
  t.equal(String(fs.peek('/d/f')), 'abcdef')
  t.equal(String(fs.powerCut().peek('/d/f')), 'ab\0\0ef')
})
