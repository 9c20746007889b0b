// Pods that name the tenant of their lines: they get it where the configuration says so and nowhere else, no push holds
// lines of two, and a repeat goes where the first attempt went.
import t, { type Test } from 'tap'
import type { KubernetesConfig } from '../../src/config/config.ts'
import { FakeApiServer } from '../support/fake-api-server.ts'
import { lokiConfig, texts, World, type WorldOptions } from './world.ts'

const HOUR_MS = 3_600_000
const TENANT = 'taffrail.dev/tenant'

function annotated(tenants: KubernetesConfig['annotations']['tenants'], honour = true): Partial<KubernetesConfig> {
  return { annotations: { honour, foreign: false, exemptNamespaces: [], tenants } }
}

function start(t: Test, options: WorldOptions = {}) {
  const api = new FakeApiServer()
  const kubernetes = annotated([
    { tenant: 'red', namespaces: ['n*'] },
    { tenant: 'blue', namespaces: ['ns'] },
    { tenant: 'own', namespaces: ['ns'] },
    { tenant: 'other', namespaces: ['elsewhere'] },
  ])
  const sinks = [lokiConfig({ tenant: 'own' })]
  const world = new World(t, { api, kubernetes, sinks, limits: { authEnabled: true }, ...options })
  const put = (name: string, annotations: Record<string, string> = {}, labels: Record<string, string> = {}) =>
    api.put({
      kind: 'Pod',
      metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '', annotations, labels },
      spec: { nodeName: 'node' },
    })
  return { api, world, put }
}

/** Where the lines of a pod are, by tenant. */
function tenantsOf(world: World, pod: string): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const { tenant, entries } of world.loki.find({ pod })) {
    found[tenant] = [...(found[tenant] ?? []), ...entries.map(({ line }) => line.toString())]
  }
  return found
}

t.test('only what the configuration lets a namespace name', async (t) => {
  const { world, put } = start(t)
  put('red', { [TENANT]: 'red' })
  put('app', { [TENANT]: 'red', [`${TENANT}.app`]: 'blue' })
  put('sidecar', { [`${TENANT}.sidecar`]: 'red' })
  put('greedy', { [TENANT]: 'other' })
  put('unlisted', { [TENANT]: 'audit' })
  put('several', { [TENANT]: 'red|blue' })
  put('half', { [TENANT]: 'red', [`${TENANT}.app`]: 'audit' })
  const names = ['red', 'app', 'sidecar', 'greedy', 'unlisted', 'several', 'half', 'unknown']
  for (const name of names) world.write(name, [name])
  world.start()
  await world.clock.advance(8000)
  const found = names.map((name) => Object.keys(tenantsOf(world, name)))
  t.strictSame(found, [['red'], ['blue'], ['own'], ['own'], ['own'], ['own'], ['red'], ['own']])
  const told = world.events
    .of('annotation.invalid')
    .map(({ lineage, annotation }) => [lineage.split('/')[1], annotation])
  t.strictSame(
    told.sort(),
    [
      ['greedy', TENANT],
      ['half', `${TENANT}.app`],
      ['several', TENANT],
      ['unlisted', TENANT],
    ],
    'what is ignored is told',
  )
  world.exact()
  world.accounted()
})

t.test('without annotations there are no other tenants', async (t) => {
  const { world, put } = start(t, { kubernetes: annotated([{ tenant: 'red', namespaces: ['*'] }], false) })
  put('a', { [TENANT]: 'red' })
  world.write('a', ['one'])
  world.start()
  await world.clock.advance(3000)
  t.strictSame(tenantsOf(world, 'a'), { own: ['one'] })
})

t.test('calm lanes share pushes, but none with another tenant', async (t) => {
  const { world, put } = start(t)
  const names = Array.from({ length: 60 }, (_, index) => `pod-${index}`)
  const tenantOf = (index: number) => ['own', 'red', 'blue'][index % 3] as string
  for (const [index, name] of names.entries()) put(name, index % 3 === 0 ? {} : { [TENANT]: tenantOf(index) })
  for (const name of names) world.write(name, [`${name} start`])
  world.start()
  await world.clock.advance(5000)
  const before = world.loki.seen.length
  for (let second = 0; second < 5; second++) {
    for (const name of names) world.write(name, texts(`${name} ${second}`, 3))
    await world.clock.advance(1000)
  }
  await world.clock.advance(3000)
  t.ok(world.loki.seen.length - before < 60, 'they do share')
  for (const { push, headers } of world.loki.seen) {
    for (const { labels } of push.streams) {
      const index = names.indexOf(/pod="([^"]+)"/.exec(labels)?.[1] as string)
      if (headers['x-scope-orgid'] !== tenantOf(index)) t.fail(`${labels} was sent to ${headers['x-scope-orgid']}`)
    }
  }
  world.exact()
  world.accounted()
})

