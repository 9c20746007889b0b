// What `taffrail audit` works with when it runs for real.
import { createReadStream } from 'node:fs'
import { realClock } from '../ports/clock.ts'
import { realGunzip } from '../ports/gunzip.ts'
import { outputTo } from '../ports/output.ts'
import { realFileSystem } from '../ports/real-fs.ts'
import type { AuditIo } from './audit.ts'

export function auditIo(stderr: (text: string) => void): AuditIo {
  return {
    output: outputTo(1),
    stderr,
    stdin: process.stdin,
    isInputTerminal: process.stdin.isTTY === true,
    isOutputTerminal: process.stdout.isTTY === true,
    env: process.env,
    fs: realFileSystem.reads,
    gunzip: realGunzip,
    clock: realClock,
    openStream: (path) => createReadStream(path),
    untilStopped() {
      const stop = new AbortController()
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())
      return stop.signal
    },
  }
}
