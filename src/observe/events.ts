// From events to the log and the counters: one table with an entry for every event, so that none is forgotten. What
// repeats for the same subject is throttled (log.ts); the counters see every event. No string in a line is longer than
// `textCharsMax`, since some come from a sink's answer or an audited name.
import { errorCode, errorMessage } from '../core/errors.ts'
import type { AgentEvents, EventName, Events } from '../core/events.ts'
import type { Clock } from '../ports/clock.ts'
import { type Log, throttle } from './log.ts'

const textCharsMax = 1000

/** Totals since start of what only events tell; everything else is in the status. */
export interface EventCounters {
  events: Record<EventName, number>
  /** Lines by the mark that the parser gave them. */
  markedLines: Map<string, number>
  /** Lines by the rule that hid something in them. */
  redactedLines: Map<string, number>
  /** What was found missing in audit logs, by [sink, finding, confidence] as JSON. */
  auditGaps: Map<string, number>
  /** Records sent to a stream's `late` twin, by sink. */
  lateRecords: Map<string, number>
}

interface Entry<Detail> {
  level: 'debug' | 'info' | 'warn' | 'error'
  /**
   * What repeats are counted together; few values, since the lanes of a sink fail together. null: every one is written,
   * since a person asked for it and waits for the answer.
   */
  subject: ((detail: Detail) => string) | null
  /** What happened and where, in a sentence without its period. */
  message(detail: Detail): string
  count?(counters: EventCounters, detail: Detail): void
}

