import t from 'tap'
import type { AgentStatus } from '../../../src/core/status.ts'
import { sampleSink, sampleStatus } from '../sample.ts'
import { openPage } from './dom.ts'

async function open(first: AgentStatus | Error) {
  const agent = { answer: first as AgentStatus | Error }
  const browser = openPage(() => agent.answer)
  await browser.settle()
  const text = (id: string) => browser.byId(id).textContent
  return { agent, text, ...browser }
}

/** The sample `seconds` later, with so much more acknowledged. */
function later(seconds: number, bytes: number, lines: number): AgentStatus {
  const status = sampleStatus()
  const sink = sampleSink('loki', 'loki')
  const acked = { bytes: sink.acked.bytes + bytes, lines: sink.acked.lines + lines }
  const read = { bytes: sink.read.bytes + bytes, lines: sink.read.lines + lines }
  return { ...status, now: status.now + seconds * 1000, sinks: [{ ...sink, acked, read }, status.sinks[1]!] }
}

t.test('a healthy agent', async (t) => {
  const { text, byId, rows, document } = await open(sampleStatus())
  t.equal(text('headline'), 'Healthy')
  t.equal(byId('state').getAttribute('data-tone'), 'good')
  t.equal(document.title, 'Healthy · worker-3')
  t.match(text('where'), 'node worker-3 · cluster prod-1 · version 0.1.0 · up 4 m 34 s')
  t.match(text('tile-memory'), '3.0 MiBof 24.0 MiB')
  t.match(text('tile-checkpoint'), '0.1 s behind2 pending')
  t.match(text('tile-files'), '63 held unlinked')
  t.equal(byId('sinks').children.length, 2)
  t.match(text('sinks'), 'The account balances.')
  t.match(text('sinks'), 'too_old 20, invalid_labels 1')
  t.match(text('sinks'), '1,234 with 204, 3 with 429, 1 without answer')
  t.equal(rows().length, 3)
  t.match(rows()[0]!.textContent, 'shop/checkout-2/api', 'the one with the most lag is first')
})

t.test('only the state line is announced', async (t) => {
  const { root } = await open(sampleStatus())
  t.same(
    root
      .all()
      .filter((node) => node.getAttribute('aria-live'))
      .map((node) => node.getAttribute('id')),
    ['headline'],
  )
})

t.test('an unhealthy one gives its reasons, and they go when it recovers', async (t) => {
  const { agent, text, byId, poll } = await open({
    ...sampleStatus(),
    healthy: false,
    reasons: ['loki is down', 'no disk'],
  })
  t.same([text('headline'), byId('state').getAttribute('data-tone')], ['Not healthy', 'bad'])
  t.same(
    byId('reasons').children.map((item) => item.textContent),
    ['loki is down', 'no disk'],
  )
  agent.answer = sampleStatus()
  await poll()
  t.same([text('headline'), byId('reasons').children.length], ['Healthy', 0])
})

t.test('throughput is what was acknowledged between polls', async (t) => {
  const { agent, text, poll } = await open(sampleStatus())
  t.match(text('tile-rate'), 'measuring')
  agent.answer = later(2, 4096, 100)
  await poll()
  t.match(text('tile-rate'), '50 lines/s2.0 KiB/s')
  t.match(text('sinks'), 'Lines per second50Bytes per second2.0 KiB')
})

t.test('a sink in trouble shows its error, an account that is off says by how much', async (t) => {
  const sink = { ...sampleSink('loki', 'loki'), state: 'halted' as const, lastError: '401 no org id' }
  const { agent, text, byId, poll } = await open({
    ...sampleStatus(),
    sinks: [{ ...sink, read: { bytes: 1_007_907, lines: 10_079 } }],
  })
  t.match(text('sinks'), 'halted, needs an operator')
  t.match(text('sinks'), '401 no org id')
  t.match(text('sinks'), 'off by 7 bytes and 0 lines')
  agent.answer = { ...sampleStatus(), sinks: [{ ...sink, lost: { damaged: { bytes: 0, lines: 0 } } }] }
  await poll()
  t.match(text('sinks'), 'damaged (unknown size)', 'a loss of unknown size is shown')
  agent.answer = { ...sampleStatus(), sinks: [] }
  await poll()
  t.same([byId('sinks').children.length, byId('no-sinks').hidden], [0, false])
})

t.test('no lineages, a thousand, and none again', async (t) => {
  const { agent, text, byId, poll, rows } = await open(sampleStatus(0))
  t.same(
    [byId('no-lineages').hidden, text('no-lineages'), text('note')],
    [false, 'No files are followed yet.', '0 followed'],
  )
  agent.answer = sampleStatus(1000)
  await poll()
  t.equal(rows().length, 200)
  t.equal(text('note'), '1,000 followed, the first 200 are shown')
  t.equal(byId('no-lineages').hidden, true)
  agent.answer = sampleStatus(0)
  await poll()
  t.equal(byId('rows').children.length, 0)
})

