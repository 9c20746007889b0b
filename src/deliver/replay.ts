// Sends dead letters again, file by file, through the sinks that refused them. A file is taken by renaming it, which an
// agent that runs on the same directory notices before it confirms another letter in it (dead-letters.ts); so both may
// work at the same time. What is acknowledged is removed, the rest is put back, with its new reason where it was refused
// again. Killed at any moment, the file is there, as it was or with less in it: letters are sent
// twice at most, and the repeat is the same entry. Bound: one file in memory. The caller holds a lock against other replays.
import { errorCode } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { WriteFileSystem } from '../ports/fs.ts'
import { type DeadLetter, lineOf } from './dead-letter.ts'
import { encodeLetters, type LetterFileName, letterFileName, parseLetterFile, readLetters } from './letter-file.ts'

/** What one attempt at letters of one stream came to. `refused`: by index, why; the others are stored. */
export type Resent =
  | { kind: 'done'; refused: ReadonlyMap<number, Pick<DeadLetter, 'at' | 'reason' | 'message' | 'status'>> }
  /** `halted`: no repeat mends it by itself. */
  | { kind: 'again'; delayMs: number; recordsMax?: number; halted: boolean }

/** A sink that can send letters again. `resend` gets letters with equal labels and tenant, oldest first. */
export interface Resender {
  resend(letters: readonly DeadLetter[]): Promise<Resent>
}

export interface ReplayOptions {
  /** The directory with the letters' files. */
  directory: string
  /** By name; letters of others stay. */
  sinks: ReadonlyMap<string, Resender>
  fs: WriteFileSystem
  clock: Clock
  /** Ends it early: what was not sent stays. */
  signal?: AbortSignal
}

/** What became of the letters of one sink. */
export interface ReplayAccount {
  sent: number
  /** Refused again, by reason. */
  refused: Map<string, number>
  unsent: number
  /** Lines that are no letters; they stay where they are. */
  unreadable: number
}

const NEWLINE = Buffer.from('\n')
const ATTEMPTS_MAX = 5
const CHUNK_BYTES_MAX = 512 * 1024
/** Of a record beside its line, about. */
const RECORD_BYTES = 512

/** Sends what can be sent; gives the account by sink. Rejects with the system's error when the directory fails. */
export async function replay(options: ReplayOptions): Promise<Map<string, ReplayAccount>> {
  const accounts = new Map<string, ReplayAccount>()
  const { directory, fs, sinks } = options
  const failed = new Set<Resender>()
  const names = await fs.list(directory)
  // What an earlier one was writing when it was killed.
  for (const name of names) if (name.endsWith('.replay.tmp')) await fs.unlink(`${directory}/${name}`)
  const files = names.map(parseLetterFile).filter((name) => name !== null)
  // What an earlier one had taken comes first: its name is needed.
  files.sort((a, b) => Number(b.taken) - Number(a.taken) || a.number - b.number)
  for (const name of files) {
    const account = accountOf(accounts, name.sink)
    const sink = sinks.get(name.sink)
    if (sink === undefined) await count(options, name, account)
    else await new FileReplay(options, name, sink, account, failed).run()
  }
  return accounts
}

function accountOf(accounts: Map<string, ReplayAccount>, sink: string): ReplayAccount {
  let account = accounts.get(sink)
  if (account === undefined) {
    accounts.set(sink, (account = { sent: 0, refused: new Map(), unsent: 0, unreadable: 0 }))
  }
  return account
}

/** A file that is left as it is. */
async function count({ directory, fs }: ReplayOptions, name: LetterFileName, account: ReplayAccount): Promise<void> {
  const data = await orGone(fs.readFile(`${directory}/${letterFileName(name)}`))
  const { letters, unreadable } = readLetters(data ?? Buffer.alloc(0))
  account.unsent += letters.length
  account.unreadable += unreadable.length
}

class FileReplay {
  readonly #options: ReplayOptions
  readonly #name: LetterFileName
  readonly #sink: Resender
  readonly #account: ReplayAccount
  /** Sinks that failed too often in turn. */
  readonly #failed: Set<Resender>
  readonly #path: string
  readonly #takenPath: string
  readonly #returnedPath: string
  /** What goes back. */
  readonly #kept: DeadLetter[] = []
  #failures = 0

