// A source on the machine's file system: discovery, a lineage and a sink for everything that it finds, driven by hand.
import { mkdirSync, realpathSync } from 'node:fs'
import type { Test } from 'tap'
import type { FileSourceConfig } from '../../src/config/config.ts'
import type { AgentEvents, EventName, Events } from '../../src/core/events.ts'
import type { LineageInfo } from '../../src/core/lineage-info.ts'
import { Directories } from '../../src/discover/directory.ts'
import { Discovery } from '../../src/discover/discover.ts'
import { realGunzip } from '../../src/ports/gunzip.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { Lineage } from '../../src/tail/lineage.ts'
import { RigClock, RigSink, type SinkOptions } from './tail-rig.ts'
import { WatchedReads } from './watched-reads.ts'

type Emitted = { [Name in EventName]: { name: Name; detail: AgentEvents[Name] } }[EventName]

export interface Found {
  info: LineageInfo
  lineage: Lineage
  sink: RigSink
}

export class SourceRig {
  readonly root: string
  readonly clock = new RigClock()
  readonly fs = new WatchedReads(realFileSystem.reads)
  readonly counters = { rotations: 0, truncations: 0, filesRefused: 0, fileErrors: 0 }
  readonly emitted: Emitted[] = []
  readonly events: Events = { emit: (name, detail) => void this.emitted.push({ name, detail } as Emitted) }
  readonly discovery: Discovery
  readonly found = new Map<string, Found>()
  readonly #format: NonNullable<SinkOptions['format']>

  /** `paths`, `exclude` and `roots` are taken to be below the test's directory. */
  constructor(
    t: Test,
    { paths, exclude = [], roots = null, type }: Pick<FileSourceConfig, 'type' | 'paths'> & Partial<FileSourceConfig>,
  ) {
    this.root = realpathSync(t.testdir())
    const below = (path: string) => `${this.root}/${path}`
    const common = { name: 'src', startAt: 'beginning', startAgeMax: null } as const
    const places = { paths: paths.map(below), exclude: exclude.map(below), roots: roots?.map(below) ?? null }
    const source = { ...common, ...places, type } as FileSourceConfig
    this.discovery = new Discovery(source, this.fs, new Directories(this.fs, this.clock), this.events)
    this.#format = type === 'containers' ? 'container' : 'plain'
    t.teardown(() => this.close())
  }

  /** Makes a directory and those above it. */
  mkdir(path: string): string {
    mkdirSync(`${this.root}/${path}`, { recursive: true })
    return `${this.root}/${path}`
  }

  /** Scans, and opens what is new, as the agent does. */
  scan(): void {
    const { fs, clock, events, counters } = this
    for (const [key, { info, roots, listing: newListing }] of this.discovery.scan()) {
      if (this.found.has(key)) continue
      const listing = newListing()
      try {
        listing.version()
      } catch {
        continue
      }
      if (listing.candidates().length === 0) continue
      const lineage = new Lineage(info, listing, roots, { fs, clock, gunzip: realGunzip, events, counters })
      const sink = new RigSink({ fs, clock, events, lineage }, { format: this.#format })
      this.found.set(key, { info, lineage, sink })
    }
  }

  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.clock.monotonicMs += 100
      this.scan()
      for (const { lineage, sink } of this.found.values()) {
        lineage.look()
        await sink.drain()
      }
    }
  }

  /** What was delivered, by lineage key without the source's name and the root. */
  get texts(): Record<string, string[]> {
    const all = [...this.found].map(([key, { sink }]) => [key.slice(4).replace(this.root, ''), sink.texts] as const)
    return Object.fromEntries(all)
  }

  /** Paths below the root that were refused, with the reasons. */
  get refused(): Record<string, string> {
    const all = this.told('file.refused').map(({ path, reason }) => [path.replace(`${this.root}/`, ''), reason])
    return Object.fromEntries(all)
  }

  told<Name extends EventName>(name: Name): AgentEvents[Name][] {
    return this.emitted.filter((each) => each.name === name).map((each) => each.detail as AgentEvents[Name])
  }

  close(): void {
    for (const { lineage, sink } of this.found.values()) {
      sink.check()
      sink.reader.close()
      lineage.close()
    }
    this.found.clear()
    const left = [...this.fs.openFiles.values()]
    if (left.length > 0) throw new Error(`left open: ${left.join(', ')}`)
    if (this.fs.misuses.length > 0) throw new Error(this.fs.misuses[0])
  }
}
