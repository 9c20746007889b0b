// What the demo's containers say: for each program a list of messages, made once and said over and over, in the shapes
// that real ones have: JSON, access logs, stack traces of Java, Python and Go, lines far longer than a runtime's buffer,
// characters of two to four bytes, lines that are all the same.
import { STDERR, STDOUT } from '../core/entry.ts'

/** One line: a text around which a sample line is made, a sample line of so many bytes, or `EQUAL_LINE` as it is. */
export interface Message {
  stream: typeof STDOUT | typeof STDERR
  content: Buffer | number | 'equal'
}

/** Said again and again without a number: only its time tells one from the next. */
export const EQUAL_LINE = Buffer.from('heartbeat: nothing to do')

export type Program =
  | 'storefront'
  | 'proxy'
  | 'cart'
  | 'checkout'
  | 'ledger'
  | 'postgres'
  | 'ingest'
  | 'dns'
  | 'exporter'

const MESSAGES = 240
const USERS = ['alice', 'bob', 'zoë', 'łukasz', 'σοφία', '山田', 'Ольга', '🦊 fox']

const JAVA_TRACE = `ERROR [http-nio-8080-exec-7] c.a.payments.CheckoutController : payment refused: „Größe überschritten“
com.acme.payments.PaymentException: card network answered 51
	at com.acme.payments.gateway.CardClient.authorize(CardClient.java:118)
	at com.acme.payments.CheckoutService.pay(CheckoutService.java:73)
	at java.base/java.lang.reflect.Method.invoke(Method.java:580)
	at org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:255)
Caused by: java.net.SocketTimeoutException: Read timed out
	at java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)
	... 41 more`

const PYTHON_TRACE = `ERROR:cart.views:could not price the basket of 山田
Traceback (most recent call last):
  File "/app/cart/views.py", line 88, in price
    total = sum(item.price for item in basket)
  File "/app/cart/models.py", line 31, in price
    return PRICES[self.sku]
KeyError: 'SKU-4711'`

const GO_TRACE = `panic: runtime error: index out of range [4] with length 4 [recovered]

goroutine 1842 [running]:
main.(*shard).put(0xc000130000, {0xc0004ae000, 0x5})
	/src/ingest/shard.go:64 +0x1d9
main.(*server).handle(0xc0000b4000, {0x8c2f40, 0xc00021c0e0})
	/src/ingest/server.go:121 +0x2fb
net/http.(*conn).serve(0xc00022e000)
	/usr/local/go/src/net/http/server.go:2092 +0x5d0`

interface Script {
  /** The usual line number `i`. */
  line: (i: number) => string
  /** The usual stream. */
  stream?: typeof STDERR
  /** Lines on stderr after every 80 of the usual ones. */
  trace?: string
  /** Once in a round. */
  long?: (Buffer | number)[]
  /** Runs of equal lines. */
  equal?: boolean
}

const pick = <T>(items: readonly T[], i: number): T => items[i % items.length] as T

const orders = (items: number) =>
  Buffer.from(
    JSON.stringify({
      event: 'batch',
      orders: Array.from({ length: items }, (_, i) => ({
        id: 4711 + i,
        user: pick(USERS, i),
        note: 'größer → 大きい 🚚',
      })),
    }),
  )

const access = (i: number) =>
  `10.42.${i % 7}.${i % 251} - - "GET /api/v1/orders/${4000 + i} HTTP/1.1" ${pick([200, 200, 200, 304, 404, 503], i)} ${i * 37} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" "req-${(i * 7919) % 99991}"`

const scripts: Record<Program, Script> = {
  storefront: {
    line: (i) =>
      JSON.stringify({
        level: i % 19 === 0 ? 'warn' : 'info',
        msg: 'request served',
        method: pick(['GET', 'POST', 'GET', 'PUT'], i),
        path: `/api/v1/products/${i * 31}`,
        status: pick([200, 200, 201, 404], i),
        durationMs: (i * 13) % 240,
        user: pick(USERS, i),
        trace: `${(i * 2654435761) % 4294967296}`,
      }),
    // Twice the buffer of containerd to the byte: its last chunk is a full line.
    long: [2 * 16_384],
  },
  proxy: { line: access, equal: true },
  cart: { line: (i) => `INFO:cart.views:basket of ${pick(USERS, i)} now holds ${i % 9} items`, trace: PYTHON_TRACE },
  checkout: {
    line: (i) =>
      `INFO [http-nio-8080-exec-${i % 20}] c.a.payments.CheckoutService : order ${90_000 + i} paid by ${pick(USERS, i)}, ${(i * 97) % 500}.${i % 100} €`,
    trace: JAVA_TRACE,
    long: [orders(700)],
  },
  ledger: {
    line: (i) => `INFO [main] c.a.ledger.Journal : entry ${i * 3} posted to account ${1000 + (i % 40)}`,
    trace: JAVA_TRACE,
    // Three times the buffer of conmon to the byte: an empty last chunk follows.
    long: [3 * 8192],
    equal: true,
  },
  postgres: {
    line: (i) =>
      i % 6 === 0
        ? `LOG:  duration: ${i}.${(i * 7) % 1000} ms  statement: SELECT * FROM orders WHERE customer = '${pick(USERS, i)}'`
        : `LOG:  checkpoint complete: wrote ${i} buffers (${i % 3}.${i % 10}%); write=${i % 30} s, sync=0.0${i % 10} s`,
    stream: STDERR,
  },
  ingest: {
    line: (i) => `level=info component=shard shard=${i % 16} msg="batch written" rows=${i * 11} took=${i % 90}ms`,
    trace: GO_TRACE,
    long: [orders(260), orders(900), 4 * 16_384, orders(420)],
  },
  dns: {
    line: (i) =>
      `[INFO] 10.42.0.${i % 250}:${30_000 + i} - ${i} "A IN ${pick(['cart', 'ledger', 'db'], i)}.svc.cluster.local. udp 54 false 512" NOERROR`,
  },
  exporter: { line: (i) => `level=debug collector=cpu msg="scraped" duration_seconds=0.00${i}`, equal: true },
}

/** The messages of a program, a few hundred, to be said in a circle. */
export function messagesOf(program: Program): readonly Message[] {
  const { line, stream = STDOUT, trace, long = [], equal = false } = scripts[program]
  const messages: Message[] = []
  for (let i = 0; i < MESSAGES; i++) {
    messages.push({ stream, content: Buffer.from(line(i)) })
    if (equal && i % 60 === 30) for (let n = 0; n < 4; n++) messages.push({ stream, content: 'equal' })
    if (trace !== undefined && i % 80 === 40) {
      for (const text of trace.split('\n')) messages.push({ stream: STDERR, content: Buffer.from(text) })
    }
    const longAt = Math.floor(MESSAGES / (long.length + 1))
    const content = i % longAt === 0 ? long[i / longAt - 1] : undefined
    if (content !== undefined) messages.push({ stream, content })
  }
  return messages
}