const table: { [Name in EventName]: Entry<AgentEvents[Name]> } = {
  'source.empty': {
    level: 'warn',
    subject: (d) => d.source,
    message: (d) => `source ${d.source}: there is no file yet that matches ${d.paths.join(', ')}; it is looked for`,
  },
  'file.refused': {
    level: 'warn',
    subject: (d) => d.path,
    message: (d) => `${d.path} is not read: ${d.reason} (source ${d.source})`,
  },
  'file.error': {
    level: 'warn',
    subject: (d) => `${d.operation} ${d.path}`,
    message: (d) => `${d.operation} of ${d.path} failed and is tried again: ${errorMessage(d.error)}`,
  },
  'file.opened': {
    level: 'debug',
    subject: (d) => `${d.sink} ${d.path}`,
    message: (d) => `${d.path} is read from byte ${d.offset} for sink ${d.sink}${d.resumed ? ', as checkpointed' : ''}`,
  },
  'file.rotated': {
    level: 'debug',
    subject: (d) => d.lineage,
    message: (d) => `${d.path} was rotated: another file has its name now`,
  },
  'file.truncated': {
    level: 'info',
    subject: (d) => d.path,
    message: (d) => `${d.path} was truncated from ${d.fromBytes} to ${d.toBytes} bytes and is read from its start`,
  },
  'lineage.gone': {
    level: 'debug',
    subject: (d) => d.lineage,
    message: (d) => `${d.lineage} has no files left and is forgotten`,
  },
  'bytes.lost': {
    level: 'error',
    subject: (d) => `${d.sink} ${d.lineage} ${d.cause}`,
    message: (d) =>
      `bytes ${d.fromOffset} to ${d.toOffset ?? 'an unknown end'} of ${d.path} were lost to sink ${d.sink}: ${d.cause}`,
  },
  'bytes.skipped': {
    level: 'info',
    subject: (d) => `${d.sink} ${d.rule}`,
    message: (d) => `${d.bytes} bytes in ${d.lines} lines of ${d.path} were skipped for sink ${d.sink}: rule ${d.rule}`,
  },
  'lines.marked': {
    level: 'info',
    subject: (d) => `${d.mark} ${d.path}`,
    message: (d) => `${d.lines} lines of ${d.path} were marked ${d.mark}`,
    count: (counters, d) => add(counters.markedLines, d.mark, d.lines),
  },
  'lines.redacted': {
    level: 'debug',
    subject: (d) => `${d.source} ${d.rule}`,
    message: (d) => `rule ${d.rule} of source ${d.source} hid something in ${d.lines} lines`,
    count: (counters, d) => add(counters.redactedLines, d.rule, d.lines),
  },
  'audit.stopped': {
    level: 'error',
    subject: (d) => d.source,
    message: (d) => `audit source ${d.source} is not read: ${d.reason}`,
  },
  'audit.gap': {
    level: 'warn',
    subject: (d) => `${d.sink} ${d.path} ${d.finding}`,
    message: (d) => `audit log ${d.path}: ${d.confidence} gap: ${d.text}`,
    count: (counters, d) => add(counters.auditGaps, JSON.stringify([d.sink, d.finding, d.confidence]), 1),
  },
  'webhook.listening': {
    level: 'info',
    subject: null,
    message: (d) => `source ${d.source} takes audit events on ${d.address}`,
  },
  'webhook.failed': {
    level: 'error',
    subject: (d) => `${d.source} ${errorCode(d.error)}`,
    message: (d) => `source ${d.source}: ${errorMessage(d.error)}; it is tried again`,
  },
  'webhook.refused': {
    level: 'warn',
    subject: (d) => `${d.source} ${d.status}`,
    message: (d) =>
      `source ${d.source} turned a request away (${d.status === 0 ? 'no TLS connection' : d.status}): ${d.reason}`,
  },
  'webhook.shed': {
    level: 'warn',
    subject: (d) => `${d.source} ${d.reason}`,
    message: (d) => `source ${d.source} refused a batch, which the API server sends again: ${d.reason}`,
  },
  'webhook.full': {
    level: 'error',
    subject: (d) => d.source,
    message: (d) =>
      `the spool of source ${d.source} is full (${d.bytes} bytes): batches are refused until sinks take some`,
  },
  'webhook.invalid': {
    level: 'error',
    subject: (d) => `${d.source} ${d.apiServer}`,
    message: (d) => `source ${d.source} refused a batch of API server ${d.apiServer} for good: ${d.problem}`,
  },
  'webhook.missing': {
    level: 'error',
    subject: (d) => `${d.source} ${d.apiServer}`,
    message: (d) => d.message.replace('taffrail: ', ''),
  },
  'sink.retry': {
    level: 'warn',
    subject: (d) => `${d.sink} ${d.code}`,
    message: (d) =>
      `sink ${d.sink}: ${d.status === 0 ? d.code : `status ${d.status}`}: ${d.message}; repeat ${d.attempt} of lane ${d.lane} in ${seconds(d.delayMs)}`,
  },
  'sink.halted': {
    level: 'error',
    subject: (d) => `${d.sink} ${d.status}`,
    message: (d) =>
      `sink ${d.sink} needs an operator: status ${d.status}: ${d.message}; nothing is lost, next try in ${seconds(d.delayMs)}`,
  },
  'sink.recovered': {
    level: 'info',
    subject: (d) => d.sink,
    message: (d) => `sink ${d.sink} takes records again: lane ${d.lane}, after ${d.attempts} attempts`,
  },
  'sink.split': {
    level: 'info',
    subject: (d) => `${d.sink} ${d.reason}`,
    message: (d) => `sink ${d.sink}: a batch of ${d.records} records in lane ${d.lane} was split: ${d.reason}`,
  },
  'records.deadLettered': {
    level: 'warn',
    subject: (d) => `${d.sink} ${d.reason}`,
    message: (d) =>
      `sink ${d.sink} refused ${d.records} records (${d.bytes} bytes) of lane ${d.lane}, which are dead letters now: ${d.reason}: ${d.message}`,
  },
  'records.late': {
    level: 'info',
    subject: (d) => d.sink,
    message: (d) =>
      `sink ${d.sink}: ${d.records} records of lane ${d.lane} came too late for it and went to its late stream`,
    count: (counters, d) => add(counters.lateRecords, d.sink, d.records),
  },
  'checkpoint.failed': {
    level: 'error',
    subject: (d) => d.path,
    message: (d) =>
      `checkpoints cannot be written to ${d.path}: ${errorMessage(d.error)}; a restart would repeat records`,
  },
  'checkpoint.recovered': {
    level: 'info',
    subject: (d) => d.path,
    message: (d) => `checkpoints are written to ${d.path} again`,
  },
  'checkpoint.damaged': {
    level: 'error',
    subject: (d) => d.path,
    message: (d) =>
      `${d.path} is damaged at byte ${d.atByte}: ${d.detail}; ${d.recordsKept} records before it are used` +
      (d.movedTo === null ? '' : `, the file was moved to ${d.movedTo}`),
  },
  'deadLetters.failed': {
    level: 'error',
    subject: (d) => d.path,
    message: (d) => `dead letters cannot be written to ${d.path}: ${errorMessage(d.error)}; their lanes wait`,
  },
  'kubernetes.failed': {
    level: 'warn',
    subject: (d) => `${d.resource} ${d.status}`,
    message: (d) =>
      `the API server was asked for ${d.resource} in vain and is asked again in ${seconds(d.delayMs)}: ${errorMessage(d.error)}`,
  },
  'kubernetes.forbidden': {
    level: 'error',
    subject: (d) => d.resource,
    message: (d) => `the API server refuses ${d.resource}: ${d.message}; grant the agent's ClusterRole ${d.rule}`,
  },
  'kubernetes.recovered': {
    level: 'info',
    subject: (d) => d.resource,
    message: (d) => `the API server tells of ${d.resource} again`,
  },
  'kubernetes.relisted': {
    level: 'info',
    subject: (d) => d.resource,
    message: (d) =>
      `all ${d.resource} are listed again: ${d.reason === 'expired' ? 'the watch was too old to go on' : 'the watch said nothing'}`,
  },
  'annotation.invalid': {
    level: 'warn',
    subject: (d) => `${d.lineage} ${d.annotation}`,
    message: (d) => `the annotation ${d.annotation} of ${d.lineage} is taken for absent: ${d.problem}`,
  },
  'metadata.missing': {
    level: 'warn',
    subject: (d) => d.source,
    message: (d) =>
      `${d.lineage} goes out with what its path tells, marked metadata=path: its pod was not known after ${seconds(d.waitedMs)}`,
  },
  'deadLetters.evicted': {
    level: 'error',
    subject: (d) => d.sink,
    message: (d) =>
      `the dead letters of sink ${d.sink} are full: the oldest ${d.records}, in ${d.path}, were thrown away and are dropped now`,
  },
  'records.dropped': {
    level: 'error',
    subject: (d) => `${d.sink} ${d.reason}`,
    message: (d) =>
      `sink ${d.sink} refused ${d.records} records (${d.bytes} bytes) of lane ${d.lane}, and no dead letters can be written: they are dropped: ${d.reason}: ${d.message}`,
  },
  'config.reloaded': {
    level: 'info',
    subject: null,
    message: (d) => `the configuration ${d.path} was loaded again`,
  },
  'config.rejected': {
    level: 'error',
    subject: null,
    message: (d) => `the configuration ${d.path} was not taken, the one before stays: ${d.errors.join('; ')}`,
  },
  'agent.started': {
    level: 'info',
    subject: null,
    message: (d) => `taffrail ${d.version} started on node ${d.node}: ${d.sources} sources, ${d.sinks} sinks`,
  },
  'agent.stopping': { level: 'info', subject: null, message: (d) => `stopping: ${d.reason}` },
  'agent.stopped': {
    level: 'info',
    subject: null,
    message: (d) => {
      const left = d.left.map(({ sink, bytes, files }) => `${bytes} bytes in ${files} logs for sink ${sink}`)
      if (d.drained) return 'stopped, everything is delivered'
      return `stopped; left for the next start: ${left.join(', ') || 'what was not looked at yet'}`
    },
  },
  'hints.failed': {
    level: 'warn',
    subject: (d) => d.path,
    message: (d) => `changes in ${d.path} are not notified, only found by rescans: ${errorMessage(d.error)}`,
  },
}

