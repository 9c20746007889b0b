// Setting a server up: what is put on each of the two products, and that nothing that is there is touched.
import t from 'tap'
import type { HttpRequest, HttpResponse } from '../../../src/ports/http.ts'
import { setUp } from '../../../src/sinks/elasticsearch/setup.ts'

const DAY_MS = 86_400_000

class FakeServer {
  readonly objects = new Map<string, unknown>()
  readonly puts: string[] = []
  refusePut: { status: number; body: string } | null = null
  /** Called between a look and the request that follows it. */
  beforePut: ((name: string) => void) | null = null
  readonly #root: string
  readonly #missing: string

  constructor(root: object, missing = 'nothing') {
    this.#root = JSON.stringify(root)
    this.#missing = missing
  }

  readonly send = async ({ method, path, body }: HttpRequest): Promise<HttpResponse> => {
    const answer = (status: number, text: string) => ({ status, headers: {}, body: Buffer.from(text) })
    if (path === '/') return answer(200, this.#root)
    if (path.includes(this.#missing)) return answer(400, '{"error":"no handler found for uri"}')
    const [name = '', query] = path.split('?')
    if (method === 'GET') {
      const there = this.objects.get(name)
      const told = name.startsWith('/_index_template') ? { index_templates: [{ index_template: there }] } : there
      return there === undefined ? answer(404, '{}') : answer(200, JSON.stringify(told))
    }
    this.puts.push(path)
    if (this.refusePut !== null) return answer(this.refusePut.status, this.refusePut.body)
    this.beforePut?.(name)
    if (this.objects.has(name) && name.startsWith('/_plugins')) return answer(409, '{"error":"version conflict"}')
    if (this.objects.has(name) && query === 'create=true') {
      return answer(400, '{"error":{"type":"illegal_argument_exception","reason":"index template [x] already exists"}}')
    }
    this.objects.set(name, JSON.parse(body?.toString() ?? ''))
    return answer(200, '{"acknowledged":true}')
  }

  run(
    retention: { logs: number | null; audit: number | null } = { logs: 14 * DAY_MS, audit: 365 * DAY_MS },
    clusterName = 'prod-1',
  ) {
    const deps = { send: this.send, authorization: () => 'ApiKey x', timeoutMs: 1000 }
    return setUp({ clusterName, namespace: 'prod_1', retention }, deps)
  }
}

const ELASTIC = { version: { number: '9.1.0', build_flavor: 'default' }, tagline: 'You Know, for Search' }
const OPEN = { version: { distribution: 'opensearch', number: '3.8.0' } }

t.test('on Elasticsearch: ILM, flattened, a template that names its policy', async (t) => {
  const server = new FakeServer(ELASTIC)
  t.strictSame(
    (await server.run()).map(({ kind, name, end }) => `${kind} ${name} ${end}`),
    [
      'lifecycle policy taffrail-logs-prod_1 made',
      'lifecycle policy taffrail-audit-prod_1 made',
      'index template taffrail-logs-prod_1 made',
      'index template taffrail-audit-prod_1 made',
    ],
  )
  t.match(server.objects.get('/_ilm/policy/taffrail-logs-prod_1'), {
    policy: {
      phases: {
        hot: { actions: { rollover: { max_age: '1d' } } },
        delete: { min_age: '14d', actions: { delete: {} } },
      },
    },
  })
  t.match(server.objects.get('/_ilm/policy/taffrail-audit-prod_1'), {
    policy: { phases: { hot: { actions: {} }, delete: { min_age: '365d' } } },
  })
  const logs = server.objects.get('/_index_template/taffrail-logs-prod_1') as {
    priority: number
    template: { mappings: { properties: object } }
  }
  t.match(logs, {
    index_patterns: ['logs-kubernetes.container_logs-prod_1'],
    data_stream: {},
    template: { settings: { index: { lifecycle: { name: 'taffrail-logs-prod_1' } } }, mappings: { dynamic: false } },
  })
  t.match(logs.template.mappings.properties, {
    '@timestamp': { type: 'date_nanos' },
    json: { type: 'flattened' },
    kubernetes: { properties: { labels: { type: 'flattened' } } },
    data_stream: { properties: { namespace: { type: 'constant_keyword', value: 'prod_1' } } },
    orchestrator: { properties: { cluster: { properties: { name: { type: 'constant_keyword', value: 'prod-1' } } } } },
  })
  const audit = server.objects.get('/_index_template/taffrail-audit-prod_1') as {
    priority: number
    data_stream?: object
  }
  t.equal(audit.data_stream, undefined, 'daily indices, no data stream')
  t.ok(audit.priority > 200 && logs.priority > 200, 'above logs-*-*')
})

t.test('on OpenSearch: ISM, flat_object', async (t) => {
  const server = new FakeServer(OPEN)
  await server.run()
  t.match(server.objects.get('/_plugins/_ism/policies/taffrail-logs-prod_1'), {
    policy: {
      states: [{ name: 'hot' }, { name: 'delete' }],
      ism_template: [{ index_patterns: ['logs-kubernetes.container_logs-prod_1'] }],
    },
  })
  t.match(server.objects.get('/_index_template/taffrail-logs-prod_1'), {
    template: { mappings: { properties: { json: { type: 'flat_object' } } } },
  })
  t.match(server.objects.get('/_index_template/taffrail-audit-prod_1'), {
    template: {
      mappings: {
        dynamic: false,
        properties: { kubernetes: { properties: { audit: { properties: { requestObject: { properties: {} } } } } } },
      },
    },
  })
})

t.test(
  'serverless: the data stream keeps its own time; nothing deletes the days of audit events, and that is said',
  async (t) => {
    const server = new FakeServer({ version: { number: '9.2.0', build_flavor: 'serverless' } }, '_ilm')
    t.strictSame(
      (await server.run()).map(({ kind, name, end }) => `${kind} ${name} ${end}`),
      [
        'index template taffrail-logs-prod_1 made',
        'index template taffrail-audit-prod_1 made',
        'lifecycle policy taffrail-audit-prod_1 unavailable',
      ],
    )
    t.match(server.objects.get('/_index_template/taffrail-logs-prod_1'), {
      data_stream: {},
      template: { lifecycle: { data_retention: '14d' }, settings: undefined },
    })
    const audit = server.objects.get('/_index_template/taffrail-audit-prod_1')
    t.notMatch(JSON.stringify(audit), /data_retention|"codec"/)
  },
)

t.test('a second time nothing is put on OpenSearch either', async (t) => {
  const server = new FakeServer(OPEN)
  await server.run()
  t.strictSame(
    (await server.run()).map(({ end }) => end),
    ['same', 'same', 'same', 'same'],
  )
})

t.test('a second time nothing is put; what somebody changed stays', async (t) => {
  const server = new FakeServer(ELASTIC)
  await server.run()
  const puts = server.puts.length
  t.ok((await server.run()).every(({ end }) => end === 'same'))
  server.objects.set('/_ilm/policy/taffrail-logs-prod_1', { policy: { phases: { delete: { min_age: '3d' } } } })
  t.strictSame(
    (await server.run()).map(({ end }) => end),
    ['left', 'same', 'same', 'same'],
  )
  t.equal(server.puts.length, puts)
})

t.test('what somebody else puts meanwhile stays, and is no failure', async (t) => {
  for (const root of [OPEN, ELASTIC]) {
    const faster = new FakeServer(root)
    await faster.run()
    const server = new FakeServer(root)
    // Another node of ours.
    server.beforePut = (name) => server.objects.set(name, faster.objects.get(name))
    const ends = (await server.run()).map(({ end }) => end)
    // Elasticsearch has no way to put a policy only where there is none; it is the same one.
    t.strictSame(ends, root === OPEN ? ['same', 'same', 'same', 'same'] : ['made', 'made', 'same', 'same'])
    const operated = new FakeServer(root)
    operated.beforePut = (name) => operated.objects.set(name, { priority: 900 })
    t.strictSame((await operated.run()).map(({ end }) => end).slice(2), ['left', 'left'])
    t.strictSame(operated.objects.get('/_index_template/taffrail-logs-prod_1'), { priority: 900 })
  }
})

t.test('two clusters of one namespace are told, not mixed', async (t) => {
  const server = new FakeServer(ELASTIC)
  await server.run()
  await t.rejects(server.run(undefined, 'prod_1'), {
    code: 'SETUP_FAILED',
    message:
      'the index template taffrail-logs-prod_1 says that all documents are of the cluster "prod-1": give "prod_1" another namespace',
  })
})

t.test('without lifecycle management, and without retention', async (t) => {
  const server = new FakeServer(OPEN, '_ism')
  t.strictSame(
    (await server.run()).map(({ end }) => end),
    ['unavailable', 'unavailable', 'made', 'made'],
  )
  const forever = new FakeServer(ELASTIC)
  t.strictSame(
    (await forever.run({ logs: null, audit: null })).map(({ kind }) => kind),
    ['index template', 'index template'],
  )
  t.notMatch(JSON.stringify([...forever.objects]), /lifecycle/)
})

t.test('a server that does not let us, and one that is none', async (t) => {
  const server = new FakeServer(ELASTIC)
  server.refusePut = { status: 403, body: '{"error":{"type":"security_exception","reason":"action is unauthorized"}}' }
  await t.rejects(server.run(), {
    code: 'SETUP_FAILED',
    message: /PUT \/_ilm\/policy\/taffrail-logs-prod_1: 403 action is unauthorized/,
  })
  for (const status of [429, 500, 503]) {
    server.refusePut = { status, body: '' }
    await t.rejects(server.run(), { code: 'SETUP_UNAVAILABLE' }, `${status} is for now`)
  }
  await t.rejects(new FakeServer({ hello: 'world' }).run(), { code: 'SETUP_FAILED' })
})
