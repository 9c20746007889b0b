// undici and the kernel keep to the suite; what only they can show (sockets, the caller's memory) is tested here.
import http from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { release, releaseUnlessPooled } from '../../src/core/memory.ts'
import { createHttpClient } from '../../src/ports/real-http.ts'
import { type Conduct, type CutPlace, type FarEnd, failure, httpConformance, post } from './http.conformance.ts'

httpConformance(t, () => ({
  createClient: createHttpClient,
  startFarEnd,
  deadOrigin: async () => {
    const server = createServer()
    const origin = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    return origin
  },
  passTime: (promise) => promise,
}))

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  })
}

async function startFarEnd(t: Test): Promise<FarEnd> {
  const numbers = new WeakMap<Socket, number>()
  const waiting = new Set<{ condition: () => boolean; resolve: () => void }>()
  const ask = () => {
    for (const waiter of waiting) if (waiter.condition()) waiter.resolve()
  }
  let open = 0
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    far.atOnceMax = Math.max(far.atOnceMax, ++open)
    response.once('close', () => open--)
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers, socket } = request
      const connection = numbers.get(socket)!
      const seen = { method: method!, path: url!, headers, body: Buffer.concat(chunks), connection }
      far.seen.push(seen)
      act(far.conduct(seen), response)
      ask()
    })
  })
  server.on('connection', (socket: Socket) => {
    numbers.set(socket, ++far.connections)
    socket.on('close', ask).on('error', () => {})
  })
  const far: FarEnd = {
    origin: await listen(server),
    seen: [],
    connections: 0,
    atOnceMax: 0,
    conduct: () => ({ kind: 'answer', status: 204 }),
    until: (condition) =>
      new Promise((resolve) => {
        waiting.add({ condition, resolve })
        ask()
      }),
  }
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return far
}

const cuts: Record<CutPlace, string> = {
  start: '',
  'status line': 'HTTP/1.1 20',
  headers: 'HTTP/1.1 200 OK\r\ncontent-le',
  body: 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut',
  'last body': 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\ncut',
  chunk: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ncut',
  'last chunk': 'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\ncut',
}

function act(conduct: Conduct, response: http.ServerResponse): void {
  const socket = response.socket!
  switch (conduct.kind) {
    case 'answer':
      response.writeHead(conduct.status, conduct.headers).end(conduct.body)
      return
    case 'hold':
      void conduct.until.then(() => response.writeHead(204).end())
      return
    case 'reset':
      socket.resetAndDestroy()
      return
    case 'cut':
      if (conduct.by === 'end') socket.end(cuts[conduct.where])
      else socket.write(cuts[conduct.where], () => socket.resetAndDestroy())
      return
    case 'nonsense':
      socket.end('SSH-2.0-OpenSSH_9.6\r\n')
      return
    case 'hang':
      return
    case 'trickle': {
      response.writeHead(200, { 'transfer-encoding': 'chunked' }).write('x')
      const timer = setInterval(() => response.write('x'), 5)
      socket.once('close', () => clearInterval(timer))
    }
  }
}

/** A server that reads nothing after the first bytes until `resume`, and looks for a byte in all that comes. */
async function stubborn(t: Test, greeting: string) {
  let socket: Socket | undefined
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const read = { bytes: 0, strange: 0 }
  const server = createServer((connection) => {
    socket = connection
    connection.on('error', () => {}).on('close', () => end())
    connection.on('data', (chunk) => {
      read.bytes += chunk.length
      for (const byte of chunk) if (byte === 0x5a) read.strange++
      if (read.bytes !== chunk.length) return
      connection.pause()
      connection.write(greeting)
      arrive()
    })
  })
  const origin = await listen(server)
  t.teardown(() => {
    socket?.destroy()
    server.close()
  })
  return { origin, arrived, ended, read, resume: () => socket?.resume() }
}

const large = 32 * 1024 * 1024

t.test('after a timeout the buffer is the caller’s again: not a byte of it is sent any more', async (t) => {
  const server = await stubborn(t, '')
  const client = createHttpClient(server.origin, { connections: 1 })
  const body = Buffer.alloc(large, 'a')
  const sent = failure(client.send(post({ body, timeoutMs: 100 })))
  await server.arrived
  const error = await sent
  t.equal(error.code, 'HTTP_TIMEOUT')
  body.fill('Z')
  server.resume()
  await server.ended
  t.equal(server.read.strange, 0)
  t.ok(server.read.bytes < large, 'the server did not get it all')
  await client.close()
})

t.test('after an answer that came early the buffer is the caller’s again too', async (t) => {
  const server = await stubborn(t, 'HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig')
  const client = createHttpClient(server.origin, { connections: 1 })
  const body = Buffer.alloc(large, 'a')
  const answer = await client.send(post({ body }))
  t.equal(answer.status, 413)
  t.equal(answer.body.toString(), 'big')
  body.fill('Z')
  server.resume()
  await server.ended
  t.equal(server.read.strange, 0)
  t.ok(server.read.bytes < large, 'the server did not get it all')
  await client.close()
})

