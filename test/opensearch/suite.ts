// `npm run test:opensearch`: the real agent as a process against a real OpenSearch. What was written is known by pod: how many
// lines, and the sum of their offsets; the index must hold exactly that. With TAFFRAIL_TEST_OPENSEARCH (an endpoint that is
// empty and ours) nothing is started, and the node is not restarted. TAFFRAIL_TEST_LINES sets the size, a million unless given.
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { readLetters } from '../../src/deliver/letter-file.ts'
import { runToEnd, TaffrailProcess, writeConfig } from '../support/process.ts'
import { OpenSearchNode, untilReady } from './node.ts'

const LINES = Number(process.env.TAFFRAIL_TEST_LINES ?? 1_000_000)
const ENDPOINT = process.env.TAFFRAIL_TEST_OPENSEARCH
const PODS = 20
const HOUR_MS = 3_600_000
t.setTimeout(HOUR_MS)

interface Sum {
  lines: number
  offsets: number
}

/** Log files of pods, and what is in them. */
class Pods {
  readonly directory: string
  readonly sums = new Map<string, Sum>()
  #atMs = Date.UTC(2026, 10, 21, 8)
  #sizes = new Map<string, number>()

  constructor(directory: string) {
    this.directory = directory
  }

  /** Lines that are not `counted` are not expected in the index. */
  write(pod: string, lines: readonly string[], counted: (line: string) => boolean = () => true): void {
    const path = join(this.directory, 'pods', `ns_${pod}_uid-${pod}`, 'app')
    mkdirSync(path, { recursive: true })
    const sum = this.sums.get(pod) ?? { lines: 0, offsets: 0 }
    let size = this.#sizes.get(pod) ?? 0
    let text = ''
    for (const line of lines) {
      const row = `${new Date(this.#atMs++).toISOString().slice(0, -1)}000000Z ${this.#atMs % 5 === 0 ? 'stderr' : 'stdout'} F ${line}\n`
      if (counted(line)) {
        sum.lines++
        sum.offsets += size
      }
      size += Buffer.byteLength(row)
      text += row
    }
    this.sums.set(pod, sum)
    this.#sizes.set(pod, size)
    appendFileSync(join(path, '0.log'), text)
  }

  source(): object {
    return {
      name: 'pods',
      type: 'containers',
      paths: [join(this.directory, 'pods/*/*/*.log')],
      roots: [this.directory],
      startAgeMax: 'off',
    }
  }
}

function sinkOf(url: string, more: object = {}): object {
  return {
    name: 'es',
    type: 'elasticsearch',
    urls: [url],
    setupAtStart: true,
    batchAgeMax: '100ms',
    retryDelayMin: '50ms',
    retryDelayMax: '1s',
    ...more,
  }
}

async function api(url: string, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const content =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const response = await fetch(url + path, { method, ...content })
  const answer = (await response.json()) as Record<string, unknown>
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
  return answer
}

/** What is in the data stream, by pod. */
async function stored(url: string, stream: string): Promise<Map<string, Sum>> {
  await api(url, 'POST', `/${stream}/_refresh`)
  const aggs = {
    pods: { terms: { field: 'kubernetes.pod.name', size: 1000 }, aggs: { offsets: { sum: { field: 'log.offset' } } } },
  }
  const answer = (await api(url, 'POST', `/${stream}/_search?size=0`, { aggs })) as {
    aggregations: { pods: { buckets: { key: string; doc_count: number; offsets: { value: number } }[] } }
  }
  return new Map(
    answer.aggregations.pods.buckets.map(({ key, doc_count, offsets }) => [
      key,
      { lines: doc_count, offsets: offsets.value },
    ]),
  )
}

const sorted = (sums: Map<string, Sum>) => [...sums].sort(([a], [b]) => (a < b ? -1 : 1))

function textsOf(pod: string, from: number, count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => `${pod} ${from + i} GET /api/v1/orders/${i * 7919} "agent" {"status":200,"ms":${i % 300}}`,
  )
}

/** A node for the test, or the endpoint that was given. */
async function nodeFor(
  t: Test,
  settings: readonly string[] = [],
): Promise<{ url: string; node: OpenSearchNode | null }> {
  if (ENDPOINT !== undefined) {
    await untilReady(ENDPOINT)
    return { url: ENDPOINT, node: null }
  }
  const node = await OpenSearchNode.start(settings)
  t.teardown(async () => {
    await node.kill()
    node.remove()
  })
  return { url: node.url, node }
}

/** Runs the agent to the end of what there is, however long that takes. */
async function drained(t: Test, path: string): Promise<TaffrailProcess> {
  const agent = new TaffrailProcess(t, ['run', '--config', path, '--once'])
  const { code } = await agent.ended
  t.equal(code, 0, code === 0 ? 'it ends well' : agent.story())
  return agent
}

t.test(`${LINES} lines, the agent and the node killed again and again`, async (t) => {
  const { url, node } = await nodeFor(t)
  const pods = new Pods(t.testdir())
  const clusterName = `kill-${process.pid}`
  const stream = `logs-kubernetes.container_logs-kill_${process.pid}`
  const path = writeConfig(pods.directory, { clusterName, sources: [pods.source()], sinks: [sinkOf(url)] })
  const rounds = 10
  for (let round = 0; round < rounds; round++) {
    for (let pod = 0; pod < PODS; pod++) {
      const count = LINES / PODS / rounds
      pods.write(`pod-${pod}`, textsOf(`pod-${pod}`, round * count, count))
    }
    const agent = new TaffrailProcess(t, ['run', '--config', path])
    // Somewhere in the middle of it, another place each time.
    await sleep(1000 + 400 * round)
    if (node !== null && round % 3 === 1) {
      await node.kill()
      await sleep(1500)
      await node.run()
    }
    agent.child.kill('SIGKILL')
    await agent.result()
  }
  await drained(t, path)
  t.strictSame(sorted(await stored(url, stream)), sorted(pods.sums), 'each line once')
})

