// What is missing in an audit log, through the whole agent: its record goes to the same stream once, also when the process
// is killed before or after it was stored, is counted and shown; and nothing is found in logs that hang together.
import { copyFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { event, newId, type Said, START } from '../audit/continuity/events.ts'
import { fixtureLines } from '../audit/fixtures.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { elasticConfig, lokiConfig, World, type WorldOptions } from './world.ts'

const HOUR = 3600
const ROTATED = new URL('../fixtures/audit/rotated/', import.meta.url).pathname

function auditWorld(t: Test, options: WorldOptions = {}): World {
  const world = new World(t, { clock: new FakeClock((START + 12 * HOUR) * 1000), ...options })
  world.options.sources = [world.auditSource({ paths: [file(world)], redaction: { keyFile: null } })]
  return world
}

const file = (world: World, rotatedAt?: string) =>
  `${world.directory}/files/audit${rotatedAt === undefined ? '' : `-2026-11-21T${rotatedAt}`}.log`

/** An event every `step` seconds in [from, to). */
const beat = (from: number, to: number, step = 10) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => `${event(from + i * step)}\n`).join('')

async function delivered(world: World): Promise<void> {
  await world.clock.advance(3000)
  await world.drain()
}

/** The records of gaps that are stored. */
const gaps = (world: World) =>
  world.loki
    .find()
    .flatMap(({ labels, entries }) =>
      entries
        .filter(({ metadata }) => (metadata as Record<string, string>).taffrail_mark === 'gap')
        .map(({ line, timestampNs, metadata }) => ({ line: line.toString(), timestampNs, metadata, labels })),
    )

/** A rotated file, a missing one, and the live one. */
function withHole(world: World): void {
  world.raw(file(world, '08-05-00.000'), beat(0, 300))
  world.raw(file(world), beat(600, 700))
}

t.test('a hole between two rotated files, whenever the process is killed: one record, the same', async (t) => {
  const texts = new Set<string>()
  for (const killed of ['never', 'when it is decided', 'when it is stored and not acknowledged', 'afterwards']) {
    const world = auditWorld(t, { eagerCheckpoints: false })
    withHole(world)
    if (killed === 'when it is decided') {
      world.checkpoints.onSet = (_sink, _lineage, position) => {
        if ((position.gaps ?? []).length > 0) setImmediate(() => world.dead || world.kill())
      }
    }
    if (killed === 'when it is stored and not acknowledged') {
      world.loki.fault = ({ push }) => {
        const isGap = push?.streams.some(({ entries }) => entries.some(({ line }) => line.includes('taffrail:')))
        if (!isGap) return null
        setImmediate(() => world.dead || world.kill())
        return { kind: 'reset', store: 'all' }
      }
    }
    world.start()
    await world.clock.advance(3000)
    if (killed === 'afterwards') world.kill()
    if (killed !== 'never') {
      t.equal(world.dead, true, killed)
      world.loki.fault = null
      await world.clock.advance(600_000)
      world.start()
    }
    await delivered(world)
    const [gap] = gaps(world)
    t.equal(gaps(world).length, 1, killed)
    texts.add(`${gap?.line}`)
    t.match(gap?.metadata, { taffrail_confidence: 'likely' })
    t.match(gap?.labels, { job: 'kube-audit', node_name: 'node' })
    world.settled()
    world.kill()
  }
  t.strictSame(
    [...texts],
    [
      'taffrail: likely gap in the audit log: events between 2026-11-21T08:05:00Z and 2026-11-21T08:10:00Z are missing: ' +
        'the file before was rotated then, and the next one begins later: there was another one in between',
    ],
  )
})

t.test('refused again and again: one record; told and counted once', async (t) => {
  const world = auditWorld(t)
  withHole(world)
  let pushes = 0
  world.loki.fault = () => (++pushes % 3 === 0 ? null : { kind: 'reset', store: pushes % 2 === 0 ? 'all' : 'half' })
  world.start()
  await delivered(world)
  t.equal(gaps(world).length, 1)
  t.match(world.events.of('audit.gap'), [{ source: 'audit', sink: 'loki', finding: 'hole', confidence: 'likely' }])
  world.settled()
})

t.test('each sink has it, and a document says how sure it is', async (t) => {
  const world = auditWorld(t, { sinks: [lokiConfig(), elasticConfig()] })
  withHole(world)
  world.start()
  await delivered(world)
  t.equal(gaps(world).length, 1)
  const documents = world.elastic.documents.map(({ source }) => source).filter(({ taffrail }) => taffrail !== undefined)
  t.match(documents, [{ taffrail: { mark: ['gap'], confidence: 'likely' } }])
  t.equal(documents.length, 1)
})

