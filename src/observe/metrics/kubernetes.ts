// Metrics of what is known from the API server; absent when it is not asked.
import type { KubernetesStatus } from '../../core/status.ts'
import { counter, type Definition, gauge, type Sample, single } from './metric.ts'

export const kubernetesMetrics: Definition[] = [
  gauge('kubernetes_watch_state', '1 for the state that the watch is in.', ['resource', 'state'], ({ status }) =>
    (status.kubernetes?.watches ?? []).flatMap(({ resource, state: current }) =>
      ['starting', 'ok', 'retrying', 'refused'].map(
        (state): Sample => [{ resource, state }, Number(state === current)],
      ),
    ),
  ),
  kubernetesTotal('lists', 'Lists, or pages of them, that were asked for.'),
  kubernetesTotal('watches', 'Watches that were opened.'),
  kubernetesTotal('events', 'Events of watches.'),
  kubernetesTotal('failures', 'Requests to the API server that failed.'),
  kubernetesGauge('kubernetes_pods', 'Pods of this node that are known.', (known) => known.pods),
  kubernetesGauge(
    'kubernetes_tombstones',
    'Pods that are deleted and still known, because their files may be read.',
    (known) => known.tombstones,
  ),
  kubernetesGauge(
    'metadata_waiting',
    'Containers whose lines wait until their pod is known.',
    (known) => known.waiting,
  ),
  kubernetesGauge(
    'metadata_missing',
    'Containers whose lines go out marked metadata=path, because their pod is not known.',
    (known) => known.unknown,
  ),
  kubernetesGauge(
    'annotations_invalid',
    'Annotations of pods that are taken for absent: not understood, or not allowed.',
    (known) => known.annotations.invalid,
  ),
]

/** Present while the API server is asked. */
function kubernetesGauge(name: string, help: string, value: (known: KubernetesStatus) => number): Definition {
  return single('gauge', name, help, ({ status }) => (status.kubernetes === null ? null : value(status.kubernetes)))
}

/** A total of each watch. */
function kubernetesTotal(field: 'lists' | 'watches' | 'events' | 'failures', help: string): Definition {
  return counter(`kubernetes_${field}_total`, help, ['resource'], ({ status }) =>
    (status.kubernetes?.watches ?? []).map((watch): Sample => [{ resource: watch.resource }, watch[field]]),
  )
}
