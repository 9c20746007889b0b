// What is wrong with a world, and how often: drawn from its seed before anything else happens, and printed with every
// failure. As in swarm testing, each world has some kinds of faults and not others: kinds that are always together hide
// each other.
import type { Draw } from './draw.ts'

/** Each kind and what it does, for `--trace` and for whoever reads a failure. */
export const FAULT_KINDS = {
  // What the node does to its files.
  rotation: 'files are renamed, and written to for some milliseconds more',
  fastRotation: 'a rotation every 100 ms or so',
  compression: 'rotated files are compressed while they may be being read',
  cutGzip: 'a compressed file ends too early',
  deletion: 'the oldest files go, read or not',
  restart: 'containers die, some within a line, and go on as N+1.log',
  podReplaced: 'pods go and come again under the same name',
  lateDirectory: 'links come before the directory that they lead to',
  swingingLink: 'links lead to another container for a while',
  copytruncate: 'files are copied, then cut to nothing',
  truncation: 'files are cut to nothing without a copy',
  inodeReuse: 'a freed inode number is the next one given',
  pieces: 'long lines come in pieces, those of two source streams mixed, over rotations too',
  tornWrites: 'half a row is there before the other half',
  longLines: 'lines over lineBytesMax',
  equalTimes: 'all lines of a burst have one timestamp',
  equalHeads: 'every file of a log begins with the same long line',
  // What the file system does to the agent.
  shortReads: 'reads return less than there is',
  readErrors: 'EIO',
  noDescriptors: 'EMFILE',
  interleaving: 'the node acts between two system calls of the agent',
  // What the disk of the state directory does.
  fullDisk: 'ENOSPC under checkpoints and dead letters',
  badDisk: 'EIO under checkpoints and dead letters, failed syncs',
  slowDisk: 'a sync takes seconds',
  powerCut: 'what was not synced is lost or torn',
  // What the sink does.
  tooMany: '429, with and without Retry-After',
  serverErrors: '500, 502, 503, 504, of which some had stored all or a part',
  tooLarge: '413 above a size',
  refusals: '400 for lines that are too long, and storage of the rest',
  behind: 'a stream takes nothing that is minutes behind',
  streamLimits: 'limits per stream and on their number, hidden behind a 204 to several',
  refused: 'connections refused',
  reset: 'connections reset before or after the push was stored',
  lostAnswer: 'no answer until the timeout, though all was stored',
  cutAnswer: 'answers cut at any byte',
  slowSink: 'answers take seconds, and come to a dead process',
  outage: 'nothing answers, for minutes up to an hour',
  poison: 'a record that is answered with 500 for ever',
  // What happens to the process.
  kill: 'killed at any step and started again',
  stop: 'stopped in good order and started again',
  clockBack: 'the wall clock steps backward',
  clockForward: 'the wall clock steps forward',
  stall: 'the event loop stands still for seconds',
  // What an Elasticsearch does besides.
  garbledAnswer: 'answers about too few records, too many, or in another order',
  blocked: 'an index is blocked, closed, gone or without its primary for a while',
  rollover: 'the data stream goes on with another index',
} as const

export type FaultKind = keyof typeof FAULT_KINDS

export type SinkKind = 'loki' | 'elasticsearch'

export interface Faults {
  /** Each is delivered to by itself. */
  sinks: readonly SinkKind[]
  on: ReadonlySet<FaultKind>
  /** Virtual milliseconds until the faults stop. */
  durationMs: number
  containers: number
  files: number
  /** Milliseconds between two bursts of lines of one log, and lines a burst, at most. */
  burstMsMax: number
  burstLinesMax: number
  rotationMs: number
  /** Files of a container, the live one included. */
  filesMax: number
  /** Of calls or requests, while it storms. */
  rate: number
  /** Of all calls: the node acts in between. */
  interleaving: number
  lineBytesMax: number
  batchBytesMax: number
  batchAgeMs: number
  concurrency: number
  requestTimeoutMs: number
  outageMs: number
}

/** Of a whole world, about. */
const LINES_MAX = 3000

/** Drawn from a stream of their own, so that what the others draw stays. */
const ELASTIC_KINDS: readonly FaultKind[] = ['garbledAnswer', 'blocked', 'rollover']
const SINKS: readonly (readonly SinkKind[])[] = [['loki'], ['loki'], ['elasticsearch'], ['loki', 'elasticsearch']]

/** What a drawn world is made to be. */
export interface WorldLimits {
  /** Kinds of faults that are taken out of it. */
  without?: readonly string[]
  /** Kinds that it has in any case. */
  always?: readonly string[]
  /** Instead of those that it draws. */
  sinks?: readonly SinkKind[]
}

/** Draws a world. */
export function drawFaults(draw: Draw, limits: WorldLimits = {}): Faults {
  const { without = [], always = [], sinks = draw.of('sinks').pick(SINKS) } = limits
  const share = draw.pick([0.1, 0.2, 0.3])
  const elasticDraw = draw.of('elastic')
  const isDrawn = (kind: FaultKind) => (ELASTIC_KINDS.includes(kind) ? elasticDraw : draw).chance(share)
  const on = new Set((Object.keys(FAULT_KINDS) as FaultKind[]).filter(isDrawn))
  if (draw.chance(0.7)) on.add('rotation')
  for (const kind of without) on.delete(kind as FaultKind)
  for (const kind of always) on.add(kind as FaultKind)
  // Files that begin alike are told apart by the bytes before a place, which is not looked at in compressed ones, and may lie
  // behind the end of a copy.
  if (on.has('compression') || on.has('copytruncate')) on.delete('equalHeads')
  const outageMs = draw.scale(20_000, draw.chance(0.1) ? 3_600_000 : 180_000)
  const durationMs = draw.scale(8000, 60_000) + (on.has('outage') ? outageMs : 0)
  const containers = draw.int(1, draw.chance(0.1) ? 6 : 3)
  const files = draw.int(0, 2)
  const burstLinesMax = draw.scale(2, 40)
  // No more lines than it takes: a world is to cost a fraction of a second.
  const burstMsMin = (2 * (containers + files) * durationMs * burstLinesMax) / LINES_MAX
  const lineBytesMax = draw.scale(2048, 16_384)
  return {
    sinks,
    on,
    durationMs,
    containers,
    files,
    burstMsMax: Math.ceil(Math.max(burstMsMin, draw.scale(200, 8000))),
    burstLinesMax,
    rotationMs: on.has('fastRotation') ? draw.int(60, 200) : draw.scale(1000, 30_000),
    filesMax: draw.int(3, 6),
    rate: draw.pick([0.02, 0.1, 0.3]),
    interleaving: on.has('interleaving') ? draw.pick([0.001, 0.01, 0.05]) : 0,
    lineBytesMax,
    batchBytesMax: draw.scale(4096, 65_536),
    batchAgeMs: draw.scale(50, 2000),
    concurrency: draw.int(1, 4),
    requestTimeoutMs: draw.scale(1000, 30_000),
    outageMs,
  }
}

/** The world in a few lines. */
export function describeFaults({ sinks, on, ...sizes }: Faults): string {
  const kinds = [...on].join(' ') || 'none'
  const numbers = Object.entries(sizes).map(([name, value]) => `${name} ${value}`)
  return `  to ${sinks.join(' and ')}; faults: ${kinds}\n  ${numbers.join(', ')}`
}
