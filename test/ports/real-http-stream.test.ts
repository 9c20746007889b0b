// Answers that are handed on as they come: what a watch needs.
import http, { type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { TaffrailError } from '../../src/core/errors.ts'
import type { AnswerStream, HttpClient } from '../../src/ports/http.ts'
import { createHttpClient } from '../../src/ports/real-http.ts'
import { failure } from './http.conformance.ts'

/** A server whose answers the test writes, and a client for it. */
async function start(t: Test, connections = 1) {
  const answers: ServerResponse[] = []
  let arrived = () => {}
  let closed = 0
  const server = http.createServer((_, response) => {
    answers.push(response)
    response.on('close', () => {
      closed++
      arrived()
    })
    arrived()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = createHttpClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections })
  t.teardown(async () => {
    await client.close()
    server.closeAllConnections()
    server.close()
  })
  const until = async (condition: () => boolean) => {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        arrived = resolve
      })
    }
  }
  return { client, answers, until, closed: () => closed }
}

function open(client: HttpClient, over: Partial<AnswerStream> = {}, timeoutMs = 10_000) {
  const chunks: string[] = []
  const waiting: (() => void)[] = []
  const stream: AnswerStream = {
    onChunk: (chunk) => {
      chunks.push(chunk.toString())
      for (const each of waiting.splice(0)) each()
    },
    idleMs: 10_000,
    signal: new AbortController().signal,
    ...over,
  }
  const sent = client.send({ method: 'GET', path: '/watch', headers: {}, timeoutMs, stream })
  const chunk = () => new Promise<void>((resolve) => waiting.push(resolve))
  return { sent, chunks, chunk }
}

t.test('chunks come as they are written, however long it takes, and the end is the answer', async (t) => {
  const { client, answers, until } = await start(t)
  // Far less than the answer will take: it stands for the status only.
  const { sent, chunks, chunk } = open(client, {}, 200)
  await until(() => answers.length === 1)
  for (const text of ['one', 'two', 'three']) {
    const came = chunk()
    answers[0]!.write(text)
    await came
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.strictSame(chunks, ['one', 'two', 'three'])
  answers[0]!.end()
  const answer = await sent
  t.equal(answer.status, 200)
  t.equal(answer.body.length, 0)
  const next = open(client)
  await until(() => answers.length === 2)
  answers[1]!.end()
  await next.sent
})

t.test('what is no success is an answer like any other', async (t) => {
  const { client, answers, until } = await start(t)
  const { sent, chunks } = open(client)
  await until(() => answers.length === 1)
  answers[0]!.writeHead(410).end('gone')
  const answer = await sent
  t.match(answer, { status: 410 })
  t.equal(answer.body.toString(), 'gone')
  t.strictSame(chunks, [])
})

t.test('silence after the status, and before it', async (t) => {
  const { client, answers, until, closed } = await start(t)
  const { sent, chunk } = open(client, { idleMs: 60 })
  await until(() => answers.length === 1)
  const came = chunk()
  answers[0]!.write('x')
  await came
  const error = await failure(sent)
  t.equal(error.code, 'HTTP_TIMEOUT')
  t.match(error.message, 'the answer fell silent for 60 ms')
  await until(() => closed() === 1)
  const before = await failure(open(client, {}, 60).sent)
  t.equal(before.code, 'HTTP_TIMEOUT')
  t.match(before.message, /no (connection|answer) within 60 ms/)
})

t.test('it can be given up, at any time', async (t) => {
  const { client, answers, until, closed } = await start(t)
  for (const write of [true, false]) {
    const abort = new AbortController()
    const { sent, chunk } = open(client, { signal: abort.signal })
    const count = answers.length
    await until(() => answers.length > count)
    const came = chunk()
    if (write) answers.at(-1)!.write('x')
    if (write) await came
    abort.abort()
    t.equal((await failure(sent)).code, 'HTTP_FAILED')
  }
  await until(() => closed() === 2)
  t.equal((await failure(open(client, { signal: AbortSignal.abort() }).sent)).code, 'HTTP_FAILED')
})

t.test('a callee that throws ends it, with its own code', async (t) => {
  const { client, answers, until, closed } = await start(t)
  const onChunk = () => {
    throw new TaffrailError('TOO_LARGE', 'an object over 2 MiB')
  }
  const { sent } = open(client, { onChunk })
  await until(() => answers.length === 1)
  answers[0]!.write('x')
  const error = await failure(sent)
  t.equal(error.code, 'TOO_LARGE')
  t.match(error.message, 'an object over 2 MiB')
  await until(() => closed() === 1)
})

t.test('a connection that breaks in the middle', async (t) => {
  const { client, answers, until } = await start(t)
  const { sent, chunk } = open(client)
  await until(() => answers.length === 1)
  const came = chunk()
  answers[0]!.write('x')
  await came
  answers[0]!.socket!.destroy()
  t.equal((await failure(sent)).code, 'HTTP_RESET')
})
