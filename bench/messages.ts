// What containers say: one voice per container (access log, JSON, logfmt, klog, Java), filled up to the length that is
// asked for. Every message names its writer and has a place of ten digits for its number, which is set when it is written.

import type { Random } from './random.ts'
import { lineHead, SEQUENCE_PLACE } from './writer-line.ts'

type Voice = (random: Random, writer: string, lengthBytes: number) => string

const WORDS = `request response upstream timeout connection pool cache miss hit retry backoff leader election lease
renewed reconcile object version conflict queue depth worker started finished batch commit offset partition replica
sync snapshot compaction index shard segment flush memory heap session token user order payment invoice shipment cart
item price stock warehouse customer email notification webhook callback event handler router middleware filter chain
database query rows transaction rollback lock wait deadlock migration schema table column`.split(/\s+/)
const FOREIGN_WORDS = ['żółw', 'größe', 'naïve', '注文', '🐢']
/** One phrase in so many is not ASCII. */
const FOREIGN_ONE_IN = 100
const PATHS = ['/api/v1/orders', '/api/v1/users', '/healthz', '/api/v2/cart/items', '/static/js/app.js', '/metrics']
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/139.0 Safari/537.36',
  'kube-probe/1.36',
  'Go-http-client/2.0',
  'curl/8.9.1',
]
const STATUSES = [200, 200, 200, 200, 201, 204, 301, 404, 500, 503]
const LEVELS = ['INFO', 'INFO', 'INFO', 'INFO', 'DEBUG', 'WARN', 'ERROR']

const VOICES: readonly Voice[] = [
  (random, writer, length) => {
    const address = `10.${random.below(256)}.${random.below(256)}.${random.below(256)}`
    const line = `${address} - w${writer} ${SEQUENCE_PLACE} "GET ${random.pick(PATHS)}/${random.below(100000)} HTTP/1.1" ${random.pick(STATUSES)} ${random.below(65536)} "-" "${random.pick(AGENTS)}" rt=0.${random.below(1000)} `
    return fill(random, line, '', length)
  },
  (random, writer, length) => {
    const line = `{"level":"${random.pick(LEVELS).toLowerCase()}","w":"${writer}","n":"${SEQUENCE_PLACE}","status":${random.pick(STATUSES)},"duration_ms":${random.below(3000)},"trace_id":"${random.hex(32)}","msg":"`
    return fill(random, line, '"}', length)
  },
  (random, writer, length) => {
    const line = `level=${random.pick(LEVELS).toLowerCase()} w=${writer} n=${SEQUENCE_PLACE} caller=server.go:${random.below(900)} path=${random.pick(PATHS)} took=${random.below(900)}ms id=${random.hex(16)} msg="`
    return fill(random, line, '"', length)
  },
  (random, writer, length) => {
    const line = `I1121 w${writer} ${SEQUENCE_PLACE} ${random.below(30)} reconciler.go:${random.below(900)}] "${random.pick(WORDS)} ${random.pick(WORDS)}" object="default/${random.pick(WORDS)}-${random.hex(5)}" resourceVersion=${random.below(9999999)} `
    return fill(random, line, '', length)
  },
  (random, writer, length) => {
    const line = `${random.pick(LEVELS)} [w${writer}-exec-${random.below(64)}] c.example.${random.pick(WORDS)}.Service - ${SEQUENCE_PLACE} [${random.hex(16)}] `
    return fill(random, line, '', length)
  },
]

/** A message of `lengthBytes` (longer if its fixed part needs more) with one SEQUENCE_PLACE in it. */
export function makeMessage(random: Random, writer: number, lengthBytes: number): Buffer {
  const voice = VOICES[writer % VOICES.length]!
  return Buffer.from(voice(random, String(writer).padStart(4, '0'), lengthBytes))
}

/** A message of the paced writer: the head that carries the time of its write, and phrases up to `lengthBytes`. */
export function makePacedMessage(random: Random, writer: number, lengthBytes: number): Buffer {
  return Buffer.from(fill(random, lineHead(writer), '', lengthBytes))
}

/** Phrases up to the length, then hexadecimal digits up to the byte, so that no character is ever cut. */
function fill(random: Random, start: string, end: string, lengthBytes: number): string {
  const parts = [start]
  let room = lengthBytes - Buffer.byteLength(start) - end.length
  while (room > 12) {
    let phrase = makePhrase(random)
    while (phrase.length > room) phrase = phrase.slice(phrase.indexOf(' ') + 1)
    parts.push(phrase)
    room -= Buffer.byteLength(phrase)
  }
  if (room > 0) parts.push(random.hex(room))
  parts.push(end)
  return parts.join('')
}

/** Four words that always come together, as in the messages of real programs, and a space. */
function makePhrase(random: Random): string {
  if (random.below(FOREIGN_ONE_IN) === 0) return `${random.pick(FOREIGN_WORDS)} `
  const at = random.below(WORDS.length / 4) * 4
  return `${WORDS.slice(at, at + 4).join(' ')} `
}