t.test('pods of one label set and two tenants are two lanes', async (t) => {
  const { world, put } = start(t, { sinks: [lokiConfig({ tenant: 'own', profile: 'lowCardinality' })] })
  put('a', { [TENANT]: 'red' }, { app: 'x' })
  put('b', {}, { app: 'x' })
  put('c', { [TENANT]: 'own' }, { app: 'x' })
  for (const name of ['a', 'b', 'c']) world.write(name, [`${name} says`])
  world.start()
  await world.clock.advance(3000)
  const streams = world.loki.find().map(({ tenant, entries }) => [tenant, entries.length])
  t.strictSame(streams.sort(), [
    ['own', 2],
    ['red', 1],
  ])
  t.equal(world.consumer().lanes.size, 2, "whoever names the sink's own is in its lane")
})

t.test('a tenant that is refused or slow holds up nobody else', async (t) => {
  const { world, put } = start(t)
  put('a', { [TENANT]: 'red' })
  put('b', { [TENANT]: 'blue' })
  put('c')
  world.loki.fault = ({ headers }) => (headers['x-scope-orgid'] === 'red' ? { kind: 'answer', status: 401 } : null)
  for (let n = 0; n < 5; n++) {
    for (const name of ['a', 'b', 'c']) world.write(name, [`${name} ${n}`])
    if (n === 0) world.start()
    await world.clock.advance(3000)
  }
  t.strictSame(tenantsOf(world, 'b'), { blue: texts('b', 5) })
  t.strictSame(tenantsOf(world, 'c'), { own: texts('c', 5) })
  t.strictSame(tenantsOf(world, 'a'), {})
  t.equal(world.consumer().sink.status().state, 'halted', 'although others are served')
  world.loki.fault = null
  await world.clock.advance(120_000)
  t.strictSame(tenantsOf(world, 'a'), { red: texts('a', 5) })
  t.equal(world.consumer().sink.status().state, 'ok')
  world.exact()
  world.accounted()
})

t.test('a repeat goes where the first attempt went, whatever was said meanwhile', async (t) => {
  for (const eagerCheckpoints of [true, false]) {
    const { world, put } = start(t, { eagerCheckpoints })
    put('a', { [TENANT]: 'red' })
    world.write('a', texts('first', 3))
    // It is stored, and the agent is killed before it hears of it.
    world.loki.onMoment = (moment) => {
      if (moment === 'stored') world.kill()
    }
    world.start()
    await world.clock.advance(3000)
    t.ok(world.dead)
    t.strictSame(tenantsOf(world, 'a'), { red: texts('first', 3) })
    world.loki.onMoment = null
    put('a', { [TENANT]: 'blue' })
    world.start()
    await world.clock.advance(3000)
    world.write('a', texts('second', 2))
    await world.clock.advance(3000)
    const entries = tenantsOf(world, 'a')
    t.strictSame(entries, { red: texts('first', 3), blue: texts('second', 2) }, 'once, and then the new one')
    world.kill()
  }
})

t.test('what is not allowed any more ends at the next fresh line, though nobody knows the pod', async (t) => {
  const { api, world, put } = start(t)
  put('a', { [TENANT]: 'red' })
  world.write('a', ['one'])
  world.start()
  await world.clock.advance(3000)
  world.kill()
  api.delete('Pod', { name: 'a', namespace: 'ns' })
  world.options.kubernetes = annotated([])
  world.start()
  await world.clock.advance(8000)
  world.write('a', ['two'])
  await world.clock.advance(3000)
  t.strictSame(tenantsOf(world, 'a'), { red: ['one'], own: ['two'] })
})

t.test('a dead letter knows its tenant', async (t) => {
  const { world, put } = start(t)
  put('a', { [TENANT]: 'red' })
  put('b')
  for (const name of ['a', 'b'])
    world.write(name, [{ text: `${name} old`, atMs: world.clock.now() - 400 * 24 * HOUR_MS }])
  world.start()
  await world.clock.advance(5000)
  const letters = world.letters.letters.map(({ line, tenant }) => [line, tenant]).sort()
  t.strictSame(letters, [
    ['a old', 'red'],
    ['b old', undefined],
  ])
})
