// What a run must not leave behind: child processes and directories. Both are entered here when they are made; Ctrl-C,
// an error and a normal end all go through `cleanUp`. Only what was entered is touched, processes by their id.

import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const children = new Set<ChildProcess>()
const directories = new Set<string>()

export function enterChild(child: ChildProcess): void {
  children.add(child)
  child.once('exit', () => children.delete(child))
}

/** A new directory in `parent`, removed by `removeDirectory` or at the end. */
export function makeDirectory(parent: string): string {
  const path = mkdtempSync(join(parent, 'taffrail-bench-'))
  directories.add(path)
  return path
}

export function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  directories.delete(path)
}

/** Kills what still runs; after a case that broke, so that its processes do not weigh on the next. */
export async function endChildren(): Promise<void> {
  const left = [...children]
  const gone = left.map((child) => new Promise((resolve) => child.once('exit', resolve)))
  for (const child of left) child.kill('SIGKILL')
  await Promise.all(gone)
}

export function cleanUp(): void {
  for (const child of children) child.kill('SIGKILL')
  for (const path of [...directories]) removeDirectory(path)
}

/** Ctrl-C and a polite kill end the children and remove the trees. */
export function cleanUpOnSignals(): void {
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
    process.once(signal, () => {
      cleanUp()
      process.exit(code)
    })
  }
}
