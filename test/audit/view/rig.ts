// `taffrail audit` run in this process: what it writes, kept; a clock that a test drives by what happens between two polls.
import { Readable } from 'node:stream'
import { type AuditIo, audit } from '../../../src/commands/audit.ts'
import { auditIo } from '../../../src/commands/audit-io.ts'
import { realClock } from '../../../src/ports/clock.ts'

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

export interface RigOptions {
  stdin?: Iterable<Buffer>
  isTerminal?: boolean
  env?: Record<string, string>
  nowMs?: number
  /** What happens before each poll of a followed log; after the last the command is told to end. Each gets what was written. */
  steps?: ((stdout: string) => void)[]
}

export async function run(args: readonly string[], options: RigOptions = {}): Promise<Ran> {
  const ran: Ran = { code: -1, stdout: '', stderr: '' }
  const stop = new AbortController()
  const steps = [...(options.steps ?? [])]
  let elapsedMs = 0
  const io: AuditIo = {
    ...auditIo((text) => void (ran.stderr += text)),
    output: { write: async (data) => void (ran.stdout += data.toString()) },
    stdin: options.stdin === undefined ? Readable.from([]) : Readable.from(options.stdin),
    isInputTerminal: options.stdin === undefined,
    isOutputTerminal: options.isTerminal ?? false,
    env: options.env ?? {},
    clock: {
      ...realClock,
      now: () => options.nowMs ?? 0,
      monotonic: () => elapsedMs,
      async sleep() {
        elapsedMs += 5000
        const step = steps.shift()
        if (step === undefined) stop.abort()
        else step(ran.stdout)
      },
    },
    untilStopped: () => stop.signal,
  }
  ran.code = await audit([...args], io)
  return ran
}

/** The cells of a table's rows by their titles. */
export function rows(stdout: string): Record<string, string>[] {
  const [head = '', ...lines] = stdout.trimEnd().split('\n')
  const titles = [...head.matchAll(/\S+ */g)].map((match) => ({ title: match[0].trim(), from: match.index }))
  return lines.map((line) =>
    Object.fromEntries(
      titles.map(({ title, from }, index) => [title, line.slice(from, titles[index + 1]?.from).trim()]),
    ),
  )
}

/** An event as an API server writes it. */
export function event(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: 'id-1',
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/shop/pods/web',
    verb: 'get',
    user: { username: 'alice' },
    sourceIPs: ['10.0.0.1'],
    userAgent: 'kubectl/v1.36.3',
    objectRef: { resource: 'pods', namespace: 'shop', name: 'web', apiVersion: 'v1' },
    responseStatus: { metadata: {}, code: 200 },
    requestReceivedTimestamp: '2026-11-21T07:48:12.000000Z',
    stageTimestamp: '2026-11-21T07:48:12.002500Z',
    ...changes,
  }
}

/** As lines of a log. */
export function lines(...events: unknown[]): string {
  return events.map((each) => `${typeof each === 'string' ? each : JSON.stringify(each)}\n`).join('')
}