t.test('files come and go while taffrail is not running: what is left begins later', async (t) => {
  const world = auditWorld(t)
  world.raw(file(world), beat(0, 3 * HOUR))
  world.start()
  await delivered(world)
  world.kill()
  // Three rotations later the API server keeps two backups.
  renameSync(file(world), file(world, '11-10-00.000'))
  unlinkSync(file(world, '11-10-00.000'))
  world.raw(file(world, '11-30-00.000'), beat(3 * HOUR + 1200, 3 * HOUR + 1800))
  world.raw(file(world), beat(3 * HOUR + 1800, 4 * HOUR))
  world.start()
  await delivered(world)
  t.strictSame(
    gaps(world).map(({ line }) => line.split(' are missing')[0]),
    ['taffrail: likely gap in the audit log: events between 2026-11-21T10:59:50Z and 2026-11-21T11:20:00Z'],
  )
})

t.test('silence is told while it lasts, shown, and not told again by the next process', async (t) => {
  const world = auditWorld(t)
  world.raw(file(world), beat(4 * HOUR, 12 * HOUR))
  world.start()
  await delivered(world)
  t.strictSame(gaps(world), [])
  const course = () => world.agent.status().lineages[0]?.sinks[0]?.continuity
  t.match(course(), { usualPauseSeconds: 10, silenceSeconds: 300, isSilent: false })
  await world.clock.advance(400_000)
  await delivered(world)
  t.equal(gaps(world).length, 1)
  t.match(gaps(world)[0]?.line, /likely gap in the audit log: no event since 2026-11-21T19:59:50Z/)
  t.equal(course()?.isSilent, true)
  world.kill()
  world.start()
  await world.clock.advance(HOUR * 1000)
  world.raw(file(world), beat(13 * HOUR + 500, 13 * HOUR + 600))
  await delivered(world)
  t.equal(gaps(world).length, 1)
  t.equal(course()?.isSilent, false)
})

t.test('a watch without its end, over a kill: one record', async (t) => {
  const world = auditWorld(t)
  const watch: Said = { verb: 'watch', resource: 'pods', user: 'system:kube-scheduler' }
  const lost = newId()
  const pairs = Array.from({ length: 3 }, newId)
  const line = (at: number, said: Said) => `${event(at, said)}\n`
  const starts = [...pairs, lost].map((id) => line(0, { ...watch, id, stage: 'ResponseStarted' }))
  world.raw(file(world), starts.join('') + beat(1, 500))
  world.raw(file(world), pairs.map((id) => line(500, { ...watch, id })).join('') + beat(501, 1800))
  world.start()
  await delivered(world)
  t.match(world.agent.status().lineages[0]?.sinks[0]?.continuity, { openRequests: 1, untrackedRequests: 0 })
  world.kill()
  world.start()
  world.raw(file(world), beat(1800, 2 * HOUR))
  await delivered(world)
  t.equal(gaps(world).length, 1)
  t.match(gaps(world)[0], { line: new RegExp(`1 request .*${lost}`), metadata: { taffrail_confidence: 'likely' } })
  world.kill()
  world.start()
  world.raw(file(world), beat(2 * HOUR, 4 * HOUR))
  await delivered(world)
  t.equal(gaps(world).length, 1)
})

t.test('real logs hang together, and a backup that is taken out of them is missed', async (t) => {
  const names = ['08-11-49.279', '08-11-50.866', '08-12-09.664']
  for (const left of [names, names.filter((_, i) => i !== 1)]) {
    const world = auditWorld(t)
    for (const name of left) copyFileSync(`${ROTATED}audit-2026-11-21T${name}.log.gz`, `${file(world, name)}.gz`)
    writeFileSync(file(world), '')
    world.start()
    await delivered(world)
    t.equal(gaps(world).length, names.length - left.length)
    world.kill()
  }
  for (const name of ['everything.log.gz', 'recommended.log.gz']) {
    const world = auditWorld(t)
    world.raw(file(world), `${fixtureLines(name).join('\n')}\n`)
    world.start()
    await delivered(world)
    await world.clock.advance(2 * HOUR * 1000)
    t.strictSame(gaps(world), [], name)
    world.kill()
  }
})
