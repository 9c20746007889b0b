// At every moment: each sink's ledger balances, and the budget holds exactly what the shipments under way have taken,
// never more than there is.
import type { Agent } from '../../../src/agent.ts'
import { reservationBytes } from '../../../src/batch/consumer.ts'
import type { Checker, CheckerDeps } from '../checker.ts'
import type { Life } from '../life.ts'

export class Accounts implements Checker {
  readonly name = 'accounts'
  readonly #deps: Pick<CheckerDeps, 'fail'>
  /** What a shipment takes, by sink, from before the sink learned to make smaller ones. */
  readonly #needs = new Map<string, number>()

  constructor(deps: Pick<CheckerDeps, 'fail'>) {
    this.#deps = deps
  }

  tick(_life: Life, { consumers, budget }: Agent): void {
    const { fail } = this.#deps
    let neededBytes = 0
    for (const { ledger, sink, active } of consumers) {
      const { bytes, lines } = ledger.imbalance()
      if (bytes !== 0 || lines !== 0) fail(`the ledger of ${sink.name} is off by ${bytes} bytes and ${lines} lines`)
      const { inFlight } = ledger
      if (inFlight.bytes < 0 || inFlight.lines < 0) fail(`${inFlight.bytes} bytes are in flight to ${sink.name}`)
      if (active === 0 && inFlight.bytes > 0)
        fail(`${inFlight.bytes} bytes are in flight to ${sink.name}, in no shipment`)
      if (active > sink.concurrency) fail(`${active} shipments to ${sink.name} are under way`)
      const need = this.#needs.get(sink.name) ?? reservationBytes(sink)
      this.#needs.set(sink.name, need)
      neededBytes += active * need
    }
    const { usedBytes, totalBytes } = budget
    if (usedBytes !== neededBytes) fail(`shipments hold ${neededBytes} bytes, the budget says ${usedBytes}`)
    if (usedBytes > totalBytes) fail(`${usedBytes} bytes of a budget of ${totalBytes}`)
  }
}
