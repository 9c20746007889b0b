// What the demo says, as text: the lines above the block, the block itself, the line for a terminal that is none, the
// final account and the verdict. Pure: everything comes in as a View.
import type { Amount } from '../core/ledger.ts'
import type { AgentStatus, SinkStatus } from '../core/status.ts'
import type { AccountReport } from './account.ts'
import type { NodeCounts, NodeTotals } from './node.ts'
import type { Paint } from './screen.ts'

/** Where the demo runs and what it talks to. */
export interface Stage {
  /** What the containers are to write, lines per second. */
  rate: number
  /** The directory with `pods` and `containers`. */
  root: string
  /** Of the status page; null when no port was to be had. */
  page: string | null
  /** A Loki of the user's; null for the embedded receiver. */
  loki: { url: string; tenant: string | null } | null
  /** The agent's own log. */
  log: string
}

export interface View {
  elapsedMs: number
  draining: boolean
  pods: number
  containers: number
  totals: NodeTotals
  counts: NodeCounts
  /** Over the last few seconds. */
  linesPerSecond: number
  rowsAckedPerSecond: number
  status: AgentStatus
  /** Null when nobody can verify. */
  report: AccountReport | null
  /** Lines of warnings and errors in the agent's log. */
  warnings: number
}

/** What is known at the end only. */
export interface Costs {
  requestBytes: number | null
  cpuSeconds: number
  rssBytesMax: number
}

/** The first lines: what happens here, where to look, how to end it. */
export function headerLines({ rate, root, page, loki, log }: Stage, paint: Paint): string[] {
  const intro = [
    `About ${count(rate)} lines/s are written, and their files rotated, compressed and`,
    'deleted all the while. The real agent tails them and pushes to',
  ]
  const mine = ['an embedded Loki, which checks every line.', '']
  const theirs = [
    `${loki?.url}${loki?.tenant ? `, tenant ${loki.tenant}` : ''}.`,
    'What arrives there cannot be checked from here.',
    '',
  ]
  return [
    paint('bold', 'taffrail demo: a small node on this machine'),
    '',
    ...intro,
    ...(loki === null ? mine : theirs),
    `  status page     ${page ?? 'none: no port could be had'}`,
    loki === null
      ? '  your own Loki   LOKI_URL=http://HOST:3100 npm start   (LOKI_TENANT=NAME)'
      : '  in Grafana      {cluster="taffrail-demo"}',
    `  the log files   ${root}`,
    `  agent's log     ${log}`,
    '  to stop         Ctrl-C: delivers what was written, then gives account',
    '',
  ]
}

/** The block that is drawn over itself. */
export function blockLines(view: View, paint: Paint): string[] {
  const { totals, status, report } = view
  const sink = status.sinks[0] as SinkStatus
  const phase = view.draining
    ? paint('yellow', 'draining; Ctrl-C again ends it at once')
    : `${view.pods} pods, ${view.containers} containers`
  const lag = `lag ${sink.oldestUnackedSeconds.toFixed(1)} s, ${bytes(sink.lagBytes)}`
  const lines = [
    `  ${paint('bold', clock(view.elapsedMs))}   ${phase}`,
    '',
    `  written    ${wide(totals.lines)} lines   ${count(view.linesPerSecond)} lines/s, ${count(totals.rows)} rows`,
    `  acked      ${wide(sink.acked.lines)} rows    ${count(view.rowsAckedPerSecond)} rows/s, ${lag}`,
    `  verified   ${report === null ? paint('dim', '    by nobody') : verified(report, paint)}`,
    `  survived   ${survived(view.counts)}`,
    ...sinkState(sink, paint),
  ]
  if (view.warnings > 0) lines.push(paint('yellow', `  ${plural(view.warnings, 'warning')} in the agent's log`))
  return lines
}

/** All of it in one line. */
export function plainLine(view: View): string {
  const { totals, report, counts, status } = view
  const sink = status.sinks[0] as SinkStatus
  const parts = [
    `${clock(view.elapsedMs)}${view.draining ? ' draining' : ''}`,
    `written ${count(totals.lines)} (${count(view.linesPerSecond)}/s)`,
    `rows ${count(totals.rows)}, acked ${count(sink.acked.lines)}`,
    `lag ${sink.oldestUnackedSeconds.toFixed(1)} s`,
    `rotations ${counts.rotations}`,
    `restarts ${counts.restarts}`,
  ]
  if (report !== null) parts.push(`missing ${count(report.missing)}`, `duplicate ${count(report.duplicate)}`)
  if (sink.state !== 'ok') parts.push(`Loki ${sink.state}: ${sink.lastError ?? ''}`)
  return parts.join('  ')
}

