// Metrics of the agent as a whole and of its process.
import { counter, type Definition, gauge, single, totals } from './metric.ts'

export const processMetrics: Definition[] = [
  single('gauge', 'healthy', '1 while everything that waits also moves.', (s) => Number(s.status.healthy)),
  single('gauge', 'ready', '1 while /ready says so.', (s) => Number(s.status.ready)),
  single(
    'gauge',
    'config_last_reload_successful',
    '0 after a configuration that was not taken: the one before it runs.',
    (s) => Number(s.status.configErrors.length === 0),
  ),
  counter('events_total', 'Events, also those whose log lines were suppressed.', ['event'], (s) =>
    totals(Object.entries(s.counters.events), 'event'),
  ),
  gauge('build_info', 'Always 1.', ['version', 'node_version'], (s) => [
    [{ version: s.status.version, node_version: process.version }, 1],
  ]),
  single('gauge', 'start_time_seconds', 'When the agent started.', (s) => s.status.startedAt / 1000),
  single(
    'gauge',
    'event_loop_delay_p99_seconds',
    'Length of a turn of the event loop, 99th percentile since the last scrape.',
    (s) => s.loopDelay?.p99 ?? null,
  ),
  single(
    'gauge',
    'event_loop_delay_max_seconds',
    'The longest turn of the event loop since the last scrape.',
    (s) => s.loopDelay?.max ?? null,
  ),
  single('counter', 'process_cpu_seconds_total', 'User and system time.', (s) => s.process.cpuSeconds),
  single('gauge', 'process_resident_memory_bytes', 'Resident memory.', (s) => s.process.residentBytes),
  single(
    'gauge',
    'process_anonymous_memory_bytes',
    'Resident memory that no file backs (RssAnon): what limits.memory bounds.',
    (s) => s.process.anonymousBytes,
  ),
  single('gauge', 'process_open_fds', 'Open file descriptors.', (s) => s.process.openFds),
  single('gauge', 'process_max_fds', 'The limit on open file descriptors.', (s) => s.process.maxFds),
]
