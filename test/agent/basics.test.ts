// The way of a line when nothing goes wrong.
import { join } from 'node:path'
import t from 'tap'
import { texts, World } from './world.ts'

t.test('each line arrives once, in order, under its labels', async (t) => {
  const world = new World(t)
  world.write('web', texts('a', 1000))
  world.write(
    'web',
    texts('err', 10).map((text) => ({ text, stream: 'stderr' as const })),
  )
  world.write('db', texts('b', 10))
  world.start()
  await world.drain()
  world.exact()
  world.accounted()
  t.strictSame(world.loki.lines({ pod: 'web', stream: 'stdout' }), texts('a', 1000))
  const [stream] = world.loki.find({ pod: 'web', stream: 'stderr' })
  t.match(stream?.labels, { cluster: 'test', namespace: 'ns', container: 'app', job: 'ns/app', node_name: 'node' })
  t.strictSame(stream?.entries[0]?.metadata, { pod_uid: 'uid-web' })
})

t.test('a source that finds nothing says so once', async (t) => {
  const world = new World(t)
  const wrong = join(world.directory, 'nowhere/*.log')
  world.options.sources = [world.fileSource(), world.fileSource({ name: 'typo', paths: [wrong] })]
  world.raw(join(world.directory, 'files/a.log'), 'a line\n')
  world.start()
  await world.drain()
  await world.clock.advance(60_000)
  t.strictSame(world.events.of('source.empty'), [{ source: 'typo', paths: [wrong] }])
})
