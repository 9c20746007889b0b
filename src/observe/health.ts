// What /healthz and /ready answer, from the status alone. Health is about delivery: it fails when something waits and
// nothing moves, which a restart seldom mends; readiness is about the agent's own start and end.
import type { AgentStatus } from '../core/status.ts'

export interface Verdict {
  status: 200 | 503
  /** `ok`, or a reason per line. */
  text: string
}

/** 200 while everything that waits also moves. */
export function health(status: AgentStatus): Verdict {
  if (status.healthy) return { status: 200, text: 'ok' }
  return { status: 503, text: status.reasons.join('\n') || 'not healthy, for a reason that the status does not name' }
}

/** 200 from the end of the first discovery, when files can be opened and each sink has acknowledged something or has nothing to take, until the agent begins to stop. */
export function readiness(status: AgentStatus): Verdict {
  if (status.phase !== 'running') return { status: 503, text: `the agent is ${status.phase}` }
  if (status.ready) return { status: 200, text: 'ok' }
  return {
    status: 503,
    text: 'starting: the first discovery is not done, no file can be opened, or a sink has acknowledged nothing yet',
  }
}
