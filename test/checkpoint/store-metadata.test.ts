// Which metadata lines go out with, beside the position from which on: kept, forgotten, and never durable before it.
import t from 'tap'
import { decodeLog, encodeRecords, LOG_HEADER } from '../../src/checkpoint/record.ts'
import { type Metadata, pathMetadata } from '../../src/core/metadata.ts'
import { FaultyFileSystem } from '../support/faulty-fs.ts'
import { LOG, offsets, openStore, position } from './rig.ts'

function metadata(version: string): Metadata {
  const info = { source: 's', sourceType: 'containers' as const, key: 'k', path: '/p', container: 'app' }
  const known = pathMetadata({ ...info, namespace: 'shop', pod: 'żółw-0', podUid: 'u' }, 'node')
  return { ...known, labels: { version }, directives: { 'taffrail.dev/exclude': 'false' } }
}

t.test('it survives a restart, beside its position and without one', async (t) => {
  const fs = new FaultyFileSystem()
  const { store } = await openStore(fs)
  t.equal(store.metadata('loki', 'a'), undefined)
  store.setMetadata('loki', 'a', metadata('1'))
  store.set('loki', 'a', position(1))
  store.setMetadata('es', 'a', metadata('2'))
  t.strictSame(store.metadata('loki', 'a'), metadata('1'))
  store.setMetadata('loki', 'a', metadata('3'))
  await store.flush()
  const next = await openStore(fs.kill())
  t.strictSame(next.store.metadata('loki', 'a'), metadata('3'))
  t.strictSame(next.store.metadata('es', 'a'), metadata('2'))
  t.strictSame(offsets(next.store), { 'loki a': 1 }, 'positions alone')
  t.equal(next.store.get('es', 'a'), undefined)
  t.strictSame(next.events.names, [])
})

t.test('to forget a lineage is to forget both', async (t) => {
  const fs = new FaultyFileSystem()
  const { store } = await openStore(fs)
  for (const lineage of ['a', 'b']) {
    store.set('loki', lineage, position(1))
    store.setMetadata('loki', lineage, metadata('1'))
  }
  store.delete('loki', 'a')
  await store.flush()
  const next = await openStore(fs.kill())
  t.equal(next.store.metadata('loki', 'a'), undefined)
  t.equal(next.store.get('loki', 'a'), undefined)
  t.strictSame(next.store.metadata('loki', 'b'), metadata('1'))
})

t.test('a torn log never holds a decision without the position from which on it was made', async (t) => {
  const fs = new FaultyFileSystem()
  const { store } = await openStore(fs)
  const before = (await fs.reads.stat(LOG))?.size ?? 0
  // Decided twice within one commit: the second one holds from 20 on.
  store.setMetadata('loki', 'a', metadata('1'))
  store.set('loki', 'a', position(10))
  store.set('loki', 'a', position(20))
  store.setMetadata('loki', 'a', metadata('2'))
  await store.flush()
  const log = await fs.writes.readFile(LOG)
  t.ok(log.length > before)
  for (let length = before; length <= log.length; length++) {
    let offset = 0
    let version = ''
    decodeLog(log.subarray(0, length), (record) => {
      if (record.position) offset = record.position.offset
      if (record.metadata) version = record.metadata.labels.version as string
    })
    if (version === '2' && offset !== 20) t.fail(`cut at ${length}: decision ${version} at ${offset}`)
  }
})

t.test('a record is one or the other', async (t) => {
  const found: unknown[] = []
  const odd = [
    { sink: 's', lineage: 'l' },
    { sink: 's', lineage: 'l', position: null, metadata: null },
    { sink: 's', lineage: 'l', metadata: 'text' },
  ]
  for (const record of odd) {
    const log = Buffer.concat([...encodeRecords([record as never], LOG_HEADER)])
    t.equal(decodeLog(log, (each) => found.push(each)).damage?.kind, 'damaged', JSON.stringify(record))
  }
  t.strictSame(found, [])
})
