// Whether an API server's audit log hangs together: what should be in it and is not. One object an API server, so one a
// lineage of files. Three things are found, from what the events say, each as sure as it is:
//
// hole       A rotated file's name says when it was renamed (to the millisecond, by the API server's clock), which it does
//            for the write that comes next; so the first event behind it is of that instant. A later one means that there
//            was a file in between: likely. Also, where the file that was read last is gone when taffrail starts again, the
//            first event of what is left is compared with the usual pause: likely, or possible while nothing is usual.
// silence    No event for ten times the usual longest pause (beat.ts), and for five minutes. Where it is seen as it happens,
//            at the end of the live file, it is told at once: likely where the beat is steady, else possible. Where it is
//            found between two events that were read later, the clock may have been set: possible.
// unended    A request that began and has no end (requests.ts): likely for a watch, which the API server itself ends, and
//            possible for a session, which lasts as long as somebody sits there.
//
// No finding rests on our own clock but that of a silence that goes on, and that one counts only the time for which looks
// at the file bear witness. What is found waits in `take` until all that was read is acknowledged; then its record is
// decided like that of any hole (tail/gap.ts), together with the state here, so that it is told once, also after a kill.
// Everything is measured against the newest event, so what is read twice says nothing twice. Cost: for most events two
// comparisons and one look into a table.
import type { ContinuityStatus } from '../../core/status.ts'
import type { EventFacts } from '../event.ts'
import { SECONDS } from '../found.ts'
import { Beat } from './beat.ts'
import { type Finding, hole, silence, unended } from './finding.ts'
import { OpenRequests, type SavedOpen } from './requests.ts'

/** A file as far as it matters here. */
export interface LogFile {
  readonly order: { readonly rank?: string }
}

export interface ContinuityState {
  beat: number[]
  /** The present pause was told. */
  told?: true
  open?: SavedOpen[]
}

