// Case `large-events`: audit events of 2 MiB (lists of pods with what kubectl applied, lists of Secrets, texts of 15 kB, one text;
// and what was found to take longest: a million numbers, deep nesting, one Secret, 100,000 of them, names that are all different,
// 4 MiB of pods) under a policy that keeps all of it, with redaction, to Loki; and the same of a little less than a MiB into
// _bulk, where they are kept whole. What is judged is the longest turn of the event loop and the peak of memory.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import type { Contender } from '../agent.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import { Helper } from '../helper.ts'
import { Measured } from '../measure.ts'
import { Random } from '../random.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, type Finding, judged, mib } from '../report.ts'
import type { Settings } from '../settings.ts'

/** To Loki, which gets what is left of them. An audit source takes lines of 4 MiB as a whole. */
const LOKI_BYTES = { most: 2 * 2 ** 20, largest: 4 * 2 ** 20 - 4096 }
/** Into Elasticsearch: they stay under its limit, 1 MiB, with what takes the place of the secrets. */
const BULK_BYTES = { most: 840 * 1024, largest: 1000 * 1024 }
const EVENTS = 40
const EVENTS_QUICK = 10
const RUN_TIMEOUT_MS = 2 * 60_000
const LONGEST_MS = 20
const TARGET_RSS_ANON = 96 * 2 ** 20
const WORDS = 'level: info; listen on 8080, key: x, and forward to the next of 12 upstreams\n'

type Make = (random: Random, bytes: number, largest: number) => unknown

const BODIES: Make[] = [
  (random, bytes) => ({ kind: 'PodList', items: filled((i) => pod(random, i), bytes) }),
  (random, bytes) => ({
    kind: 'SecretList',
    items: filled(
      (i) => ({
        metadata: { name: `s${i}` },
        data: { token: Buffer.from(random.hex(24)).toString('base64') },
      }),
      bytes,
    ),
  }),
  (_, bytes) => ({
    kind: 'ConfigMapList',
    items: filled((i) => ({ data: { file: `${WORDS.repeat(200)}${i}` } }), bytes),
  }),
  (_, bytes) => ({ kind: 'ConfigMap', data: { file: WORDS.repeat(bytes / WORDS.length) } }),
  (_, bytes) => ({ kind: 'Numbers', items: new Array(Math.floor(bytes / 2.1)).fill(7) }),
  (_, bytes) => ({ kind: 'Nested', items: filled(() => nested(400), bytes) }),
  (random, bytes) => ({
    kind: 'Secret',
    data: { key: Buffer.from(random.hex(12_288).repeat(bytes / 16_384)).toString('base64') },
  }),
  (_, bytes) => ({ kind: 'SecretList', items: new Array(Math.floor(bytes / 35)).fill({ data: { a: 'eA==' } }) }),
  (random, bytes) => ({
    kind: 'Names',
    map: Object.fromEntries(filled(() => random.hex(12), bytes).map((name) => [name, 'x'])),
  }),
  (random, _, largest) => ({ kind: 'PodList', items: filled((i) => pod(random, i), largest) }),
]

export async function largeEvents(settings: Settings, contender: Contender): Promise<CaseResult> {
  const receiver = await Receiver.start(settings.cores.others, false)
  const loki = await run(settings, contender, LOKI_BYTES, { name: 'loki', type: 'loki', url: receiver.url })
  await receiver.stop()
  const [helper, first] = await Helper.start(settings.cores.others, './bulk-receiver.ts', [])
  const urls = [`http://127.0.0.1:${first.port as number}`]
  const bulk = await run(settings, contender, BULK_BYTES, { name: 'es', type: 'elasticsearch', urls })
  await helper.stop()
  const { name } = contender
  return {
    findings: [
      ...judge(`${name}: audit events of 2 to 4 MiB`, loki),
      ...judge(`${name}: audit events of a MiB into _bulk`, bulk),
    ],
    raw: [
      {
        title: 'large-events',
        notes: ["Turns after the first second of CPU; V8's collections are part of them."],
        head: ['Sink', 'Events', 'Turns', 'Over 20 ms', 'Longest ms', 'RssAnon MiB', 'CPU s'],
        rows: [
          ['loki', ...row(loki)],
          ['elasticsearch', ...row(bulk)],
        ],
      },
    ],
  }
}

interface Run {
  events: number
  turns: { turns: number; over: number; longestMs: number }
  rssAnonPeak: number
  cpuSeconds: number
}

