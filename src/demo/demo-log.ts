// The agent's own log while the demo has the screen: warnings and errors, in a file, counted.
import { appendFileSync, existsSync, renameSync } from 'node:fs'
import { createLog, type Log } from '../observe/log.ts'

export class DemoLog {
  readonly path: string
  readonly log: Log
  /** Written so far. */
  lines = 0

  constructor(path: string) {
    this.path = path
    const write = (line: string) => {
      this.lines++
      appendFileSync(path, line)
    }
    this.log = createLog({ level: 'warn', destination: { write } })
  }

  /** Moves the file to where it is not removed; false when nothing was ever logged. */
  keep(path: string): boolean {
    if (!existsSync(this.path)) return false
    renameSync(this.path, path)
    return true
  }
}
