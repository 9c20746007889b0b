// A fuzz target: a property with a name, run for a while by the suite and for as long as one likes by `npm run fuzz`. What it
// throws is a finding, unless it is an error of ours with a code where the target says that those may come.

import { TaffrailError } from '../../src/core/errors.ts'
import fc from '../support/properties.ts'

export interface Target {
  name: string
  /** A new property each time: no state goes from one run to another. */
  property: () => fc.IRawProperty<[unknown], boolean>
}

export interface RunOptions {
  seed: number
  runs: number
  /** Of a counterexample that was found: only this. */
  path?: string
}

export interface Outcome {
  target: string
  seed: number
  runs: number
  /** null: none was found. */
  failure: { path: string; counterexample: string; message: string } | null
}

/** A target whose inputs come from `inputs`; `check` throws what is wrong with one. */
export function target<T>(name: string, inputs: fc.Arbitrary<T>, check: (input: T) => void | Promise<void>): Target {
  const property = () =>
    fc.asyncProperty(inputs, async (input) => {
      await check(input)
      return true
    }) as unknown as ReturnType<Target['property']>
  return { name, property }
}

export async function runTarget({ name, property }: Target, { seed, runs, path }: RunOptions): Promise<Outcome> {
  const parameters = { seed, numRuns: runs, ...(path !== undefined && { path, endOnFailure: true }) }
  const details = await fc.check(property(), parameters)
  const { failed, counterexample, counterexamplePath, errorInstance, numRuns } = details
  if (!failed) return { target: name, seed, runs: numRuns, failure: null }
  const message =
    errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance)
  const failure = { path: counterexamplePath ?? '', counterexample: fc.stringify(counterexample), message }
  return { target: name, seed, runs: numRuns, failure }
}

/** How to see a failure again. */
export function replayCommand({ target, seed, failure }: Outcome): string {
  return `npm run fuzz -- 0 --target ${target} --seed ${seed}${failure === null ? '' : ` --path ${failure.path}`}`
}

/** Lets errors of ours through, which say what is wrong with an input; everything else is a finding. */
export function orTaffrailError(check: () => void): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof TaffrailError)) throw error
  }
}

/** Throws `what` unless it is so. */
export function holds(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what)
}