/** The final account. */
export function accountLines(view: View, costs: Costs, paint: Paint): string[] {
  const { totals, status, report, counts } = view
  const sink = status.sinks[0] as SinkStatus
  const amounts = (title: string, by: Record<string, Amount>) =>
    Object.entries(by).map(([why, { lines, bytes: size }]) => `  ${title} ${wide(lines)} rows, ${bytes(size)}: ${why}`)
  const lines = [
    paint('bold', `Account after ${(view.elapsedMs / 1000).toFixed(1)} s`),
    `  lines written  ${wide(totals.lines)} in ${count(totals.rows)} rows, ${bytes(totals.bytes)}`,
    `  rows acked     ${wide(sink.acked.lines)}`,
    ...amounts('skipped       ', sink.skipped),
    ...amounts('dropped       ', sink.dropped),
    ...amounts('dead letters  ', sink.deadLettered),
    ...amounts('lost          ', sink.lost),
  ]
  if (report !== null) {
    const row = (title: string, value: number) =>
      `  ${title.padEnd(14)} ${value === 0 ? wide(0) : paint('red', wide(value))}`
    lines.push(
      `  verified       ${wide(report.verified)}`,
      row('missing', report.missing),
      row('duplicate', report.duplicate),
      row('corrupt', report.corrupt),
      row('out of order', report.outOfOrder),
    )
    if (report.repeats > 0) lines.push(`  sent twice     ${wide(report.repeats)} (one entry each in the store)`)
    for (const example of report.examples.slice(0, 10)) lines.push(paint('red', `    ${example}`))
  }
  const requests = Object.entries(sink.requests).map(([status, n]) => `${count(n)} × ${status}`)
  const company = report === null ? '' : ' (receiver and all)'
  lines.push(
    `  survived       ${survived(counts)}`,
    `  requests       ${requests.join(', ') || 'none'}${costs.requestBytes === null ? '' : `, ${bytes(costs.requestBytes)}`}`,
    `  this process   ${costs.cpuSeconds.toFixed(1)} s of CPU, at most ${bytes(costs.rssBytesMax)} resident${company}`,
  )
  return lines
}

/** Whether all went well, and in one sentence what did or did not. */
export function verdict({ report, totals, status }: View): { ok: boolean; sentence: string } {
  const sink = status.sinks[0] as SinkStatus
  if (report !== null) {
    if (report.expected === 0) return { ok: false, sentence: 'Nothing was written.' }
    if (!report.exact) return { ok: false, sentence: 'Not every line arrived exactly once, whole and in order.' }
  }
  const unacked = totals.rows - sink.acked.lines
  if (unacked !== 0) {
    const why = sink.lastError === null ? '' : `: ${sink.lastError}`
    return { ok: false, sentence: `${count(unacked)} rows were not acknowledged${why}` }
  }
  if (report === null) return { ok: true, sentence: 'Everything that was written was acknowledged.' }
  return { ok: true, sentence: 'Every line arrived exactly once, whole and in order.' }
}

function verified(report: AccountReport, paint: Paint): string {
  const part = (title: string, value: number) => paint(value === 0 ? 'green' : 'red', `${title} ${count(value)}`)
  const parts = [
    part('missing', report.missing),
    part('duplicate', report.duplicate),
    part('corrupt', report.corrupt),
    part('out of order', report.outOfOrder),
  ]
  return `${wide(report.verified)}   ${parts.join('  ')}`
}

function survived({ rotations, compressions, restarts, recreated }: NodeCounts): string {
  const parts = [plural(rotations, 'rotation'), plural(compressions, 'compression'), plural(restarts, 'restart')]
  return [...parts, `${plural(recreated, 'pod')} recreated`].join(', ')
}

function sinkState(sink: SinkStatus, paint: Paint): string[] {
  const requests = Object.values(sink.requests).reduce((sum, n) => sum + n, 0)
  const state = `${sink.state}, ${plural(requests, 'request')}`
  if (sink.state === 'ok') return [`  Loki       ${state}`]
  const colour = sink.state === 'halted' ? 'red' : 'yellow'
  return [`  Loki       ${paint(colour, state)}`, `    ${paint(colour, sink.lastError ?? 'no answer yet')}`]
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
}

const count = (value: number) => Math.round(value).toLocaleString('en-US')
const wide = (value: number) => count(value).padStart(11)
const plural = (n: number, noun: string) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

function bytes(value: number): string {
  if (value < 1000) return `${value} B`
  if (value < 1e6) return `${(value / 1e3).toFixed(0)} kB`
  return `${(value / 1e6).toFixed(1)} MB`
}
