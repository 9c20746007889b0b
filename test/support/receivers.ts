// What process tests do with a Loki beside them: start one that ends with the test, read what it stored, wait for a line.
import type { Test } from 'tap'
import { UNLIMITED_RATES } from '../../src/demo/loki-limits.ts'
import { type Receiver, type ReceiverOptions, startReceiver } from '../../src/demo/receiver.ts'
import { type TaffrailProcess, within } from './process.ts'

/** Without limits of rates unless they are given; closed at the test's end. */
export async function receiverOf(t: Test, options: ReceiverOptions = {}): Promise<Receiver> {
  const receiver = await startReceiver({ limits: UNLIMITED_RATES, ...options })
  t.teardown(() => receiver.close())
  return receiver
}

/** The lines of all streams that have these labels, in order of arrival by stream. */
export function linesOf(receiver: Receiver, labels: Record<string, string> = {}): string[] {
  return receiver.find(labels).flatMap(({ entries }) => entries.map(({ line }) => line.toString()))
}

/** Resolves when the line is stored; when it does not come, the error tells what the agent said. */
export async function arrives(receiver: Receiver, taffrail: TaffrailProcess, line: string): Promise<void> {
  await within(
    receiver.until(() => linesOf(receiver).includes(line)),
    () => `${line} arrives\n${taffrail.story()}`,
  )
}