t.test('a write queue of one: what there is no room for is sent again', async (t) => {
  const { url } = await nodeFor(t, ['thread_pool.write.queue_size=1', 'thread_pool.write.size=1'])
  const pods = new Pods(t.testdir())
  const stream = `logs-kubernetes.container_logs-queue_${process.pid}`
  const sink = sinkOf(url, { concurrency: 16, batchBytesMax: '16Ki' })
  const path = writeConfig(pods.directory, {
    clusterName: `queue-${process.pid}`,
    sources: [pods.source()],
    sinks: [sink],
  })
  for (let pod = 0; pod < 40; pod++) pods.write(`pod-${pod}`, textsOf(`pod-${pod}`, 0, LINES / 1000))
  const agent = await drained(t, path)
  t.ok(ENDPOINT !== undefined || agent.log.some(({ event }) => event === 'sink.retry'), 'there was no room at times')
  t.strictSame(sorted(await stored(url, stream)), sorted(pods.sums), 'each line once')
})

t.test('a disk at its flood stage, and back', async (t) => {
  const { url } = await nodeFor(t)
  const pods = new Pods(t.testdir())
  const stream = `logs-kubernetes.container_logs-flood_${process.pid}`
  const path = writeConfig(pods.directory, {
    clusterName: `flood-${process.pid}`,
    sources: [pods.source()],
    sinks: [sinkOf(url)],
  })
  pods.write('pod', textsOf('pod', 0, 1000))
  await drained(t, path)
  await api(url, 'PUT', `/${stream}/_settings`, { 'index.blocks.read_only_allow_delete': true })
  pods.write('pod', textsOf('pod', 1000, 1000))
  const agent = new TaffrailProcess(t, ['run', '--config', path])
  const isHeld = ({ event, message }: { event: string; message?: unknown }) =>
    event.startsWith('sink.') && /flood-stage/.test(String(message))
  while (!agent.log.some(isHeld)) await sleep(50)
  t.equal((await stored(url, stream)).get('pod')?.lines, 1000, 'nothing is taken')
  await api(url, 'PUT', `/${stream}/_settings`, { 'index.blocks.read_only_allow_delete': null })
  while ((await stored(url, stream)).get('pod')?.lines !== 2000) await sleep(200)
  agent.child.kill('SIGTERM')
  await agent.result()
  t.strictSame(sorted(await stored(url, stream)), sorted(pods.sums), 'each line once, none a dead letter')
})

t.test('documents that a mapping refuses are dead letters with their reasons', async (t) => {
  const { url } = await nodeFor(t)
  const pods = new Pods(t.testdir())
  const namespace = `reject_${process.pid}`
  const stream = `logs-kubernetes.container_logs-${namespace}`
  const keyword = { type: 'keyword' }
  const properties = {
    '@timestamp': { type: 'date_nanos' },
    kubernetes: { properties: { pod: { properties: { name: keyword } } } },
    log: { properties: { offset: { type: 'long' } } },
    json: { properties: { n: { type: 'integer' } } },
  }
  const template = { settings: { number_of_replicas: 0 }, mappings: { dynamic: false, properties } }
  await api(url, 'PUT', '/_index_template/operators-own', {
    index_patterns: [stream],
    data_stream: {},
    priority: 900,
    template,
  })
  const sink = sinkOf(url, { expandJson: ['pods'], setupAtStart: false })
  const path = writeConfig(pods.directory, {
    clusterName: `reject-${process.pid}`,
    sources: [pods.source()],
    sinks: [sink],
  })
  const lines = Array.from({ length: 2000 }, (_, i) => (i % 100 === 50 ? `{"n":"secret ${i}"}` : `{"n":${i}}`))
  pods.write('pod', lines, (line) => !line.includes('secret'))
  await drained(t, path)
  t.strictSame(sorted(await stored(url, stream)), sorted(pods.sums), 'the others are there, each once')
  const directory = join(pods.directory, 'state/dead-letters')
  const letters = readdirSync(directory).flatMap((name) => readLetters(readFileSync(join(directory, name))).letters)
  t.equal(letters.length, 20)
  for (const letter of letters) {
    t.match(letter, { status: 400, create: { index: stream } })
    t.match(letter.message, /n\] of type \[integer\].*secret/)
  }
  await api(url, 'PUT', '/_index_template/operators-own', {
    index_patterns: [stream],
    data_stream: {},
    priority: 900,
    template: {
      ...template,
      mappings: { dynamic: false, properties: { ...properties, json: { type: 'flat_object' } } },
    },
  })
  await api(url, 'POST', `/${stream}/_rollover`)
  const replay = await runToEnd(t, ['replay', join(pods.directory, 'state'), '--config', path])
  t.equal(replay.code, 0, replay.stdout + replay.stderr)
  const counts = (await stored(url, stream)).get('pod')
  t.equal(counts?.lines, 2000, 'sent again once the operator has mended the mapping')
})