function judge(what: string, { turns: { longestMs }, rssAnonPeak }: Run): Finding[] {
  return [
    judged(`${what}: longest turn, ms of CPU`, `<= ${LONGEST_MS}`, longestMs.toFixed(0), longestMs <= LONGEST_MS),
    judged(`${what}: RssAnon peak, MiB`, '<= 96', mib(rssAnonPeak), rssAnonPeak <= TARGET_RSS_ANON),
  ]
}

function row({ events, turns, rssAnonPeak, cpuSeconds }: Run): string[] {
  const counts = [events, turns.turns, turns.over].map(String)
  return [...counts, turns.longestMs.toFixed(1), mib(rssAnonPeak), cpuSeconds.toFixed(2)]
}

async function run(
  settings: Settings,
  contender: Contender,
  bytes: typeof LOKI_BYTES,
  sink: Record<string, unknown>,
): Promise<Run> {
  const directory = makeDirectory(settings.parentDirectory)
  const random = new Random(settings.seed)
  const events = settings.quick ? EVENTS_QUICK : EVENTS
  const lines = Array.from({ length: events }, (_, index) => `${JSON.stringify(eventOf(random, index, bytes))}\n`)
  const log = join(directory, 'audit.log')
  writeFileSync(log, lines.join(''))
  const policyFile = join(directory, 'policy.yaml')
  writeFileSync(policyFile, '{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}')
  const stateDir = join(directory, 'state')
  mkdirSync(stateDir)
  const config = {
    clusterName: 'bench',
    nodeName: 'node-1',
    stateDir,
    kubernetes: { metadata: 'off' },
    sources: [{ name: 'audit', type: 'audit', paths: [log], policyFile }],
    sinks: [sink],
    limits: { memory: '96Mi' },
    server: 'off',
  }
  const path = join(directory, 'config.yaml')
  writeFileSync(path, JSON.stringify(config))
  const command = [...contender.command, '--config', path, '--once']
  // Not as TypeScript: what takes its types away, in the process that is measured, is 12 MiB and dear to collect.
  const turnsModule = join(directory, 'turns.mjs')
  writeFileSync(turnsModule, stripTypeScriptTypes(readFileSync(new URL('../turns.ts', import.meta.url), 'utf8')))
  command.splice(1, 0, '--import', turnsModule)
  const turnsFile = join(directory, 'turns.json')
  process.env.TURNS_FILE = turnsFile
  const measured = new Measured(command, settings.cores.measured, join(directory, 'output'))
  await measured.success(RUN_TIMEOUT_MS)
  const turns = JSON.parse(readFileSync(turnsFile, 'utf8')) as Run['turns']
  removeDirectory(directory)
  return { events, turns, rssAnonPeak: measured.rssAnonPeak, cpuSeconds: measured.cpuSecondsWhole }
}

function nested(depth: number): unknown {
  let inner: unknown = {}
  for (let level = 0; level < depth; level++) inner = { level, inner }
  return inner
}

/** Items of about so many bytes in all. */
function filled<Item>(make: (index: number) => Item, bytesMax: number): Item[] {
  const items: Item[] = []
  for (let bytes = 0; bytes < bytesMax; ) {
    const item = make(items.length)
    items.push(item)
    bytes += JSON.stringify(item).length + 1
  }
  return items
}

function pod(random: Random, index: number): unknown {
  const name = `web-${random.hex(9)}-${random.hex(5)}`
  const spec = {
    containers: [
      {
        name: 'web',
        image: `web:1.${index}`,
        args: ['--v=2', '--listen=:8080'],
        env: [{ name: 'DB_PASSWORD', value: random.hex(16) }],
      },
    ],
  }
  const applied = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec })
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': applied }
  return {
    metadata: {
      name,
      namespace: 'shop',
      annotations,
      managedFields: [{ fieldsV1: { 'f:spec': { 'f:containers': {} } } }],
    },
    spec,
  }
}

function eventOf(random: Random, index: number, { most, largest }: typeof LOKI_BYTES): unknown {
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'RequestResponse',
    auditID: `${random.hex(8)}-${index}`,
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/shop/things',
    verb: 'list',
    user: { username: 'alice', groups: ['devs', 'system:authenticated'] },
    sourceIPs: ['192.0.2.1'],
    userAgent: 'kubectl/v1.36.3 (linux/amd64) kubernetes/66674f5',
    objectRef: { resource: 'things', namespace: 'shop', apiVersion: 'v1' },
    responseStatus: { metadata: {}, code: 200 },
    responseObject: (BODIES[index % BODIES.length] as Make)(random, most, largest),
    requestReceivedTimestamp: '2026-11-21T07:51:17.474222Z',
    stageTimestamp: new Date(Date.now() - 60_000 + index).toISOString().replace('Z', '000Z'),
    annotations: { 'authorization.k8s.io/decision': 'allow' },
  }
}
