// Bugs that are planted one by one to show that the simulation would find them: mistakes that were made in other log
// agents, or could be made here. `from` stands in the file exactly once.

export interface PlantedBug {
  /** What goes wrong. */
  what: string
  changes: readonly { file: string; from: string; to: string }[]
  /** A seed that has found it; the search begins there. */
  seed: number
}

const one = (what: string, file: string, from: string, to: string, seed = 1): PlantedBug => ({
  what,
  changes: [{ file, from, to }],
  seed,
})

export const PLANTED_BUGS: Readonly<Record<string, PlantedBug>> = {
  checkpointBeforeAck: one(
    'the checkpoint is where the reader is, not where the sink is',
    'batch/consumer.ts',
    '      await this.#makeDurable(sendable)\n',
    '      for (const { shares } of sendable) for (const { reader } of shares) { reader.commit(); this.#savePosition(reader) }\n      await this.#makeDurable(sendable)\n',
  ),
  noSync: one(
    'the checkpoint log is appended to and never synced',
    'checkpoint/log-file.ts',
    'await this.#orAbandon(handle.sync())',
    'await Promise.resolve()',
  ),
  rewriteWithoutSync: one(
    'the checkpoint log is renamed into place before it is on the disk',
    'checkpoint/log-file.ts',
    '      await handle.sync()\n      await this.#fs.rename(temporary',
    '      await this.#fs.rename(temporary',
  ),
  watermarkSkipsHole: one(
    'what one source stream has acknowledged is taken for the whole',
    'batch/consumer.ts',
    '        for (const stream of acked) reader.ackStream(stream)\n        reader.rewind()',
    '        for (const stream of acked) reader.ackStream(stream)\n        if (acked.length > 0) { reader.commit(); this.#savePosition(reader) } else reader.rewind()',
  ),
  openLinesForgotten: one(
    'the watermark passes lines that are still open',
    'tail/reader.ts',
    'const open = this.#lines.earliestOpen()',
    'const open = this.#place.offset < 0 ? this.#lines.earliestOpen() : null',
  ),
  overlappingLines: one(
    'a restart begins in the middle of the other stream’s line',
    'tail/lines.ts',
    'partial.open(here, this.#restartAt(here))',
    'partial.open(here)',
  ),
  partialsWithoutStream: one(
    'pieces of stdout and stderr are joined with each other',
    'tail/lines.ts',
    'const partial = this.#partials[row.stream as 0 | 1]\n    if (this.#isTooOld',
    'const partial = this.#partials[0]\n    if (this.#isTooOld',
  ),
  headThatGrows: one(
    'a file is known by all of its first bytes, which change while it is short',
    'tail/file.ts',
    'if (known.bytes === 0 || candidate.bytes < known.bytes) return false',
    'if (known.bytes === 0 || candidate.hash !== known.hash) return false',
  ),
  headThatGrowsOnDisk: one(
    'the head is taken over the first KiB, whether the first line has ended or not',
    'tail/file.ts',
    'const bytes = most.indexOf(10) + 1 || most.length',
    'const bytes = most.length',
  ),
  headAlone: one(
    'a saved offset is used where the first line agrees, whatever stands before the offset',
    'tail/resume.ts',
    'return readWitness(fs, file.fd, saved.offset) === saved.witness',
    'return readWitness(fs, file.fd, saved.offset) !== ""',
  ),
  budgetTwice: one(
    'the budget of a shipment is given back twice',
    'batch/consumer.ts',
    '        this.#budget.release(this.#reservationBytes)\n',
    '        this.#budget.release(this.#reservationBytes)\n        if (this.#active > 0) this.#budget.release(this.#reservationBytes)\n',
  ),
  believes204: one(
    'an answer to a push of several streams is believed, whichever they are',
    'sinks/loki/stream.ts',
    'return !this.solo && (out.okAt',
    'return true || (out.okAt',
  ),
  splitForgetsHalf: one(
    'of a batch that is divided the second half is forgotten',
    'sinks/loki/conversation.ts',
    'for (const half of [indexes.slice(0, middle), indexes.slice(middle)]) {',
    'for (const half of [indexes.slice(0, middle)]) {',
  ),
  refusedOthersForgotten: one(
    'after a 400 the entries that were not named are not pushed again',
    'sinks/loki/conversation.ts',
    'if (left.indexes.length === 0) return null\n',
    'if (left.indexes.length < rest.indexes.length) return null\n',
  ),
  letterNotSynced: one(
    'a dead letter counts as written before it is on the disk',
    'deliver/dead-letters.ts',
    '    await file.handle.sync()\n',
    '',
  ),
  supersededAtOnce: one(
    'a renamed file is left as soon as there is another one',
    'tail/reader.ts',
    'const SUPERSEDED_GRACE_MS = 1000',
    'const SUPERSEDED_GRACE_MS = 0',
  ),
  gzipOffByOne: one(
    'a place in a compressed file is one byte off',
    'tail/gzip.ts',
    'let skip = position - this.#windowStart',
    'let skip = position - this.#windowStart + (this.#windowStart === 0 && position > 0 ? 1 : 0)',
  ),
  nudgeNotSaved: one(
    'which times were moved by a nanosecond is not in the checkpoint',
    'tail/reader.ts',
    'this.#lines.timeline.load(saved.times)',
    'this.#lines.timeline.load(null)',
  ),
  stampsNotSaved: one(
    'times of arrival are given anew after a restart',
    'tail/reader.ts',
    'if (place.found) this.#lines.stamps.load(',
    'if (place.offset < 0) this.#lines.stamps.load(',
  ),
  overlapUnchecked: one(
    'a file that was cut and grew beyond the place goes unnoticed',
    'tail/reader.ts',
    '? block.compare(this.#tail, 0, overlap, 0, overlap) !== 0',
    '? false',
  ),
  ledgerForgetsRewind: one(
    'what goes back to its file stays in flight',
    'tail/account.ts',
    'this.#ledger.untake(this.unsettled.bytes, this.unsettled.lines)',
    'this.#ledger.untake(0, 0)',
  ),
  lossUntold: one(
    'a hole is counted, and no record of it is sent',
    'tail/reader.ts',
    '    this.#gap = gap\n    // A rewind',
    '    // A rewind',
  ),
}
