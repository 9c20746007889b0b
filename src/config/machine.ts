// What the configuration takes from the machine: the file itself, the host name, the cgroup's limits, and whether
// the files that it refers to are there. All synchronous: it happens once, before anything else runs.
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { errorCode, errorMessage } from '../core/errors.ts'
import { realFileSystem } from '../ports/real-fs.ts'
import { cgroupLimits } from './cgroup.ts'
import type { Machine } from './shapes.ts'

/** A larger file is no configuration but a mistake (a log, a device without end). */
const CONFIG_BYTES_MAX = 1024 * 1024

/** This machine, with the environment that is given. */
export function thisMachine(env: NodeJS.ProcessEnv): Machine {
  return { env, hostname: hostname(), cgroup: cgroupLimits(realFileSystem.reads) }
}

/** The text of a configuration file, or why there is none. */
export function readConfigText(path: string): { text: string } | { problem: string } {
  try {
    const bytes = readAtMost(path, CONFIG_BYTES_MAX + 1)
    if (bytes.length > CONFIG_BYTES_MAX) return { problem: 'is larger than 1Mi, and so no configuration' }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch (error) {
    if (errorCode(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { problem: 'is not UTF-8' }
    return { problem: `cannot be read: ${reason(error)}` }
  }
}

/** Why the file at `path` cannot be read; null when it can. */
export function fileProblem(path: string): string | null {
  try {
    if (statSync(path).isDirectory()) return 'it is a directory'
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
    return null
  } catch (error) {
    return reason(error)
  }
}

function readAtMost(path: string, bytesMax: number): Buffer {
  const buffer = Buffer.alloc(bytesMax)
  const fd = openSync(path, 'r')
  try {
    let length = 0
    for (let read = 1; read > 0 && length < bytesMax; length += read) {
      read = readSync(fd, buffer, length, bytesMax - length, null)
    }
    return buffer.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}

/** Why a file could not be read, in words where the system has a code alone. */
export function reason(error: unknown): string {
  switch (errorCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file'
    case 'EISDIR':
      return 'it is a directory'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    default:
      return errorMessage(error)
  }
}
