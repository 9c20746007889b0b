// `taffrail audit`: what was asked of an API server, read from its audit log by a person. It changes nothing and sends nothing.
import { randomBytes } from 'node:crypto'
import { maskWith } from '../audit/redact/mask.ts'
import { type Earlier, requestText, STAGES_MAX, type Stage, stateAfter } from '../audit/view/detail.ts'
import { Log, type LogDeps, readStream } from '../audit/view/files.ts'
import { Filters, type FilterTexts, NO_FILTERS } from '../audit/view/filters.ts'
import { Requests } from '../audit/view/requests.ts'
import { isChange, isDenied, type Row } from '../audit/view/row.ts'
import { Scan } from '../audit/view/scan.ts'
import { Summary } from '../audit/view/summary.ts'
import { Table } from '../audit/view/table.ts'
import { visible, visibleJson } from '../audit/view/text.ts'
import { errorCode } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import type { Output } from '../ports/output.ts'
import { type AuditOptions, parseAuditOptions, USAGE } from './audit-options.ts'

const POLL_MS = 250
/** Followed, a request that has begun and goes on is told after so long. */
const STARTED_TOLD_MS = 1000
/** What was found is shown after so long, wherever reading is. */
const SHOWN_MS = 500
const OUTPUT_BYTES = 64 * 1024

export interface AuditIo {
  output: Output
  stderr: (text: string) => void
  stdin: AsyncIterable<Buffer>
  isInputTerminal: boolean
  isOutputTerminal: boolean
  env: Record<string, string | undefined>
  fs: ReadFileSystem
  gunzip: Gunzip
  clock: Clock
  openStream: (path: string) => AsyncIterable<Buffer>
  /** Made when following begins: aborted when the command is told to end. */
  untilStopped: () => AbortSignal
}

/** Runs the command with `args` (what follows `audit`). Gives the exit code; a reader that is gone ends it with 0. */
export async function audit(args: string[], io: AuditIo): Promise<number> {
  const options = parseAuditOptions(args, io.clock.now())
  if ('help' in options) {
    await io.output.write(Buffer.from(USAGE))
    return 0
  }
  if ('problem' in options || (options.files.length === 0 && io.isInputTerminal)) {
    const problem = 'problem' in options ? options.problem : 'no log is named'
    // All of the usage would push it off the screen.
    io.stderr(`taffrail audit: ${problem}\ntaffrail audit --help tells what there is\n`)
    return 2
  }
  try {
    return await new Command(options, io).run()
  } catch (error) {
    if (errorCode(error) === 'EPIPE') return 0 // head has seen enough
    throw error
  }
}

class Command {
  readonly #options: AuditOptions
  readonly #io: AuditIo
  #text = ''
  #hasFailed = false

  constructor(options: AuditOptions, io: AuditIo) {
    this.#options = options
    this.#io = io
  }

  async run(): Promise<number> {
    if (this.#options.filters.id === null) await this.#list()
    else await this.#show(this.#options.filters.id)
    await this.#flush(0)
    return this.#hasFailed ? 1 : 0
  }

  get #hasColor(): boolean {
    const { color } = this.#options
    const { env, isOutputTerminal } = this.#io
    if (color !== 'auto') return color === 'always'
    return isOutputTerminal && !env.NO_COLOR && env.TERM !== 'dumb'
  }

