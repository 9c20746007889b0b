// The floor of the `bulk` case: reads the corpus, and the same documents that the agent sends, encoded already; compresses
// each MiB of them at the same level (0: not at all) and posts it, one request in flight, and reads the answer. Nothing else: no lines, no
// encoding, no retry. `bulk-floor.ts LINKS_DIRECTORY DOCUMENTS_FILE URL LEVEL`.

import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Client } from 'undici'

const READ_BYTES = 512 * 1024
const POST_BYTES = 1024 * 1024
const NEWLINE = 10

const [directory, documents, url, levelText] = process.argv.slice(2)
if (directory === undefined || documents === undefined || url === undefined || levelText === undefined) {
  throw new Error('usage: bulk-floor.ts LINKS_DIRECTORY DOCUMENTS_FILE URL LEVEL')
}
const level = Number(levelText)
const client = new Client(url)
const headers: Record<string, string> = { 'content-type': 'application/x-ndjson' }
if (level > 0) headers['content-encoding'] = 'gzip'

async function post(bytes: Buffer): Promise<void> {
  const body = level > 0 ? gzipSync(bytes, { level, chunkSize: POST_BYTES >> 2 }) : bytes
  const response = await client.request({ method: 'POST', path: '/_bulk', headers, body })
  await response.body.arrayBuffer()
  if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
}

/** Where the last whole document in block[0, filled) ends. Its action line begins with `{"create"`. */
function lastDocumentEnd(block: Buffer, filled: number): number {
  for (let end = filled; ; ) {
    const newline = block.lastIndexOf(NEWLINE, end - 1)
    if (newline < 0) throw new Error('a document larger than a post')
    // Not at the block's own end: that may be the end of an action line.
    if (block.toString('latin1', newline + 1, newline + 11) === '{"create":') return newline + 1
    end = newline
  }
}

const scratch = Buffer.allocUnsafeSlow(READ_BYTES)
for (const name of readdirSync(directory).sort()) {
  const fd = openSync(join(directory, name), 'r')
  while (readSync(fd, scratch, 0, READ_BYTES, null) > 0);
  closeSync(fd)
}
const block = Buffer.allocUnsafeSlow(POST_BYTES)
const fd = openSync(documents, 'r')
for (let filled = 0; ; ) {
  const bytes = readSync(fd, block, filled, POST_BYTES - filled, null)
  filled += bytes
  if (filled === 0) break
  const end = bytes === 0 ? filled : lastDocumentEnd(block, filled)
  await post(block.subarray(0, end))
  block.copyWithin(0, end, filled)
  filled -= end
}
closeSync(fd)
await client.close()
