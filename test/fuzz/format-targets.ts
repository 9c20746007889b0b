// Parsers, readers and writers of formats: any bytes go in, and what comes out is in bounds, agrees with an independent
// reading where there is one, and is never an exception that is not ours.

import { Part } from '../../src/batch/part.ts'
import { decodeLog, encodeRecords, LOG_HEADER } from '../../src/checkpoint/record.ts'
import { formatConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'
import { encodeLetters, readLetters } from '../../src/deliver/letter-file.ts'
import { parseLabelSet } from '../../src/demo/label-set.ts'
import { decodePush } from '../../src/demo/push-proto.ts'
import { parseCri } from '../../src/parse/cri.ts'
import { parseDockerJson } from '../../src/parse/docker-json.ts'
import { newRow, type Row, type RowParser } from '../../src/parse/row.ts'
import { classify as classifyBulk } from '../../src/sinks/elasticsearch/classify.ts'
import { classify } from '../../src/sinks/loki/classify.ts'
import { selectRefused } from '../../src/sinks/loki/refused.ts'
import { Stretch } from '../../src/sinks/loki/stretch.ts'
import {
  closeStream,
  ENTRY_OVERHEAD_BYTES,
  encodeMetadata,
  streamHeader,
  writeEntry,
} from '../../src/sinks/loki/wire.ts'
import fc from '../support/properties.ts'
import { answer, bulkAnswer, bytes, configText, criRow, damaged, dockerRow, pairs, pushEntry } from './arbitraries.ts'
import { holds, orTaffrailError, target } from './target.ts'

const around = fc.record({ before: bytes(10), after: bytes(10) })

/** Parses a row in the middle of a block. */
function parse(parser: RowParser, line: Buffer, { before, after }: { before: Buffer; after: Buffer }): Row | null {
  const row = newRow()
  const block = Buffer.concat([before, line, after])
  if (!parser(block, before.length, before.length + line.length, row)) return null
  const { messageStart, messageEnd, seconds, nanos, stream, buffer } = row
  holds(
    messageStart >= 0 && messageStart <= messageEnd && messageEnd <= buffer.length,
    'the message is out of its buffer',
  )
  if (buffer === block) {
    holds(messageStart > before.length && messageEnd <= before.length + line.length, 'the message is out of its row')
  }
  holds(
    Number.isSafeInteger(seconds) && nanos >= 0 && nanos < 1e9 && Number.isInteger(nanos),
    `the time ${seconds}.${nanos}`,
  )
  holds(stream === 0 || stream === 1, `the stream ${stream}`)
  return row
}

const position = fc.record({
  path: fc.string({ unit: 'binary', maxLength: 20 }),
  offset: fc.nat(),
  times: fc.array(fc.integer(), { maxLength: 10 }),
  gaps: fc.array(fc.record({ from: fc.nat(), cause: fc.string({ unit: 'binary' }) }), { maxLength: 2 }),
})
const checkpointRecord = fc.record({
  sink: fc.string({ maxLength: 5 }),
  lineage: fc.string({ unit: 'binary', maxLength: 10 }),
  position: fc.option(position),
})

function encodedLog(records: readonly unknown[]): Buffer {
  return Buffer.concat([...encodeRecords(records as Parameters<typeof encodeRecords>[0], LOG_HEADER)])
}

const letter = fc.record({
  sink: fc.constantFrom('loki', 'es'),
  reason: fc.string({ maxLength: 5 }),
  labels: pairs,
  metadata: pairs,
  line: fc.string({ unit: 'binary', maxLength: 30 }),
  timestamp: fc.constantFrom('1', '1795248006000000000'),
  bytes: fc.nat(),
})

export const formatTargets = [
  target('cri', fc.record({ line: fc.oneof(criRow, damaged(criRow), bytes(80)), around }), ({ line, around }) => {
    parse(parseCri, line, around)
  }),
  target(
    'docker-json',
    fc.record({ line: fc.oneof(dockerRow, damaged(dockerRow), bytes(60)), around }),
    ({ line, around }) => {
      const row = parse(parseDockerJson, line, around)
      if (row === null) return
      const { log, stream } = JSON.parse(line.toString())
      const message = row.buffer.subarray(row.messageStart, row.messageEnd)
      holds(message.equals(Buffer.from(log.replace(/\n$/, ''))), 'another message than JSON has')
      holds(
        row.partial === !log.endsWith('\n') && stream === ['stdout', 'stderr'][row.stream],
        'another stream, or tag',
      )
    },
  ),
  target(
    'push',
    fc.record({ labels: pairs, entries: fc.array(pushEntry, { maxLength: 12 }) }),
    ({ labels, entries }) => {
      const part = new Part(64 * 1024)
      const header = streamHeader(labels)
      part.reserve(header.length)
      part.end += header.copy(part.buffer)
      for (const { seconds, nanos, line, metadata } of entries) {
        const encoded = encodeMetadata(metadata)
        part.reserve(line.length + encoded.length + ENTRY_OVERHEAD_BYTES)
        writeEntry(part, seconds, nanos, line, 0, line.length, encoded)
        part.note(0, line.length, 1)
      }
      closeStream(part.buffer, 0, part.end)
      const { streams } = decodePush(part.buffer.subarray(0, part.end))
      holds(streams.length === 1, `${streams.length} streams`)
      const read = parseLabelSet(streams[0]!.labels)
      holds(
        JSON.stringify(read.map(({ name, value }) => [name, value]).sort()) ===
          JSON.stringify(
            Object.entries(labels)
              .filter(([, value]) => value !== '')
              .sort(),
          ),
        'other labels',
      )
      holds(streams[0]!.entries.length === entries.length, `${streams[0]!.entries.length} entries`)
      const stretch = new Stretch(part, [...entries.keys()], header, part.buffer.subarray(0, part.end))
      for (const [i, { seconds, nanos, line, metadata }] of entries.entries()) {
        const entry = streams[0]!.entries[i]!
        holds(entry.timestampNs === BigInt(seconds) * 1_000_000_000n + BigInt(nanos), `another time of entry ${i}`)
        holds(entry.line.equals(line), `another line of entry ${i}`)
        const told = entry.metadata.map(({ name, value }) => [name, value])
        holds(JSON.stringify(told) === JSON.stringify(Object.entries(metadata)), `other metadata of entry ${i}`)
        holds(
          stretch.seconds[i] === seconds && stretch.nanos[i] === nanos && stretch.lineBytes[i] === line.length,
          `read back: entry ${i}`,
        )
      }
    },
  ),
  target(
    'checkpoint',
    fc
      .record({
        records: fc.array(checkpointRecord, { maxLength: 8 }),
        noise: fc.oneof(fc.constant(null), bytes(60)),
        cut: fc.double({ min: 0, max: 1, noNaN: true }),
      })
      .chain((given) =>
        damaged(fc.constant(encodedLog(given.records)), given.noise === null ? 0 : 3).map((log) => ({ ...given, log })),
      ),
    ({ records, log, noise, cut }) => {
      const data = noise === null ? log.subarray(0, Math.floor(cut * log.length)) : Buffer.concat([log, noise])
      const read: unknown[] = []
      const { records: count, damage } = decodeLog(data, (record) => read.push(record))
      holds(count === read.length, 'another count')
      holds(damage === null || (damage.atByte >= 0 && damage.atByte <= data.length), 'the damage is out of the log')
      const told = records.slice(0, read.length).map((each) => JSON.stringify(each))
      holds(
        read.every((each, i) => JSON.stringify(each) === told[i]),
        'what is read is no prefix of what was written',
      )
    },
  ),
  target(
    'dead-letters',
    fc.record({
      letters: fc.array(letter, { maxLength: 6 }),
      torn: fc.oneof(
        bytes(40),
        fc.json({ maxDepth: 2 }).map((text) => Buffer.from(`${text}\n`)),
        damaged(letter.map((each) => Buffer.from(JSON.stringify(each)))),
      ),
    }),
    ({ letters, torn }) => {
      const whole = encodeLetters(letters as unknown as Parameters<typeof encodeLetters>[0])
      const read = readLetters(Buffer.concat([whole, torn]))
      holds(
        JSON.stringify(read.letters.slice(0, letters.length)) === JSON.stringify(letters),
        'letters changed or are missing',
      )
      readLetters(torn)
    },
  ),
  target('config', configText, (text) => {
    orTaffrailError(() => {
      const env = { NODE_NAME: 'n', PW: 'secret-word' }
      const options = { path: 'taffrail.yaml', env, hostname: 'h', cgroup: { memory: null, cpu: null } }
      const loaded = loadConfig(text, options)
      if (!('errors' in loaded)) return
      holds(loaded.errors.length > 0, 'neither a configuration nor an error')
      for (const error of loaded.errors) {
        const told = formatConfigError(error)
        holds(told.length > 0 && !told.includes('secret-word'), `it says ${told}`)
        holds(error.line >= 1 && error.line <= text.split(/\r\n|\r|\n/).length + 1, `line ${error.line}`)
      }
    })
  }),
  target(
    'loki-answers',
    fc.record({
      answer,
      entries: fc.array(
        fc.record({ seconds: fc.integer({ min: 1_795_240_000, max: 1_795_250_000 }), bytes: fc.nat(400_000) }),
        { minLength: 1, maxLength: 8 },
      ),
    }),
    ({ answer, entries }) => {
      const outcome = classify(answer, 1_795_248_006_000)
      if (outcome.kind === 'delivered') {
        holds(answer.status >= 200 && answer.status < 300, `status ${answer.status} is taken for a success`)
        return
      }
      const { message } = outcome
      holds(message.length > 0 && message.length <= 1100 && !/[\p{Cc}]/u.test(message), 'a message that is none')
      if (outcome.kind === 'retry' && outcome.afterMs !== undefined) {
        holds(outcome.afterMs >= 0 && outcome.afterMs <= 3_600_000, `after ${outcome.afterMs} ms`)
      }
      if (outcome.kind !== 'refused') return
      holds(answer.status === 400 && outcome.findings.length > 0, 'refused without the words for it')
      // Whatever it says, what it is taken to mean are entries of the push, each once.
      const pushed = entries.map((_, i) => i)
      const known = {
        seconds: Float64Array.from(entries, ({ seconds }) => seconds),
        nanos: new Float64Array(entries.length),
        lineBytes: Float64Array.from(entries, (entry) => entry.bytes),
        metadataOf: () => ({ bytes: 10, pairs: 1 }),
      }
      for (const finding of outcome.findings) {
        const { indexes } = selectRefused(finding, known, pushed, outcome.findings.length === 1)
        holds(
          indexes.every((index) => pushed.includes(index)) && new Set(indexes).size === indexes.length,
          'entries that are none',
        )
      }
    },
  ),
  target(
    'bulk-answers',
    fc.record({ answer: bulkAnswer, count: fc.integer({ min: 1, max: 3 }) }),
    ({ answer, count }) => {
      const outcome = classifyBulk(answer, { count, idOf: (index) => `m${index}` }, 1_795_248_006_000)
      if (outcome.kind === 'items')
        holds(outcome.fates.length === count, `${outcome.fates.length} fates of ${count} records`)
      const text = answer.body.toString()
      if (outcome.kind === 'delivered') {
        // All of them at once: the server says that nothing went wrong, and so many successes.
        holds(answer.status >= 200 && answer.status < 300, `status ${answer.status} is taken for a success`)
        holds(text.includes('"errors":false') && text.split('"status":201').length === count + 1, 'not all were stored')
      }
      if (outcome.kind !== 'items') return
      const items = (JSON.parse(text).items as { create?: { _id?: string; status?: number } }[]).map(
        ({ create }) => create,
      )
      for (const [index, { kind }] of outcome.fates.entries()) {
        if (kind !== 'delivered') continue
        const said = items.filter((item) => item?._id === `m${index}`).map((item) => item?.status ?? 0)
        holds(
          said.some((status) => status === 409 || (status >= 200 && status < 300)),
          `record ${index} is taken for stored, and the answer says ${said}`,
        )
      }
    },
  ),
]
