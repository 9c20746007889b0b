// A receiver in a process of its own, with a Judge of what it stores. Its parent says over IPC what goes wrong, what was
// written, and when to judge; it can be stopped and continued like any other process.

import { UNLIMITED_RATES } from '../../src/demo/loki-limits.ts'
import { type Receiver, startReceiver } from '../../src/demo/receiver.ts'
import { Judge } from './process-logs.ts'

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

const judge = new Judge()
const receiver = await startReceiver({ limits: UNLIMITED_RATES, onEntry: judge.see })

function setTrouble(receiver: Receiver, trouble: Trouble): void {
  receiver.setFault(({ n }) => {
    const kind =
      trouble === 'mixed' ? (['none', '503', 'none', '429', 'slow', 'none', 'reset'] as const)[n % 7]! : trouble
    switch (kind) {
      case 'none':
        return null
      case 'slow':
        return { kind: 'slow', delayMs: SLOW_MS }
      // Stored all the same: what is sent again must have no effect.
      case 'reset':
        return { kind: 'reset', store: n % 2 === 0 ? 'all' : 'half' }
      default:
        return { kind: 'answer', status: Number(kind), store: n % 3 === 0 ? 'half' : 'none' }
    }
  })
}

function judgement(): Judgement {
  const { requests, accepted, answers } = receiver.counts
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
  if (message.kind === 'trouble') setTrouble(receiver, message.trouble)
  else {
    for (const [writer, last] of message.sequences) judge.verifier.expect(writer, last)
    judge.expectWritten(message.equal)
    process.send?.({ kind: 'judgement', ...judgement() } satisfies FromReceiver)
  }
})
process.on('disconnect', () => process.exit())
process.send?.({ kind: 'listening', url: receiver.url } satisfies FromReceiver)
