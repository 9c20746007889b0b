// What a pod's object may hold by the API server's leave: annotations of 256 KiB with any character, owners of any kind. It
// may spoil what is said of the pod itself, and nothing else: not its lines, not another pod's, not whose they are.
import t from 'tap'
import { FakeApiServer, type KubeThing } from '../support/fake-api-server.ts'
import { elasticConfig, lokiConfig, World } from './world.ts'

const FACE = '\u{1f600}'
/** Values that an annotation may have; a cut in the middle of a character is none. */
const VALUES: Record<string, string> = {
  long: 'x'.repeat(200_000),
  faces: `${'x'.repeat(511)}${FACE.repeat(10_000)}`,
  controls: Array.from({ length: 160 }, (_, code) => String.fromCharCode(code)).join(''),
  separators: '\u2028\u2029\u200b\ufeff\\",}{=\n\r\t',
  quotes: `"} , {x="${'\\'.repeat(99)}`,
}

function pod(name: string, annotation: string, ownerKind: string, ownerName = 'forged'): KubeThing {
  const annotations = { note: annotation, more: annotation }
  const ownerReferences = [{ apiVersion: 'x/v1', kind: ownerKind, name: ownerName, controller: true }]
  const metadata = { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '', annotations, ownerReferences }
  return { kind: 'Pod', apiVersion: 'v1', metadata, spec: { nodeName: 'node' } }
}

const nameFor = (kind: string) => `owner-${kind.toLowerCase().replaceAll('_', '').slice(0, 20)}`

t.test('Loki: the lines of all pods are taken', async (t) => {
  const api = new FakeApiServer()
  const world = new World(t, {
    api,
    sinks: [lokiConfig({ labelsFrom: { note: 'pod.annotations.note' }, structuredMetadata: ['pod.annotations.more'] })],
  })
  api.put(pod('good', 'good', 'ReplicaSet'))
  for (const [name, value] of Object.entries(VALUES)) api.put(pod(name, value, 'ReplicaSet', value))
  for (const name of ['good', ...Object.keys(VALUES)]) world.write(name, ['one', 'two'])
  world.start()
  await world.clock.advance(60_000)
  world.exact()
  t.equal(world.letters.letters.length, 0)
  for (const { labels, entries } of world.loki.find()) {
    const value = labels.pod === 'good' ? 'good' : (VALUES[labels.pod as string] as string)
    for (const text of [labels.note, ...entries.map(({ metadata }) => metadata.pod_annotations_more)]) {
      t.ok(text !== undefined && text.length > 0 && text.length <= 512 && value.startsWith(text), String(labels.pod))
    }
  }
})

t.test('Elasticsearch: the documents of all pods are taken, and say whose they are', async (t) => {
  const api = new FakeApiServer()
  const world = new World(t, { api, sinks: [elasticConfig()], kubernetes: { podAnnotations: ['*'] } })
  const kinds = [
    'Pod',
    'Namespace',
    'Container',
    'Node',
    'Labels',
    'Annotations',
    'Metadata',
    '__proto__',
    '',
    'x'.repeat(100_000),
  ]
  for (const kind of kinds) api.put(pod(nameFor(kind), 'x', kind))
  for (const [name, value] of Object.entries(VALUES)) api.put(pod(name, value, 'ReplicaSet'))
  const many = pod('many', '', 'ReplicaSet')
  for (let i = 0; i < 60; i++) (many.metadata.annotations as Record<string, string>)[`note-${i}`] = 'x'.repeat(4000)
  api.put(many)
  const names = [...Object.keys(VALUES), 'many', ...kinds.map((kind) => nameFor(kind))]
  for (const name of names) world.write(name, ['one', 'two'])
  world.start()
  await world.clock.advance(60_000)
  t.equal(world.elastic.documents.length, 2 * names.length)
  for (const { source } of world.elastic.documents) {
    const { kubernetes } = source as { kubernetes: Record<string, unknown> }
    const { name } = kubernetes.pod as { name: string }
    t.match(kubernetes, {
      namespace: 'ns',
      pod: { uid: `uid-${name}` },
      container: { name: 'app' },
      node: { name: 'node' },
    })
    t.notMatch(JSON.stringify([kubernetes.labels, kubernetes.annotations, kubernetes.metadata]), 'forged')
    t.ok(JSON.stringify(kubernetes).length < 20_000, `${name}: a line costs no more than so much`)
  }
})
