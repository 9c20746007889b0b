// From the body of a push to the push: content type, content encoding, snappy, protobuf, JSON; and Loki's words for
// what cannot be read (grafana/loki, pkg/loghttp/push/push.go).
import { gunzipSync, inflateRawSync } from 'node:zlib'
import { uncompressSync } from 'snappy'
import { formatLabelSet } from './label-set.ts'
import { decodePush, type LabelPair, type Push, type PushEntry } from './push-proto.ts'

/** A body that Loki answers with 400 and this message. */
export class PushBodyError extends Error {}

/**
 * Reads a push. `headers` with names in lower case. Anything but `application/json` is snappy and protobuf, as in Loki.
 * Throws a PushBodyError. The lines are views of the decompressed body, which nobody else holds.
 */
export function readPush(headers: Readonly<Record<string, string | string[] | undefined>>, body: Buffer): Push {
  const contentType = text(headers['content-type']).split(';')[0]!.trim().toLowerCase()
  const raw = decoded(text(headers['content-encoding']), body)
  if (contentType === '') throw new PushBodyError('mime: no media type')
  if (contentType === 'application/json') return readJson(raw)
  const uncompressed = attempt('snappy: corrupt input', () => uncompressSync(raw, { asBuffer: true }) as Buffer)
  return attempt('unexpected EOF', () => decodePush(uncompressed))
}

function decoded(encoding: string, body: Buffer): Buffer {
  if (encoding === '' || encoding === 'snappy') return body
  if (encoding === 'gzip') return attempt('gzip: invalid header', () => gunzipSync(body))
  if (encoding === 'deflate') return attempt('flate: corrupt input before offset 1', () => inflateRawSync(body))
  throw new PushBodyError(`Content-Encoding "${encoding}" not supported`)
}

interface JsonPush {
  streams?: { stream?: Record<string, string>; values?: [string, string, Record<string, unknown>?][] }[]
}

function readJson(body: Buffer): Push {
  const source = body.toString()
  return attempt(jsonFailure(source), () => {
    const { streams = [] } = JSON.parse(source) as JsonPush
    return {
      streams: streams.map(({ stream = {}, values = [] }) => ({
        labels: formatLabelSet(pairsOf(stream)),
        entries: values.map(jsonEntry),
      })),
    }
  })
}

function jsonEntry([timestamp, line, metadata = {}]: [string, string, Record<string, unknown>?]): PushEntry {
  if (typeof timestamp !== 'string' || typeof line !== 'string') throw new TypeError('a value is not a string')
  const timestampNs = BigInt(timestamp)
  if (BigInt.asIntN(64, timestampNs) !== timestampNs) throw new RangeError('a timestamp is no int64')
  return { timestampNs, line: Buffer.from(line), metadata: pairsOf(metadata) }
}

function pairsOf(record: Record<string, unknown>): LabelPair[] {
  return Object.keys(record)
    .sort()
    .map((name) => ({ name, value: String(record[name]) }))
}

/** What jsoniter says of a text that ends too early, with the last bytes it saw; near enough for other mistakes. */
function jsonFailure(source: string): string {
  const near = source.trimEnd().slice(-10)
  const context = source.trimEnd().slice(-40)
  return `loghttp.PushRequest.Streams: []loghttp.LogProtoStream: Skip: do not know how to skip: 0, error found in #${near.length} byte of ...|${near}|..., bigger context ...|${context}|...`
}

function attempt<Value>(message: string, read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    throw new PushBodyError(message, { cause })
  }
}

function text(header: string | string[] | undefined): string {
  return Array.isArray(header) ? header.join(', ') : (header ?? '')
}