t.test('names are text, whatever they hold', async (t) => {
  const status = sampleStatus(1)
  const hostile = '<img src=x onerror=alert(1)>"\'&<script>'
  const [lineage] = status.lineages
  lineage!.lineage = lineage!.path = lineage!.source = hostile
  for (const file of lineage!.files) file.path = `/logs/${hostile}`
  for (const sink of lineage!.sinks) sink.path = sink.ackedPath = hostile
  status.node = status.cluster = status.version = hostile
  status.healthy = false
  status.reasons = [hostile]
  status.sinks = [
    { ...sampleSink(hostile, hostile), lastError: hostile, dropped: { [hostile]: { bytes: 1, lines: 1 } } },
  ]
  status.checkpoints.failing = hostile
  const { root, rows, text } = await open(status)
  rows()[0]!.querySelectorAll('button')[0]!.fire('click')
  t.same(
    root.all().filter((node) => ['img', 'script'].includes(node.tag)),
    [],
  )
  for (const id of ['where', 'reasons', 'sinks', 'tile-checkpoint', 'lineages']) t.ok(text(id).includes(hostile), id)
})

t.test('search, order and detail', async (t) => {
  const { byId, root, rows, text } = await open(sampleStatus(20))
  const names = () => rows().map((row) => /checkout-\d+/.exec(row.textContent)![0])
  const search = byId('search')
  search.value = 'CHECKOUT-1'
  search.fire('input')
  t.equal(rows().length, 11)
  t.equal(text('note'), '11 of 20 match')
  search.value = 'no such pod'
  search.fire('input')
  t.same([rows().length, text('no-lineages')], [0, 'Nothing matches the search.'])
  search.value = ''
  search.fire('input')

  const button = (sort: string) => root.all().find((node) => node.getAttribute('data-sort') === sort)!
  t.same(names().slice(0, 2), ['checkout-19', 'checkout-18'])
  button('lagBytes').fire('click')
  t.same(names().slice(0, 2), ['checkout-0', 'checkout-1'])
  t.equal(button('lagBytes').parentNode!.getAttribute('aria-sort'), 'ascending')
  button('lineage').fire('click')
  t.same(names().slice(0, 3), ['checkout-0', 'checkout-1', 'checkout-10'])
  t.equal(button('lagBytes').parentNode!.getAttribute('aria-sort'), null)

  const opener = rows()[1]!.querySelectorAll('button')[0]!
  opener.fire('click')
  t.equal(opener.getAttribute('aria-expanded'), 'true')
  const detail = byId('rows').children[2]!
  t.match(detail.textContent, '0.log.20261102-031500.gz')
  t.match(detail.textContent, 'compressedunlinked, held')
  t.match(detail.textContent, '1,8001,600200 B')
  opener.fire('click')
  t.equal(byId('rows').children.length, 20)
})

t.test('rows keep their places while the pointer is over them', async (t) => {
  const { agent, byId, rows, poll } = await open(sampleStatus(3))
  const names = () => rows().map((row) => /checkout-\d+/.exec(row.textContent)![0])
  const turned = sampleStatus(3)
  turned.lineages[0]!.sinks[0]!.lagBytes = 9999
  agent.answer = turned
  byId('rows').hovered = true
  await poll()
  t.same(names(), ['checkout-2', 'checkout-1', 'checkout-0'])
  t.match(rows()[2]!.textContent, '9.8 KiB', 'with the new value')
  byId('rows').hovered = false
  await poll()
  t.same(names(), ['checkout-0', 'checkout-2', 'checkout-1'])
})

t.test('an agent that does not answer is said to, until it does', async (t) => {
  const { agent, text, document, poll, waits } = await open(sampleStatus())
  agent.answer = new Error('Failed to fetch')
  await poll()
  t.equal(text('headline'), 'No answer from the agent')
  t.match(text('reasons'), /^Last answer .* ago\. Failed to fetch$/)
  t.ok(document.body.classList.contains('stale'))
  t.ok(waits(), 'it goes on asking')
  agent.answer = sampleStatus()
  await poll()
  t.equal(text('headline'), 'Healthy')
  t.notOk(document.body.classList.contains('stale'))
})

t.test('a page that nobody sees does not ask', async (t) => {
  const { text, turn, waits, fetches } = await open(sampleStatus())
  t.ok(waits())
  await turn(true)
  t.same([fetches(), waits(), text('when')], [1, false, 'paused'])
  await turn(false)
  t.same([fetches(), waits()], [2, true])
})
