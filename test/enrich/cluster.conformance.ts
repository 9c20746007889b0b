// What an enrichment finds out from an API server: run against the fake one and, where one is given, a real one.

import type { AddressInfo } from 'node:net'
import { createServer, connect as netConnect, type Socket } from 'node:net'
import type { Test } from 'tap'
import type { Config } from '../../src/config/config.ts'
import type { Metadata } from '../../src/core/metadata.ts'
import type { ApiAccess } from '../../src/enrich/api-server.ts'
import { Enrichment } from '../../src/enrich/enrichment.ts'
import { realClock } from '../../src/ports/clock.ts'
import { createHttpClient } from '../../src/ports/real-http.ts'
import { EventLog, lokiConfig } from '../agent/world.ts'

export interface ClusterRig {
  /** As the agent. */
  access: ApiAccess
  /** As somebody who may do nothing. */
  stranger: ApiAccess
  /** A namespace and a node name of this run's own. */
  namespace: string
  nodeName: string
  /** Creates or changes a pod of the namespace on the node; resolves with its UID. */
  put(name: string, labels: Record<string, string>, annotations?: Record<string, string>): Promise<string>
  delete(name: string): Promise<void>
  label(labels: Record<string, string>): Promise<void>
  close(): void
}

/** A door to a server that can be shut: connections through it break, new ones are refused. */
async function door(t: Test, { origin }: ApiAccess) {
  const { hostname, port } = new URL(origin)
  const sockets = new Set<Socket>()
  let isShut = false
  const server = createServer((socket) => {
    if (isShut) {
      socket.destroy()
      return
    }
    const far = netConnect({ host: hostname, port: Number(port) })
    for (const each of [socket, far]) {
      sockets.add(each)
      each.on('error', () => {}).on('close', () => sockets.delete(each))
    }
    socket.pipe(far).pipe(socket)
    socket.on('close', () => far.destroy())
    far.on('close', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const shut = () => {
    isShut = true
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    shut()
    server.close()
  })
  const here = new URL(origin)
  here.port = String((server.address() as AddressInfo).port)
  return { origin: here.origin, shut, open: () => void (isShut = false) }
}

export function clusterConformance(t: Test, startRig: (t: Test) => Promise<ClusterRig>): void {
  const check = (name: string, run: (t: Test, rig: ClusterRig) => Promise<void>) =>
    t.test(name, async (t) => {
      const rig = await startRig(t)
      t.teardown(() => rig.close())
      await run(t, rig)
    })

  function start(t: Test, rig: ClusterRig, access = rig.access, fields = ['pod_uid']) {
    const config = {
      nodeName: rig.nodeName,
      kubernetes: {
        annotations: { honour: true, foreign: false, exemptNamespaces: [], tenants: [] },
        podLabels: [],
        podAnnotations: [],
        namespaceLabels: [],
      },
      sources: [],
      sinks: [
        lokiConfig({
          structuredMetadata: [...fields, 'pod.annotations.note'],
          labelsFrom: { version: 'pod.labels.version', team: 'namespace.labels.team' },
        }),
      ],
    } as unknown as Config
    const events = new EventLog()
    const enrichment = new Enrichment(config, access, {
      clock: realClock,
      random: Math.random,
      events,
      createHttpClient,
    })
    let changed = () => {}
    enrichment.start(() => changed())
    t.teardown(() => enrichment.stop())
    const metadata = (pod: string, podUid: string, isLast = false): Metadata | null => {
      const { namespace } = rig
      const path = { source: 's', sourceType: 'containers' as const, key: '', path: '' }
      return enrichment.metadata({ ...path, namespace, pod, podUid, container: 'main' }, 0, isLast)
    }
    const until = async (condition: () => boolean) => {
      const poll = setInterval(() => changed(), 50) // statuses change without a call
      while (!condition()) await new Promise<void>((resolve) => void (changed = resolve))
      clearInterval(poll)
    }
    return { enrichment, events, metadata, until }
  }

  check('what was there before, what comes, what changes, what goes', async (t, rig) => {
    await rig.label({ team: 'web' })
    const a = await rig.put('a', { version: 'v1', other: 'x' }, { note: 'multi\nline żółw "quoted"', else: 'y' })
    const { metadata, until, enrichment } = start(t, rig)
    await until(() => metadata('a', a) !== null)
    t.match(metadata('a', a), {
      mark: '',
      podUid: a,
      app: 'a',
      labels: { version: 'v1' },
      annotations: { note: 'multi\nline żółw "quoted"' },
      namespaceLabels: { team: 'web' },
    })
    t.strictSame(Object.keys(metadata('a', a)?.labels ?? {}), ['version'])
    const b = await rig.put('b', { version: 'v1' })
    await until(() => metadata('b', b) !== null)
    await rig.put('a', { version: 'v2' }, { note: 'new' })
    await until(() => metadata('a', a)?.labels.version === 'v2')
    await rig.label({ team: 'data' })
    await until(() => metadata('b', b)?.namespaceLabels.team === 'data')
    await rig.delete('a')
    await until(() => enrichment.status().tombstones === 1)
    t.match(metadata('a', a), { labels: { version: 'v2' } }, 'still known')
    const again = await rig.put('a', { version: 'v3' })
    t.not(again, a)
    await until(() => metadata('a', again) !== null)
    t.match(metadata('a', a), { labels: { version: 'v2' } }, 'each its own')
    t.match(metadata('a', again), { labels: { version: 'v3' } })
  })

  check('more than a page', async (t, rig) => {
    const uids = new Map<string, string>()
    for (let i = 0; i < 130; i++) uids.set(`p${i}`, await rig.put(`p${i}`, { version: `v${i}` }))
    const { metadata, until, enrichment } = start(t, rig)
    await until(() => enrichment.status().pods === 130)
    for (const [name, uid] of uids) t.equal(metadata(name, uid, true)?.labels.version, `v${name.slice(1)}`)
    // A real one gives all at once as long as its memory will do for an answer.
    t.ok((enrichment.status().watches.find(({ resource }) => resource === 'pods')?.lists ?? 0) <= 2)
  })

  check('the connection breaks, and what happened meanwhile is caught up with', async (t, rig) => {
    const passage = await door(t, rig.access)
    const a = await rig.put('a', { version: 'v1' })
    const gone = await rig.put('gone', { version: 'v1' })
    const { metadata, until, enrichment, events } = start(t, rig, { ...rig.access, origin: passage.origin })
    const pods = () => enrichment.status().watches.find(({ resource }) => resource === 'pods')
    await until(() => metadata('a', a) !== null && (pods()?.watches ?? 0) > 0)
    passage.shut()
    await until(() => pods()?.state === 'retrying')
    await rig.put('a', { version: 'v2' })
    await rig.delete('gone')
    const b = await rig.put('b', { version: 'v1' })
    t.match(metadata('a', a), { labels: { version: 'v1' } }, 'as it was')
    passage.open()
    await until(() => metadata('b', b) !== null && metadata('a', a)?.labels.version === 'v2')
    await until(() => enrichment.status().tombstones === 1)
    t.ok(metadata('gone', gone))
    t.equal(pods()?.lists, 1, 'no new list')
    t.ok(events.of('kubernetes.recovered').length > 0)
  })

  check('containers, where they are asked for', async (t, rig) => {
    const a = await rig.put('a', {})
    const { metadata, until } = start(t, rig, rig.access, ['image'])
    await until(() => metadata('a', a, true) !== null)
    t.equal(metadata('a', a, true)?.image, 'busybox:1.36')
  })

  check('who may not ask is told what to grant', async (t, rig) => {
    const { until, enrichment, events } = start(t, rig, rig.stranger)
    await until(() => enrichment.status().watches.every(({ state }) => state === 'refused'))
    const rules = events.of('kubernetes.forbidden').map(({ rule }) => rule)
    t.ok(rules.includes('{apiGroups: [""], resources: [pods], verbs: [list, watch]}'))
    t.ok(rules.includes('{apiGroups: [""], resources: [namespaces], verbs: [list, watch]}'))
  })
}
