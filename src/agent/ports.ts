// What the agent is given: the world outside of it (files, clock, network, state), and how it is run.
import type { Listen, ReadTls } from '../audit/webhook/webhook.ts'
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import type { Config } from '../config/config.ts'
import type { Events } from '../core/events.ts'
import type { DeadLetters } from '../deliver/dead-letter.ts'
import type { ApiAccess } from '../enrich/api-server.ts'
import type { Clock } from '../ports/clock.ts'
import type { CpuTime } from '../ports/cpu.ts'
import type { FileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import type { WatchDirectories, WatchFile } from '../ports/hints.ts'
import type { HttpClientFactory } from '../ports/http.ts'
import type { Output } from '../ports/output.ts'
import type { Random } from '../ports/random.ts'

/** Everything that the agent does not make itself. */
export interface AgentPorts {
  fs: FileSystem
  clock: Clock
  random: Random
  gunzip: Gunzip
  createHttpClient: HttpClientFactory
  watchDirectories: WatchDirectories
  /** Left out: quiet files are looked at now and then like the others. */
  watchFile?: WatchFile
  output: Output
  /** How many more files the process may open; left out: as many as it wants. */
  descriptors?: number
  /** Left out: no allowance is kept to. */
  cpuTime?: CpuTime
  events: Events
  checkpoints: CheckpointStore
  deadLetters: DeadLetters
  /** How the API server is reached; null: not at all. Left out: the same. Throws a TaffrailError for what cannot be used. */
  apiAccess?: (kubernetes: Config['kubernetes']) => ApiAccess | null
  /** How audit webhooks listen; left out: there is none. */
  webhooks?: { listen: Listen; readTls: ReadTls }
  /** Reads policies and keys of redaction; left out: the real one. */
  readFile?: (path: string) => Buffer
}

export interface AgentOptions {
  version: string
  /** Read all there is to the end, take every file as finished, deliver, and be done. */
  once: boolean
}