  /** Rows, events or a summary. */
  async #list(): Promise<void> {
    const { output, only, filters, isFollowed } = this.#options
    const summary = this.#options.summary === null ? null : new Summary(this.#options.summary)
    const table = new Table(output === 'wide', this.#hasColor)
    const withBodies = output === 'json' && summary === null
    let found = 0
    const now = () => this.#io.clock.monotonic()
    const requests = new Requests(new Filters(filters), maskWith(null), withBodies, now, (row, event) => {
      if (!isWanted(row, only)) return
      found++
      if (summary !== null) summary.add(row)
      else this.#text += output === 'json' ? `${visibleJson(event)}\n` : table.add(row)
    })
    const scan = new Scan(new Filters(filters).needles, requests.onEvent)
    let shownAt = now()
    const logs = await this.#read(scan, async () => {
      if (now() - shownAt < SHOWN_MS) return this.#flush(OUTPUT_BYTES)
      shownAt = now()
      this.#text += table.flush()
      return this.#flush(0)
    })
    if (isFollowed) {
      const signal = this.#io.untilStopped()
      while (!signal.aborted) {
        requests.tellStarted(now() - STARTED_TOLD_MS)
        this.#text += table.flush()
        await this.#flush(0)
        await this.#io.clock.sleep(POLL_MS, signal)
        for (const log of logs) await log.poll()
      }
      for (const log of logs) log.close()
    }
    requests.tellStarted()
    if (summary !== null) this.#text += output === 'json' ? summary.json() : summary.table(this.#hasColor)
    this.#text += table.flush()
    this.#tellForeign(scan)
    // Nobody did it, or what was asked is not what was meant: without a word the two look alike.
    if (found === 0 && summary === null && !isFollowed) this.#io.stderr('taffrail audit: no request matches\n')
  }

  /** One request in full. */
  async #show(id: string): Promise<void> {
    const { filters, output } = this.#options
    const stages: Stage[] = []
    let more = 0
    // Equal secrets get equal words, so that a change of one shows; other runs get others.
    const mask = maskWith(randomBytes(32))
    const scan = await this.#search(filters, mask, (stage) => {
      if (output === 'json') this.#text += `${visibleJson(stage.event)}\n`
      else if (stages.length < STAGES_MAX) stages.push(stage)
      else more++
    })
    if (output !== 'json') {
      for (const of of Map.groupBy(stages, ({ row }) => row.request).values()) {
        const earlier = await this.#earlier(of.at(-1)!, mask)
        this.#text += `${this.#text === '' ? '' : '\n'}${requestText(of, earlier)}`
      }
      if (stages.length === 0) {
        this.#hasFailed = true
        this.#io.stderr(`taffrail audit: no event has the id ${visible(id)}\n`)
      }
      if (more > 0) this.#io.stderr(`taffrail audit: ${more} more events have this id, which clients may choose\n`)
    }
    this.#tellForeign(scan)
  }

  /** The last state of the object that the logs tell before the event; null where they tell none. */
  async #earlier({ row }: Stage, mask: ReturnType<typeof maskWith>): Promise<Earlier | null> {
    const { resource, subresource, namespace, name, apiGroup, timeMicros } = row
    const isWrite = /^(?:update|patch|delete)$/.test(row.verb) && subresource === ''
    // Standard input is gone.
    if (!isWrite || name === '' || /[*?!,]/.test(name) || this.#isStandardInput) return null
    let earlier: Earlier | null = null
    const before: FilterTexts = {
      ...NO_FILTERS,
      resource: [apiGroup === '' ? resource : `${resource}.${apiGroup}`],
      namespace: namespace === '' ? [] : [namespace],
      name: [name],
      code: ['2xx'],
      stage: ['ResponseComplete'],
      untilMs: timeMicros / 1000,
    }
    const reported = this.#hasFailed
    await this.#search(before, mask, (stage) => {
      if (stage.row.request === row.request || stage.row.timeMicros < (earlier?.row.timeMicros ?? 0)) return
      const body = stateAfter(stage)
      if (body !== undefined) earlier = { row: stage.row, body }
    })
    this.#hasFailed = reported
    return earlier
  }

  /** Goes through all files for events with their bodies. */
  async #search(
    filters: FilterTexts,
    mask: ReturnType<typeof maskWith>,
    onStage: (stage: Stage) => void,
  ): Promise<Scan> {
    const wanted = new Filters(filters)
    const now = () => this.#io.clock.monotonic()
    const requests = new Requests(wanted, mask, true, now, (row, event) => onStage({ row, event }))
    const scan = new Scan(wanted.needles, requests.onEvent)
    await this.#read(scan, () => this.#flush(OUTPUT_BYTES))
    return scan
  }

  get #isStandardInput(): boolean {
    const { files } = this.#options
    return files.length === 0 || files.includes('-')
  }

  async #read(scan: Scan, flush: () => Promise<void>): Promise<Log[]> {
    const { files, isFollowed } = this.#options
    const deps = this.#logDeps(scan, flush)
    const seen = new Set<string>()
    const logs: Log[] = []
    for (const file of files.length === 0 ? ['-'] : files) {
      if (file === '-') {
        await readStream(deps, 'standard input', this.#io.stdin)
        continue
      }
      const log = new Log(deps, file, seen)
      await log.read(isFollowed)
      logs.push(log)
    }
    return logs
  }

  #logDeps(scan: Scan, flush: () => Promise<void>): LogDeps {
    const { fs, gunzip, openStream } = this.#io
    return {
      fs,
      gunzip,
      openStream,
      scan,
      flush,
      problem: (path, message) => {
        this.#hasFailed = true
        this.#io.stderr(`taffrail audit: ${visible(path)}: ${visible(message)}\n`)
      },
    }
  }

  /** Writes what there is to show, if it is more than `least` characters. */
  async #flush(least: number): Promise<void> {
    if (this.#text.length <= least) return
    const text = this.#text
    this.#text = ''
    await this.#io.output.write(Buffer.from(text))
  }

  #tellForeign({ foreign }: Scan): void {
    if (foreign === 0) return
    this.#io.stderr(
      `taffrail audit: ${foreign} ${foreign === 1 ? 'line is no audit event, or is' : 'lines are no audit events, or are'} torn\n`,
    )
  }
}

function isWanted(row: Row, only: AuditOptions['only']): boolean {
  if (only === 'denied') return isDenied(row)
  if (only === 'failed') return row.code >= 400
  return only === null || (isChange(row) && row.code < 400)
}
