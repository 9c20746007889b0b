// How the port answers, whoever asks: headers that let a browser do nothing but show, a bound on the bytes that clients
// leave unread and on the time they may take, and a bound on the CPU that making answers takes.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../ports/clock.ts'

export interface Answer {
  status: number
  type: string
  body: Buffer | string
  headers?: Record<string, string>
}

const answerMsMax = 30_000
const unreadBytesMax = 8 * 1024 * 1024
/** Answers up to this size are always given: a probe must not fail because others do not read theirs. */
const smallAnswerBytes = 8 * 1024
/** A pause while an answer was made must not make the next ones old. */
const keptMsMax = 2_000
/** A client that was told off may still be sending; closed at once, it would see a reset instead of the answer. */
const lingerMs = 1_000

/** An answer of one line of text. */
export function plain(status: number, line: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${line}\n` }
}

/**
 * Gives the same value again for 19 times as long as making it took, so that no number of requests takes more than 5 %
 * of a core for it, but at most for `keptMsMax`. What throws or rejects is not kept.
 */
export function shared<Value>(clock: Clock, make: () => Value): () => Value {
  let kept: { value: Value } | null = null
  let freshUntil = 0
  return () => {
    const started = clock.monotonic()
    if (kept !== null && started < freshUntil) return kept.value
    const made = { value: make() }
    const keep = () => {
      const ended = clock.monotonic()
      freshUntil = ended + Math.min(19 * (ended - started), keptMsMax)
    }
    kept = made
    if (made.value instanceof Promise) {
      freshUntil = Infinity
      made.value.then(keep, () => {
        kept = null
      })
    } else keep()
    return made.value
  }
}

/** Makes the function that writes answers; one per server, since it counts the bytes that are not read yet. */
export function createSender(clock: Clock) {
  let unreadBytes = 0
  return (request: IncomingMessage, response: ServerResponse, wanted: Answer): void => {
    // Who left while the answer was made will not close again, so nothing may be counted for them.
    if (response.destroyed) return
    const tooMuch = wanted.body.length > smallAnswerBytes && unreadBytes + wanted.body.length > unreadBytesMax
    const busy = { ...plain(503, 'busy: too many unread answers'), headers: { 'retry-after': '1' } }
    const { status, type, body, headers } = tooMuch && unreadBytes > 0 ? busy : wanted
    const size = Buffer.byteLength(body)
    unreadBytes += size
    const cancel = clock.after(answerMsMax, () => response.destroy())
    response.once('close', () => {
      cancel()
      unreadBytes -= size
    })
    response.writeHead(status, {
      'content-type': type,
      'content-length': size,
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      // A body is never read: whoever sends one is cut off after the answer.
      ...(hasBody(request) ? { connection: 'close' } : {}),
      ...headers,
    })
    response.end(body)
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Answers a socket that has no request which could be answered, then closes it. May be called again for the same socket.
 *
 * @param status the code and its words, e.g. `400 Bad Request`.
 * @param header whole header lines.
 */
export function refuse(clock: Clock, socket: Socket, status: string, header = ''): void {
  if (!socket.writable) {
    // Either it still sends after the answer, and the timer below ends it, or it is gone, and this is how it said so.
    if (!socket.writableEnded) socket.destroy()
    return
  }
  const line = `${status.toLowerCase()}\n`
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${line.length}\r\n` +
      `${header}Connection: close\r\n\r\n${line}`,
  )
  socket.resume()
  socket.once(
    'close',
    clock.after(lingerMs, () => socket.destroy()),
  )
}