  constructor(
    options: ReplayOptions,
    name: LetterFileName,
    sink: Resender,
    account: ReplayAccount,
    failed: Set<Resender>,
  ) {
    this.#failed = failed
    this.#options = options
    this.#name = name
    this.#sink = sink
    this.#account = account
    const pathOf = (change: Partial<LetterFileName>) => `${options.directory}/${letterFileName({ ...name, ...change })}`
    this.#path = pathOf({})
    this.#takenPath = pathOf({ taken: true })
    this.#returnedPath = pathOf({ taken: false, returned: true })
  }

  async run(): Promise<void> {
    const { fs, directory, signal } = this.#options
    // The sink fails: no more files are taken.
    if (signal?.aborted || this.#failed.has(this.#sink)) return count(this.#options, this.#name, this.#account)
    if (!this.#name.taken) {
      if ((await orGone(fs.rename(this.#path, this.#takenPath).then(() => true))) === null) return
      await fs.syncDirectory(directory)
    }
    const { letters, unreadable } = readLetters(await fs.readFile(this.#takenPath))
    this.#account.unreadable += unreadable.length
    try {
      const streamOf = ({ tenant, labels }: DeadLetter) =>
        JSON.stringify([tenant ?? null, Object.entries(labels).sort()])
      for (const group of Map.groupBy(letters, streamOf).values()) {
        await this.#send(group.sort(byTime))
      }
    } finally {
      await this.#putBack(letters, unreadable)
    }
  }

  async #send(group: readonly DeadLetter[]): Promise<void> {
    const { clock, signal } = this.#options
    let recordsMax = Number.POSITIVE_INFINITY
    let at = 0
    while (at < group.length) {
      if (signal?.aborted || this.#failed.has(this.#sink)) break
      const some = group.slice(at, at + chunkLength(group, at, recordsMax))
      const result = await this.#sink.resend(some)
      if (result.kind === 'done') {
        this.#settle(some, result.refused)
        at += some.length
        recordsMax *= 2
        this.#failures = 0
        continue
      }
      recordsMax = result.recordsMax ?? recordsMax
      if (result.delayMs > 0) this.#failures++
      if (result.halted || this.#failures >= ATTEMPTS_MAX) this.#failed.add(this.#sink)
      else if (result.delayMs > 0) await clock.sleep(result.delayMs, signal)
    }
    this.#kept.push(...group.slice(at))
    this.#account.unsent += group.length - at
  }

  #settle(letters: readonly DeadLetter[], refused: Extract<Resent, { kind: 'done' }>['refused']): void {
    const account = this.#account
    for (const [index, letter] of letters.entries()) {
      const why = refused.get(index)
      if (why === undefined) account.sent++
      else {
        account.refused.set(why.reason, (account.refused.get(why.reason) ?? 0) + 1)
        const { at, reason, message, status } = why
        this.#kept.push({ ...letter, at, reason, message, status })
      }
    }
  }

  /** Leaves of the file what is still to be kept. At each step it is there under one name, whole. */
  async #putBack(letters: readonly DeadLetter[], unreadable: readonly Buffer[]): Promise<void> {
    const { fs, directory } = this.#options
    const kept = this.#kept
    if (kept.length === 0 && unreadable.length === 0) await fs.unlink(this.#takenPath)
    else {
      const isSame = kept.length === letters.length && kept.every((letter) => letters.includes(letter))
      if (!isSame)
        await this.#rewrite(Buffer.concat([encodeLetters(kept), ...unreadable.flatMap((line) => [line, NEWLINE])]))
      await fs.rename(this.#takenPath, this.#returnedPath)
    }
    await fs.syncDirectory(directory)
  }

  async #rewrite(content: Buffer): Promise<void> {
    const { fs, directory } = this.#options
    const temporary = `${this.#takenPath}.tmp`
    const handle = await fs.openAppend(temporary, true)
    try {
      await handle.append(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, this.#takenPath)
    await fs.syncDirectory(directory)
  }
}

function chunkLength(group: readonly DeadLetter[], from: number, recordsMax: number): number {
  let length = 0
  for (let bytes = 0; from + length < group.length && length < recordsMax; length++) {
    const letter = group[from + length] as DeadLetter
    bytes += lineOf(letter).length + (letter.create?.document.length ?? 0) + RECORD_BYTES
    if (length > 0 && bytes > CHUNK_BYTES_MAX) break
  }
  return length
}

function byTime(a: DeadLetter, b: DeadLetter): number {
  const [left, right] = [BigInt(a.timestamp), BigInt(b.timestamp)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** null when the file is not there any more: somebody else has dealt with it. */
async function orGone<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}
