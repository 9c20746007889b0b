// What `taffrail check --connect` says of each source's files: whether there are any, and whether they can be opened as the
// agent opens them. Nothing is read of them. Of each log the last file stands for all.
import type { Config } from '../config/config.ts'
import { errorMessage } from '../core/errors.ts'
import type { AgentEvents, Events } from '../core/events.ts'
import { Directories } from '../discover/directory.ts'
import { type Discovered, type Discovery, discoveriesFor } from '../discover/discover.ts'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import { openGuarded } from '../tail/guard.ts'
import type { Finding } from './connect-sinks.ts'

/** One finding for each source of files, and one for each place that cannot be listed. Throws nothing. */
export function* trySources(config: Config, fs: ReadFileSystem, clock: Clock): Generator<Finding> {
  let failures: Finding[] = []
  const events: Events = {
    emit(name, detail) {
      if (name !== 'file.error') return
      const { source, path, operation, error } = detail as AgentEvents['file.error']
      failures.push({ works: false, text: `source ${source}: ${path}: ${operation}: ${errorMessage(error)}` })
    },
  }
  const sources = config.sources.filter((source) => source.type !== 'auditWebhook')
  for (const discovery of discoveriesFor(sources, fs, new Directories(fs, clock), events)) {
    failures = []
    const found = [...discovery.scan().values()]
    yield* failures
    if (found.length > 0 || failures.length === 0) yield tryFiles(discovery, found, fs)
  }
}

function tryFiles({ source: { name, paths } }: Discovery, found: readonly Discovered[], fs: ReadFileSystem): Finding {
  const where = `source ${name}: ${paths.join(', ')}`
  if (found.length === 0)
    return { works: true, isDoubtful: true, text: `${where}: no file matches; it would be looked for` }
  const faults = found.map((each) => faultOf(each, fs)).filter((fault) => fault !== null)
  const logs = `${found.length} ${found.length === 1 ? 'log' : 'logs'}`
  if (faults.length === 0) return { works: true, text: `${where}: ${logs}, can be opened` }
  return { works: false, text: `${where}: ${faults.length} of ${logs} cannot be opened: ${faults[0]}` }
}

/** Why a log's last file cannot be opened; null: it can, or has just gone. */
function faultOf({ info, listing: newListing, roots }: Discovered, fs: ReadFileSystem): string | null {
  const listing = newListing()
  try {
    listing.version()
  } catch (error) {
    return `${info.path}: readdir: ${errorMessage(error)}`
  }
  const last = listing.candidates().at(-1)
  if (last === undefined) return null
  const opened = openGuarded(fs, last.path, roots)
  if (opened.kind === 'refused') return `${last.path}: ${opened.reason}`
  if (opened.kind === 'failed') return `${last.path}: ${opened.operation}: ${errorMessage(opened.error)}`
  if (opened.kind === 'opened') fs.close(opened.fd)
  return null
}