/** Counters at zero, with every event in place: a series that starts at 0 shows its first increase. */
export function createCounters(): EventCounters {
  const events = Object.fromEntries(Object.keys(table).map((name) => [name, 0]))
  return {
    events: events as Record<EventName, number>,
    markedLines: new Map(),
    redactedLines: new Map(),
    auditGaps: new Map(),
    lateRecords: new Map(),
  }
}

/**
 * The real `Events`. A line has `event`, the detail's own fields (an error as `code` and `error`), `suppressed` and
 * `latestAt` when it was held back and stands for others, and a sentence in `msg`.
 *
 * @returns with `close`, which writes what is still held back; call it last, before the process ends.
 */
export function createEvents(log: Log, counters: EventCounters, clock: Clock): Events & { close(): void } {
  const lines = throttle(clock)
  return {
    emit(name, detail) {
      const entry = table[name]
      counters.events[name]++
      entry.count?.(counters, detail)
      if (!log.isLevelEnabled(entry.level)) return
      const at = clock.now()
      const write = (suppressed: number) => {
        const held = suppressed === 0 ? {} : { suppressed, latestAt: new Date(at).toISOString() }
        log[entry.level]({ event: name, ...fields(detail), ...held }, cut(entry.message(detail)))
      }
      if (entry.subject === null) write(0)
      else lines.say(name, entry.subject(detail), write)
    },
    close: lines.close,
  }
}

function fields(detail: object): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(detail)) {
    if (key !== 'error') result[key] = typeof value === 'string' ? cut(value) : value
    else {
      result.code = errorCode(value)
      result.error = cut(errorMessage(value))
    }
  }
  return result
}

function cut(text: string): string {
  return text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}…`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function add(totals: Map<string, number>, key: string, value: number): void {
  totals.set(key, (totals.get(key) ?? 0) + value)
}
