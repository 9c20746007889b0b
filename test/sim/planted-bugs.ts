// Bugs that are planted one by one to show that the simulation would find them: mistakes that were made in other log
// agents, or could be made here. `from` stands in the file exactly once.

import type { FaultKind, SinkKind } from './faults.ts'

export interface PlantedBug {
  /** What goes wrong. */
  what: string
  changes: readonly { file: string; from: string; to: string }[]
  /** A seed that has found it; the search begins there. */
  seed: number
  /** What every world of the search has, because few of those that are drawn have all that it takes to show it. */
  world?: { always: readonly FaultKind[]; sinks?: readonly SinkKind[] }
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
    '      for (const { shares } of sendable) for (const { reader } of shares) { reader.commit(); this.#settlement.savePosition(reader) }\n      await this.#makeDurable(sendable)\n',
  ),
  noSync: one(
    'the checkpoint log is appended to and never synced',
    'checkpoint/log-file.ts',
    'await this.#orAbandon(handle.sync())',
    'await Promise.resolve()',
    7,
  ),
  rewriteWithoutSync: one(
    'the checkpoint log is renamed into place before it is on the disk',
    'checkpoint/log-file.ts',
    '      await handle.sync()\n      await this.#fs.rename(temporary',
    '      await this.#fs.rename(temporary',
    7,
  ),
  watermarkSkipsHole: one(
    'what one source stream has acknowledged is taken for the whole',
    'batch/settlement.ts',
    '        for (const stream of acked) reader.ackStream(stream)\n        reader.rewind()',
    '        for (const stream of acked) reader.ackStream(stream)\n        if (acked.length > 0) { reader.commit(); this.savePosition(reader) } else reader.rewind()',
    7,
  ),
  openLinesForgotten: one(
    'the watermark passes lines that are still open',
    'tail/reader.ts',
    'const open = this.#lines.openSince',
    'const open = this.offset < 0 ? this.#lines.openSince : null',
    12,
  ),
  overlappingLines: one(
    'a restart begins in the middle of the other stream’s line',
    'tail/open-lines.ts',
    'this.since ??= here',
    'this.since = here',
    12,
  ),
  partialsWithoutStream: one(
    'pieces of stdout and stderr are joined with each other',
    'tail/lines.ts',
    'const partial = this.#open.of(row.stream)\n    if (this.#isTooOld',
    'const partial = this.#open.of(0)\n    if (this.#isTooOld',
    4,
  ),
  splitForgetsHalf: one(
    'of a batch that is divided the second half is forgotten',
    'sinks/loki/conversation.ts',
    'for (const half of [indexes.slice(0, middle), indexes.slice(middle)]) {',
    'for (const half of [indexes.slice(0, middle)]) {',
    2,
  ),
  nudgeNotSaved: one(
    'which times were moved by a nanosecond is not in the checkpoint',
    'tail/beginning.ts',
    'lines.timeline.load(saved.times)',
    'lines.timeline.load(null)',
    37,
  ),
  ledgerForgetsRewind: one(
    'what goes back to its file stays in flight',
    'tail/account.ts',
    'this.#ledger.untake(this.unsettled.bytes, this.unsettled.lines)',
    'this.#ledger.untake(0, 0)',
  ),
  headThatGrows: {
    what: 'a file is known by all of its first bytes, which change while it is short',
    changes: [
      {
        file: 'tail/file.ts',
        from: 'const bytes = most.indexOf(10) + 1 || most.length',
        to: 'const bytes = most.length',
      },
      {
        file: 'tail/file.ts',
        from: 'if (known.bytes === 0 || candidate.bytes < known.bytes) return false',
        to: 'if (known.bytes === 0 || candidate.hash !== known.hash) return false',
      },
    ],
    seed: 6,
  },
  believes204: {
    ...one(
      'an answer to a push of several streams is believed, whichever they are',
      'sinks/loki/stream.ts',
      '      this.okAt !== null &&\n      !this.#wasRefused &&\n      now - this.okAt < SILENCE_MS_MAX &&\n      this.pendingOldest',
      '      now > 0 || this.pendingOldest',
      111,
    ),
    // What the answer hides here is that a stream is one too many.
    world: { always: ['streamLimits'], sinks: ['loki'] },
  },
  noRewind: one(
    'what was refused for the moment is not read again',
    'batch/settlement.ts',
    '        reader.rewind()\n        this.#held.forget(reader)',
    '        this.#held.forget(reader)',
  ),
  failureForSuccess: one(
    'a request without an answer is taken for delivered',
    'sinks/loki/requests.ts',
    "return { outcome: { kind: 'retry', reason: errorCode(error), message }, status: 0",
    "return { outcome: message === '' ? { kind: 'retry', reason: errorCode(error), message } : { kind: 'delivered' }, status: 0",
    2,
  ),
  budgetTwice: one(
    'the budget of a shipment is given back twice',
    'batch/consumer.ts',
    '        this.#budget.release(this.#reservationBytes)\n',
    '        this.#budget.release(this.#reservationBytes)\n        this.#budget.release(this.#reservationBytes)\n',
  ),
  itemForgotten: one(
    'a record for which there was no room (429) beside others that were stored is taken for stored',
    'sinks/elasticsearch/classify.ts',
    'status === 201 || status === 200 || status === 409',
    'status === 201 || status === 200 || status === 409 || status === 429',
    37,
  ),
  bulkAsUnit: one(
    'a bulk is delivered when its answer is a 200, whatever that says of single records',
    'sinks/elasticsearch/classify.ts',
    "  return { kind: 'items', fates: ordered.map(fateOf) }",
    '  return DELIVERED',
  ),
  answersInOrder: one(
    'the answers of a bulk are believed to be in the order of its records',
    'sinks/elasticsearch/classify.ts',
    'if (idOf === null || items.every((item, index) => item?._id === idOf(index))) return items',
    'if (idOf === null || items.length > 0) return items',
  ),
  bulkSplitForgetsHalf: one(
    'of a bulk that is divided the second half is forgotten',
    'sinks/elasticsearch/conversation.ts',
    'if (this.#failure === null) await this.#send(half)',
    'if (this.#failure === null && half[0] === records[0]) await this.#send(half)\n      else this.#taken(half)',
    26,
  ),
  idWithoutOffset: one(
    'an _id says when and in which file, and not where',
    'sinks/elasticsearch/document.ts',
    'writeSeven(view, base + idAt + ID_OFFSET_AT, entry.offset)',
    'writeSeven(view, base + idAt + ID_OFFSET_AT, 0)',
    22,
  ),
  resumeByHead: {
    ...one(
      'a checkpoint’s place is taken to be in a file that begins alike, whatever stands before it there',
      'tail/resume.ts',
      "return seen.witness !== '' && readWitness(fs, file.fd, seen.offset) === seen.witness",
      "return readWitness(fs, file.fd, seen.offset) !== ''",
      8,
    ),
    // While files keep their inode numbers the right one is looked at first: it must go, and another get its number.
    world: { always: ['equalHeads', 'deletion', 'inodeReuse', 'rotation', 'kill'] },
  },
  resumeByHeadInPlace: {
    ...one(
      'a file that was cut and has grown again with the same first line is taken for what it was',
      'tail/resume.ts',
      "return seen.witness !== '' && readWitness(fs, file.fd, seen.offset) === seen.witness",
      "return readWitness(fs, file.fd, seen.offset) !== ''",
      4,
    ),
    world: { always: ['equalHeads', 'truncation', 'kill'] },
  },
  idWithoutEnd: {
    ...one(
      'an _id says where a record begins, and not where it ends',
      'sinks/elasticsearch/document.ts',
      'writeFive(view, base + idAt + ID_BYTES_AT, entry.sourceBytes % 0x4000_0000)',
      'writeFive(view, base + idAt + ID_BYTES_AT, 0)',
      90,
    ),
    // A line that was stored whole comes again with another end where its file was compressed meanwhile, and cut off.
    world: {
      always: ['compression', 'cutGzip', 'rotation', 'kill', 'slowDisk', 'lostAnswer'],
      sinks: ['elasticsearch'],
    },
  },
  timesBehindHole: {
    ...one(
      'behind the record of a hole lines of one time keep it',
      'tail/emitter.ts',
      '    const text = Buffer.from(gapText(gap))\n',
      '    const text = Buffer.from(gapText(gap))\n    this.timeline.emit = (_, seconds, nanos) => Object.assign(this.timeline, { seconds, nanos })\n',
    ),
    world: { always: ['equalTimes', 'deletion', 'rotation', 'kill'] },
  },
  logCutShort: {
    ...one(
      'where the checkpoint log cannot be written anew, the disk gets its last bytes back, too',
      'checkpoint/log-file.ts',
      '      await quietly(this.#fs.unlink(temporary))\n',
      '      await quietly(this.#fs.unlink(temporary))\n      const data = await this.read()\n      const log = await this.#fs.openAppend(this.path, false)\n      await quietly(log.truncate(Math.max(0, (data?.length ?? 0) - 600)))\n      await quietly(log.close())\n',
      20,
    ),
    // What is lost was never called durable, or only before the process began that found it.
    world: { always: ['kill', 'fullDisk'] },
  },
  lettersForgotten: one(
    'what is refused is passed over without a dead letter',
    'deliver/dead-letter.ts',
    'if (letters.length > 0) await deadLetters.write(letters)',
    'if (letters.length < 0) await deadLetters.write(letters)',
  ),
}
