// An Elasticsearch that keeps nothing: a process of its own that answers every bulk with one item per document, 201 and the
// document's id, as the real one does. With `--record FILE` it writes the bulks there, uncompressed: what the floor sends.
// Speaks with its parent over IPC only; ends with it.

import { closeSync, openSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

export interface BulkReport {
  requests: number
  documents: number
  /** As they came, and uncompressed. */
  sentBytes: number
  bulkBytes: number
}

export type BulkQuestion = { ask: 'reset'; record: string | null } | { ask: 'report' }

const NEWLINE = 10
const QUOTE = 0x22
const ID = '"_id":"'

let report: BulkReport = { requests: 0, documents: 0, sentBytes: 0, bulkBytes: 0 }
let recordFd = -1

function items(bulk: Buffer): string {
  const parts: string[] = []
  for (let at = 0; at < bulk.length; ) {
    const id = bulk.indexOf(ID, at, 'latin1') + ID.length
    parts.push(`{"create":{"_id":"${bulk.toString('latin1', id, bulk.indexOf(QUOTE, id))}","status":201}}`)
    at = bulk.indexOf(NEWLINE, bulk.indexOf(NEWLINE, at) + 1) + 1
    if (at === 0) throw new Error('the bulk ends in the middle of a document')
  }
  report.documents += parts.length
  return `{"errors":false,"items":[${parts.join(',')}]}`
}

function onRequest(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    const bulk = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    report.requests += 1
    report.sentBytes += body.length
    report.bulkBytes += bulk.length
    if (report.requests === 1) process.send?.({ first: true })
    if (recordFd >= 0) writeSync(recordFd, bulk)
    const answer = Buffer.from(items(bulk), 'latin1')
    response.writeHead(200, { 'content-type': 'application/json; charset=UTF-8', 'content-length': answer.length })
    response.end(answer)
  })
}

function answer(question: BulkQuestion): unknown {
  if (question.ask === 'report') return report
  report = { requests: 0, documents: 0, sentBytes: 0, bulkBytes: 0 }
  if (recordFd >= 0) closeSync(recordFd)
  recordFd = question.record === null ? -1 : openSync(question.record, 'w')
  return {}
}

const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0, headersTimeout: 0 }, onRequest)
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('message', (message: BulkQuestion & { id: number }) => {
  process.send?.({ id: message.id, answer: answer(message) })
})
process.on('disconnect', () => process.exit(0))
