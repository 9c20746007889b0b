// Pods that come, restart, are renamed and go within a second, 300 at a time, under names that others had just before: each
// line has the metadata of the pod that wrote it, or none and the mark. The agent is killed meanwhile, the API server breaks
// off, forgets and is away. Who wrote a line stands in the line.
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FakeApiServer } from '../support/fake-api-server.ts'
import { criTime, lokiConfig, World } from './world.ts'

const NAMES = 300
const LIVES = 3
const STEP_MS = 50
/** In which all of the pods live. */
const SPAN_MS = 15_000

/** One pod: when its object is at the API server, and what its container does. */
interface Life {
  name: string
  uid: string
  /** Moments (ms) and what happens then, in order. */
  events: [at: number, run: () => void][]
}

t.test(`${NAMES * LIVES} pods under ${NAMES} names: nobody gets what is not his`, async (t) => {
  const api = new FakeApiServer()
  const fields = ['pod_uid', 'container_id', 'restart_count', 'image'] as const
  const world = new World(t, {
    api,
    eagerCheckpoints: false,
    sinks: [
      lokiConfig({
        labelsFrom: { owner: 'pod.labels.owner', team: 'namespace.labels.team' },
        structuredMetadata: [...fields],
      }),
    ],
  })
  let seed = 20_261_121
  const random = (below: number) => {
    seed = (seed * 16_807) % 2_147_483_647
    return seed % below
  }
  const expected = new Map<string, { name: string; uid: string; restart: number; isTold: boolean }>()
  const namespace = (labels: Record<string, string>) =>
    api.put({ kind: 'Namespace', metadata: { name: 'ns', uid: 'n', resourceVersion: '', labels } })
  const say = (of: Omit<Life, 'events'>, restart: number, isTold: boolean) => {
    const text = `${of.name} ${of.uid} ${restart} ${expected.size}`
    expected.set(text, { name: of.name, uid: of.uid, restart, isTold })
    const path = join(world.podDirectory(of.name, of.uid), `${restart}.log`)
    world.raw(path, `${criTime(world.clock.now(), expected.size)} stdout F ${text}\n`)
  }
  const live = (name: string, uid: string, from: number): Life => {
    const events: Life['events'] = []
    const me = { name, uid }
    const isTold = random(10) > 0
    const put = (restarts: number) => {
      const containerID = `containerd://${uid}-${restarts}`
      const lastState = restarts === 0 ? {} : { terminated: { containerID: `containerd://${uid}-${restarts - 1}` } }
      const status = { name: 'app', image: `image:${uid}`, restartCount: restarts, containerID, lastState }
      if (!isTold) return
      api.put({
        kind: 'Pod',
        metadata: { name, namespace: 'ns', uid, resourceVersion: '', labels: { owner: uid } },
        spec: { nodeName: 'node' },
        status: { containerStatuses: [status] },
      })
    }
    const remove = () => api.delete('Pod', { name, namespace: 'ns' })
    const rotate = () => {
      const path = world.podPath(name, uid)
      renameSync(path, `${path}.20261121-0800${String(random(60)).padStart(2, '0')}`)
    }
    // The kubelet may be first with the file, or the API server with the pod.
    events.push([from + random(300), () => put(0)], [from + random(300), () => say(me, 0, isTold)])
    events.push([from + 300 + random(200), () => say(me, 0, isTold)])
    if (random(3) === 0) events.push([from + 500, rotate], [from + 510, () => say(me, 0, isTold)])
    if (random(3) === 0) events.push([from + 600 + random(100), () => say(me, 1, isTold)], [from + 700, () => put(1)])
    events.push([from + 900 + random(100), () => isTold && remove()])
    return { ...me, events: events.sort(([a], [b]) => a - b) }
  }
  const events: Life['events'] = []
  const removals: [at: number, path: string][] = []
  for (let slot = 0; slot < NAMES; slot++) {
    for (let turn = 0; turn < LIVES; turn++) {
      // The next one comes within the second in which the one before it goes.
      const from = 1000 + random(SPAN_MS / 20) + turn * 1000 + Math.floor(slot / 50) * 2000
      const { uid, name, events: own } = live(`pod-${slot}`, `uid-${slot}-${turn}`, from)
      events.push(...own)
      removals.push([from + 9000, join(world.directory, 'pods', `ns_${name}_${uid}`)])
    }
  }
  const refuse = (until: number) => {
    api.endWatches('break')
    api.refuse = () => (world.clock.monotonic() < until ? 'break' : null)
  }
  const start = world.clock.monotonic()
  events.push(
    [0, () => namespace({ team: 'early' })],
    [2500, () => api.endWatches('break')],
    [3000, () => api.compact()],
    [3000, () => api.endWatches({ code: 410, message: 'too old resource version' })],
    [6500, () => refuse(start + 7500)],
    [9000, () => world.kill()],
    [9300, () => void world.start()],
    [11_000, () => api.compact()],
    [11_000, () => api.endWatches('end')],
  )
  events.sort(([a], [b]) => a - b)
  world.start()
  for (let at = 0; at < 30_000; at += STEP_MS) {
    while (events[0] !== undefined && events[0][0] <= at) events.shift()?.[1]()
    for (const [due, path] of removals)
      if (due > at - STEP_MS && due <= at) rmSync(path, { recursive: true, force: true })
    await world.clock.advance(STEP_MS)
  }
  await world.clock.advance(30_000)

  const found = new Map<string, number>()
  let [marked, known, markedTold] = [0, 0, 0]
  const wrong: string[] = []
  for (const { labels, entries } of world.loki.find()) {
    for (const { line, metadata } of entries) {
      const text = line.toString()
      const said: Record<string, string> = { ...labels, ...metadata }
      found.set(text, (found.get(text) ?? 0) + 1)
      const { name, uid, restart, isTold } = expected.get(text) ?? { name: '?', uid: '?', restart: -1, isTold: false }
      const isPath = said.metadata === 'path'
      if (isPath && isTold) markedTold++
      if (isPath) marked++
      else known++
      const isRight =
        said.pod === name &&
        said.pod_uid === uid &&
        (isPath || isTold) &&
        said.owner === (isPath ? undefined : uid) &&
        said.team === (isPath ? undefined : 'early') &&
        [undefined, '', `${uid}-${restart}`].includes(said.container_id) &&
        [undefined, String(restart)].includes(said.restart_count) &&
        [undefined, `image:${uid}`].includes(said.image)
      if (!isRight) wrong.push(`${text}: ${JSON.stringify(said)}`)
    }
  }
  t.strictSame(wrong.slice(0, 5), [], `${wrong.length} lines with what is not theirs`)
  t.strictSame([...expected.keys()].filter((text) => !found.has(text)).slice(0, 5), [], 'all are there')
  t.strictSame([...found].filter(([, times]) => times > 1).slice(0, 5), [], 'each once')
  t.ok(known > 5 * marked, `${known} known, ${marked} marked`)
  t.comment(`${known} lines with metadata, ${marked} marked, ${markedTold} of them told of`)
})