/** The event that makes a file be rotated is the first of the next one: a millisecond apart in logs of a real one. */
const ROTATION_SECONDS = 1
/** Behind a file that is gone: a pause up to this is none; while nothing is usual, up to that. */
const GONE_SECONDS_MIN = 10
const GONE_SECONDS_UNKNOWN = 60
/** Between two looks nobody saw that nothing came; so much of it is believed. */
const LOOK_MS_MAX = 60_000
/** By so much more than what has passed for us a pause must be longer, to be the work of a clock. */
const CLOCK_MS = 60_000
const LUMBERJACK = /^d(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/

export class Continuity {
  readonly #monotonic: () => number
  readonly #isSpool: boolean
  readonly #beat = new Beat()
  readonly #requests = new OpenRequests()
  #file: LogFile | null = null
  #findings: Finding[] = []
  /** The pause that is under way was told, or is that of a hole that was. */
  #isTold = false
  /** Nothing has come since `newest`, and that was told while it lasted. */
  #isSilent = false
  /** The file that was read last is gone, and nothing of it is known to be lost. */
  #isGone = false
  // Looks: how far the log reached (place in it, monotonic ms) when that was first seen, for a look that is read up to and for
  // the last one of which that is known; and for how long nothing came.
  #markEnd = Number.NaN
  #markAt = Number.NaN
  #readEnd = Number.NaN
  #readAt = Number.NaN
  #lastEnd = Number.NaN
  #lookedAt = Number.NaN
  #quietMs = 0

  /**
   * `isSpool`: a webhook's segments, which are named and deleted by our own clock and needs, so no hole is found between them; and what
   * is missing there may have gone to another replica.
   */
  constructor(monotonic: () => number, saved?: ContinuityState, isSpool = false) {
    this.#monotonic = monotonic
    this.#isSpool = isSpool
    if (saved === undefined) return
    if (Array.isArray(saved.beat)) this.#beat.load(saved.beat)
    if (Array.isArray(saved.open)) this.#requests.load(saved.open)
    this.#isTold = saved.told === true
    this.#isSilent = this.#isTold
  }

  /** Takes an event, in the order of the log. `isKept` false: the policy leaves it out. */
  note(facts: EventFacts, file: LogFile | null, isKept: boolean): void {
    if (!facts.hasTime) return
    const beat = this.#beat
    const { seconds } = facts
    if (file !== this.#file || this.#isGone) this.#enter(file, seconds + facts.nanos / 1e9)
    if (seconds !== beat.newest) {
      const { newest, usual, stillSeconds } = beat
      const pause = beat.note(seconds)
      if (pause > 0) this.#judge(newest, pause, usual, stillSeconds)
    }
    this.#requests.note(facts, beat.active, isKept)
  }

  /** Whether `note` would have nothing to do for an event that was found with others, a row of `found` that begins at `at`. */
  isSilentAbout(file: object, b: Buffer, found: Int32Array, at: number): boolean {
    if (file !== this.#file || this.#isGone || found[at + SECONDS] !== this.#beat.newest) return false
    return this.#requests.isNone(b, found, at)
  }

  /**
   * Seconds of the newest event; an event of `file` that is no newer, and not so much older that the clock may have been set
   * back, says nothing by its time. Null: the next event says something, whatever it is.
   */
  newestIn(file: object): number | null {
    return file !== this.#file || this.#isGone || this.#beat.newest < 0 ? null : this.#beat.newest
  }

  /** By slot of an id, whether a request is open whose end an event may be (OpenRequests.tags). */
  get openTags(): Uint8Array {
    return this.#requests.tags
  }

  /**
   * A look at the log: it ends at `end` and is read to `read` (places in it that only grow). Null for `end`: there is no
   * live file, or what there is is not known now.
   */
  look(end: number | null, read: number): void {
    const now = this.#monotonic()
    const sinceMs = Math.min(now - this.#lookedAt, LOOK_MS_MAX)
    this.#lookedAt = now
    if (end === null || end !== read || end !== this.#lastEnd) this.#quietMs = 0
    else this.#quietMs += sinceMs
    this.#lastEnd = end ?? Number.NaN
    if (end === null) return
    if (read >= this.#markEnd) {
      this.#readEnd = this.#markEnd
      this.#readAt = this.#markAt
    }
    if (!(read < this.#markEnd) && end !== this.#readEnd) {
      this.#markEnd = end
      this.#markAt = now
    }
    const { stillSeconds, newest, usual, isSteady } = this.#beat
    if (this.#isTold || stillSeconds === null || usual === null || this.#quietMs < stillSeconds * 1000) return
    this.#isTold = true
    this.#isSilent = true
    this.#findings.push(silence(isSteady ? 'likely' : 'possible', newest, null, usual))
  }

  /** Reading goes on in this file. */
  goOnIn(file: LogFile): void {
    this.#file = file
  }

  /** A hole of the log is told by somebody else: what is missing behind it is not told once more. */
  noteHole(): void {
    this.#isTold = true
    this.#isGone = false
    this.#requests.clear()
  }

  /** The file that was read last is gone, and all that was seen of it was read. */
  noteGone(): void {
    this.#isGone = true
  }

  get hasFindings(): boolean {
    return this.#findings.length > 0 || this.#requests.hasDue(this.#beat.active)
  }

  /** What was found since the last time; each is told once. */
  take(): Finding[] {
    const { likely, possible } = this.#requests.due(this.#beat.active)
    const findings = this.#findings
    if (likely.length > 0) findings.push(unended('likely', likely))
    if (possible.length > 0) findings.push(unended('possible', possible))
    this.#findings = []
    if (!this.#isSpool) return findings
    return findings.map(({ kind, text }) => ({
      kind,
      confidence: 'possible',
      text: `${text}; or another replica has it`,
    }))
  }

  /** What the next process goes on with. */
  save(): ContinuityState {
    const open = this.#requests.save()
    return {
      beat: this.#beat.save(),
      ...(this.#isTold && { told: true as const }),
      ...(open.length > 0 && { open }),
    }
  }

  status(): ContinuityStatus {
    const { usual, stillSeconds, newest } = this.#beat
    return {
      openRequests: this.#requests.size,
      untrackedRequests: this.#requests.untracked,
      usualPauseSeconds: usual,
      silenceSeconds: stillSeconds,
      newestEventSeconds: newest < 0 ? null : newest,
      isSilent: this.#isSilent,
    }
  }

  /** The first event of another file. */
  #enter(file: LogFile | null, seconds: number): void {
    const before = this.#file
    const isGone = this.#isGone
    const { newest, usual } = this.#beat
    this.#file = file
    this.#isGone = false
    if (newest < 0 || this.#isSpool) return
    if (isGone) {
      const pauseMax = usual === null ? GONE_SECONDS_UNKNOWN : Math.max(GONE_SECONDS_MIN, 2 * usual)
      if (seconds - newest <= pauseMax) return
      const why = 'the file that was read last is gone, and what is left begins later'
      this.#tellHole(hole(usual === null ? 'possible' : 'likely', newest, seconds, why))
      return
    }
    const rotated = before === null ? null : rotatedAt(before.order.rank ?? '')
    if (rotated === null || this.#isTold) return
    // An older file may turn up late: what follows it comes after the newest, too.
    const from = Math.max(rotated, newest)
    if (seconds - from <= ROTATION_SECONDS) return
    const why = 'the file before was rotated then, and the next one begins later: there was another one in between'
    this.#tellHole(hole('likely', from, seconds, why))
  }

  #tellHole(finding: Finding): void {
    this.#findings.push(finding)
    this.noteHole()
  }

  /** A pause that began at `before` has ended; what was usual until then, and from when on it is a silence. */
  #judge(before: number, pause: number, usual: number | null, stillSeconds: number | null): void {
    const wasTold = this.#isTold
    this.#isTold = false
    this.#isSilent = false
    if (wasTold || usual === null || stillSeconds === null || pause <= stillSeconds) return
    // Both were written after the look up to which the log was read by then: so less time has passed than they say.
    if (this.#monotonic() - this.#readAt + CLOCK_MS < pause * 1000) return
    this.#findings.push(silence('possible', before, before + pause, usual))
  }
}

/** Seconds since the epoch at which a file was renamed, as its name says; null where it does not. */
function rotatedAt(rank: string): number | null {
  const match = LUMBERJACK.exec(rank)
  return match === null ? null : Date.parse(`${match[1]}T${match[2]}:${match[3]}:${match[4]}Z`) / 1000
}