t.test('an answer that comes byte by byte is not kept byte by byte', async (t) => {
  const bytes = 20_000
  const server = await stubborn(
    t,
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(bytes)}1\r\nb\r\n0\r\n\r\n`,
  )
  const client = createHttpClient(server.origin, { connections: 1 })
  const { concat } = Buffer
  let piecesMax = 0
  Buffer.concat = (pieces, length) => {
    piecesMax = Math.max(piecesMax, pieces.length)
    return concat.call(Buffer, pieces, length)
  }
  t.teardown(() => {
    Buffer.concat = concat
  })
  const answer = await client.send(post({ body: Buffer.alloc(large) }))
  t.equal(answer.body.toString(), `${'a'.repeat(bytes)}b`)
  t.ok(piecesMax < 100, `${piecesMax} pieces`)
  await client.close()
})

t.test('what cannot be sent at all fails at once, and blames nobody else', async (t) => {
  const far = await startFarEnd(t)
  const client = createHttpClient(far.origin, { connections: 1 })
  t.teardown(() => client.close())
  for (const request of [post({ headers: { 'x-scope-orgid': 'a\r\nb: c' } }), post({ path: 'no slash' })]) {
    const error = await failure(client.send(request))
    t.equal(error.code, 'HTTP_FAILED', error.message)
    t.equal((await client.send(post())).status, 204)
  }
  t.equal(far.seen.length, 2)
})

t.test('a name that does not exist is HTTP_DNS', async (t) => {
  const client = createHttpClient('http://nobody.invalid:3100', { connections: 1 })
  t.teardown(() => client.close())
  const error = await failure(client.send(post()))
  t.equal(error.code, 'HTTP_DNS')
  t.match(error.message, /^http:\/\/nobody\.invalid:3100: the host name cannot be resolved \(E/)
})

t.test('odd answers', async (t) => {
  const say = async (t: Test, bytes: string) => {
    const server = createServer((socket) => {
      socket.on('error', () => {}).on('data', () => socket.write(bytes))
    })
    const client = createHttpClient(await listen(server), { connections: 1 })
    t.teardown(async () => {
      await client.close()
      server.close()
    })
    return client
  }
  t.test('one without a length ends with its connection, also in HTTP/1.0', async (t) => {
    for (const version of ['1.1', '1.0']) {
      const bytes = `HTTP/${version} 200 OK\r\n\r\n{"errors":false`
      const server = createServer((socket) => {
        socket.on('error', () => {}).on('data', () => socket.end(`${bytes},"items":[]}`))
      })
      const client = createHttpClient(await listen(server), { connections: 1 })
      for (let n = 0; n < 2; n++) t.equal((await client.send(post())).body.toString(), '{"errors":false,"items":[]}')
      await client.close()
      server.close()
    }
  })
  // undici does not take it; nobody sends it to a request that did not ask.
  t.test('100 that nobody asked for is an error with a name', async (t) => {
    const client = await say(t, 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n')
    t.equal((await failure(client.send(post()))).code, 'HTTP_PROTOCOL')
  })
  t.test('interim ones are passed over', async (t) => {
    const client = await say(t, 'HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\nHTTP/1.1 204 No Content\r\na: b\r\n\r\n')
    t.strictSame(await client.send(post()), { status: 204, headers: { a: 'b' }, body: Buffer.alloc(0) })
  })
  t.test('an upgrade is none', async (t) => {
    const client = await say(t, 'HTTP/1.1 101 Switching\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n')
    t.equal((await failure(client.send(post()))).code, 'HTTP_PROTOCOL')
  })
  t.test('headers without end are none', async (t) => {
    const client = await say(t, `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`)
    t.match(await failure(client.send(post())), {
      code: 'HTTP_PROTOCOL',
      message: /headers of the answer are too large/,
    })
  })
})

t.test('a connection that ended while it was idle is replaced', async (t) => {
  const far = await startFarEnd(t)
  const client = createHttpClient(far.origin, { connections: 1 })
  t.teardown(() => client.close())
  far.conduct = () => ({ kind: 'answer', status: 204, headers: { connection: 'close' } })
  for (let n = 1; n <= 3; n++) {
    t.equal((await client.send(post())).status, 204)
    t.equal(far.connections, n)
  }
})

t.test('what a long answer came in is given back at once', async (t) => {
  const far = await startFarEnd(t)
  const client = createHttpClient(far.origin, { connections: 1 })
  t.teardown(() => client.close())
  const body = Buffer.alloc(1024 * 1024, 'an answer ')
  far.conduct = () => ({ kind: 'answer', status: 200, body })
  let most = 0
  const before = process.memoryUsage().arrayBuffers
  for (let n = 0; n < 64; n++) {
    const answer = await client.send(post({ answerBytesMax: body.length }))
    if (!answer.body.equals(body)) t.fail('another answer')
    release(answer.body)
    far.seen.length = 0
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  t.ok(most < 4 * body.length, `${most} bytes`)
})

t.test('what lies in the pool of small buffers stays there', async (t) => {
  const pooled = Buffer.from('of many')
  const beside = Buffer.from('of others')
  const own = Buffer.alloc(40_000, 'x')
  const full = Buffer.alloc(Buffer.poolSize)
  for (const each of [pooled, own, full]) releaseUnlessPooled(each)
  t.strictSame([pooled.toString(), beside.toString(), own.length, full.length], ['of many', 'of others', 0, 0])
})
