// A receiver in a process of its own, a Loki or an Elasticsearch, with a Judge of what it stores. Its parent says over IPC what
// goes wrong, what was written, and when to judge; it can be stopped and continued like any other process.

import type { Fault, StoreShare } from '../../src/demo/faults.ts'
import { UNLIMITED_RATES } from '../../src/demo/loki-limits.ts'
import { startReceiver } from '../../src/demo/receiver.ts'
import { type BulkDocument, BulkReceiver, type BulkTrouble } from './bulk-receiver.ts'
import { Judge } from './process-logs.ts'

export type ReceiverKind = 'loki' | 'elasticsearch'

/** What every push meets from now on. */
export type Trouble = 'none' | '503' | '429' | 'slow' | 'mixed'

export type ToReceiver =
  | { kind: 'trouble'; trouble: Trouble }
  | { kind: 'judge'; sequences: [writer: string, last: number][]; equal: [key: string, lines: number][] }

export interface Judgement {
  complete: boolean
  verdict: ReturnType<Judge['verdict']>
  repeats: number
  expected: number
  counts: { requests: number; accepted: number; answers: Record<string, number> }
}

export type FromReceiver = { kind: 'listening'; url: string } | ({ kind: 'judgement' } & Judgement)

const SLOW_MS = 300
const MIXED = ['none', '503', 'none', '429', 'slow', 'none', 'reset'] as const
/** Lines that begin so are refused: as too old by a Loki, as what they are by an Elasticsearch. */
const REFUSED = 'too old '

const judge = new Judge()
let trouble: Trouble = 'none'
const far = process.argv[2] === 'elasticsearch' ? await startElasticsearch() : await startLoki()

async function startLoki(): Promise<{ url: string; counts: Judgement['counts'] }> {
  const receiver = await startReceiver({ limits: UNLIMITED_RATES, onEntry: judge.see })
  receiver.setFault(({ n }): Fault | null => {
    const met = metBy(n)
    return met?.kind === 'full' ? { kind: 'answer', status: 429 } : met
  })
  return receiver
}

async function startElasticsearch(): Promise<{ url: string; counts: Judgement['counts'] }> {
  const labelsOf = new Map<string, Record<string, string>>()
  const onDocument = ({ '@timestamp': time, message, stream, kubernetes }: BulkDocument, id: string) => {
    const pod = kubernetes.pod.name
    const container = kubernetes.container.name
    const key = `${pod} ${container} ${stream}`
    const labels = labelsOf.get(key) ?? { pod, container, stream }
    labelsOf.set(key, labels)
    const timestampNs = BigInt(Date.parse(`${time.slice(0, 19)}Z`)) * 1_000_000n + BigInt(time.slice(20, 29))
    judge.see(labels, timestampNs, Buffer.from(message), { id }, '')
  }
  const refuses = ({ message }: BulkDocument) => message.startsWith(REFUSED)
  const receiver = new BulkReceiver({ onDocument, refuses, troubleOf: metBy })
  return { url: await receiver.listen(), counts: receiver.counts }
}

function metBy(n: number): BulkTrouble | null {
  const kind = trouble === 'mixed' ? MIXED[n % MIXED.length] : trouble
  const share = (rest: number): StoreShare => (n % rest === 0 ? 'half' : 'none')
  switch (kind) {
    case 'none':
      return null
    case 'slow':
      return { kind: 'slow', delayMs: SLOW_MS }
    // Stored all the same: what is sent again must have no effect.
    case 'reset':
      return { kind: 'reset', store: n % 2 === 0 ? 'all' : 'half' }
    // Every other time it is a part for which there is no room, where the store tells of a part.
    case '429':
      return n % 2 === 0 ? { kind: 'full' } : { kind: 'answer', status: 429, store: share(3) }
    default:
      return { kind: 'answer', status: Number(kind), store: share(3) }
  }
}

function judgement(): Judgement {
  const { requests, accepted, answers } = far.counts
  const { repeats, expected } = judge.verifier.report()
  return {
    complete: judge.complete,
    verdict: judge.verdict(),
    repeats,
    expected,
    counts: { requests, accepted, answers },
  }
}

process.on('message', (message: ToReceiver) => {
  if (message.kind === 'trouble') trouble = message.trouble
  else {
    for (const [writer, last] of message.sequences) judge.verifier.expect(writer, last)
    judge.expectWritten(message.equal)
    process.send?.({ kind: 'judgement', ...judgement() } satisfies FromReceiver)
  }
})
process.on('disconnect', () => process.exit())
process.send?.({ kind: 'listening', url: far.url } satisfies FromReceiver)
