// What a metric is: its name, its labels, and how its values follow from a snapshot. Names follow Prometheus' conventions (unit
// and `_total` last).
import type { AgentStatus } from '../../core/status.ts'
import type { EventCounters } from '../events.ts'
import type { ProcessStatus } from '../process.ts'

/** All that one scrape is computed from. */
export interface Snapshot {
  status: AgentStatus
  counters: EventCounters
  process: ProcessStatus
  loopDelay: { p99: number; max: number } | null
}

export type Sample = [labels: Record<string, string>, value: number]

export interface Definition {
  type: 'counter' | 'gauge'
  name: string
  help: string
  labels: string[]
  /** Values by labels; what it leaves out is not shown. */
  samples(snapshot: Snapshot): Iterable<Sample>
}

export function counter(name: string, help: string, labels: string[], samples: Definition['samples']): Definition {
  return { type: 'counter', name: `taffrail_${name}`, help, labels, samples }
}

export function gauge(name: string, help: string, labels: string[], samples: Definition['samples']): Definition {
  return { type: 'gauge', name: `taffrail_${name}`, help, labels, samples }
}

/** A metric without labels; null leaves it out. */
export function single(
  type: Definition['type'],
  name: string,
  help: string,
  value: (snapshot: Snapshot) => number | null,
) {
  return (type === 'counter' ? counter : gauge)(name, help, [], (snapshot) => {
    const now = value(snapshot)
    return now === null ? [] : [[{}, now]]
  })
}

export function totals(values: Iterable<[string, number]>, label: string): Sample[] {
  return [...values].map(([key, value]) => [{ [label]: key }, value])
}
