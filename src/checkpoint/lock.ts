// One process per state directory: two that append to one checkpoint log would damage it, and send everything twice.
// The lock is a symbolic link `lock` that leads nowhere and whose target names its owner: PID.START.BOOT, where START is
// the start time from /proc/PID/stat (proc(5), field 22) and BOOT the kernel's boot id. A link is made atomically with
// its content and takes no block of a full disk. A dead owner's lock is taken over: a pid alone means little, since
// the process of a restarted container has the same one, and so START and BOOT must agree.
// Bound: a pid of another pid namespace (another pod) cannot be looked up; such an owner counts as dead and learns from
// `isHeld` that it was superseded.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { errorCode, TaffrailError } from '../core/errors.ts'

const ATTEMPTS_MAX = 10
/** A laptop that is not Linux has neither start times nor a boot id for us: there the pid alone decides. */
const HAS_PROC = existsSync('/proc/self/stat')

export interface StateLock {
  /** False once another process has taken the lock over, or somebody removed it: the owner must stop writing. Throws the system's error. */
  isHeld(): boolean
  /** Gives the lock up if it is still held. */
  release(): void
}

/**
 * Takes the lock of a state directory, which is made if it is missing. Throws `STATE_LOCKED`, with the pid in the
 * message, while a living process holds it, and the system's error when the directory cannot be written.
 */
export function acquireStateLock(directory: string): StateLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = `${directory}/lock`
  const own = `${process.pid}.${startOf(process.pid)}.${bootId()}`
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (tryLink(own, path)) return { isHeld: () => ownerOf(path) === own, release: () => release(path, own) }
    const owner = ownerOf(path)
    if (owner === null) continue
    refuseIfAlive(owner, directory)
    removeStale(path, owner)
  }
  throw new TaffrailError('STATE_LOCKED', `${path} changes hands all the time: too many processes use ${directory}`)
}

function refuseIfAlive(owner: string, directory: string): void {
  const [, pid, start, boot] = owner.match(/^(\d+)\.(\w+)\.(.+)$/) ?? []
  if (pid === undefined) {
    const advice = `remove ${directory}/lock if no taffrail uses ${directory}`
    throw new TaffrailError(
      'STATE_LOCKED',
      `${directory}/lock was not made by taffrail (it says "${owner}"); ${advice}`,
    )
  }
  if (boot !== bootId() || start !== startOf(Number(pid))) return
  throw new TaffrailError('STATE_LOCKED', `${directory} is in use by another taffrail, process ${pid}`)
}

/** Moved aside first: of several that saw the same dead owner, only one gets hold of its link. */
function removeStale(path: string, owner: string): void {
  const aside = `${path}.stale-${randomBytes(4).toString('hex')}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  const moved = ownerOf(aside)
  unlinkSync(aside)
  // Somebody was faster, and this is the new owner's: it goes back, unless a third one has taken the place already.
  if (moved !== null && moved !== owner) tryLink(moved, path)
}

function release(path: string, own: string): void {
  if (ownerOf(path) === own) unlinkSync(path)
}

/** False when there is a lock already. */
function tryLink(owner: string, path: string): boolean {
  try {
    symlinkSync(owner, path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

/** What the lock says; null when there is none. */
function ownerOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    if (errorCode(error) === 'EINVAL') return 'nothing: it is not a link'
    throw error
  }
}

/** When a process started, in ticks since the boot; null when there is none, or only its zombie. */
function startOf(pid: number): string | null {
  if (!HAS_PROC) return isRunning(pid) ? '0' : null
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return null
    throw error
  }
  // The name, in parentheses, may hold anything; the state (field 3) follows the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? null : fields[19]!
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

function bootId(): string {
  if (!HAS_PROC) return '0'
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}
