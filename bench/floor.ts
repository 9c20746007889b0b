// The floor: what any agent in this runtime must at least do. It reads the files in 512 KiB reads into one buffer,
// compresses each MiB with snappy and posts it over one connection, one request in flight. Nothing else: no lines, no
// times, no order, no retry. `floor.ts LINKS_DIRECTORY PUSH_URL`.

import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { compressSync } from 'snappy'
import { Client } from 'undici'

const READ_BYTES = 512 * 1024
const POST_BYTES = 1024 * 1024

const [directory, url] = process.argv.slice(2)
if (directory === undefined || url === undefined) throw new Error('usage: floor.ts LINKS_DIRECTORY PUSH_URL')
const { origin, pathname } = new URL(url)
const client = new Client(origin)
const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
const buffer = Buffer.allocUnsafeSlow(POST_BYTES)
let filled = 0

async function post(bytes: number): Promise<void> {
  const body = compressSync(buffer.subarray(0, bytes), { copyOutputData: true })
  const response = await client.request({ method: 'POST', path: pathname, headers, body })
  await response.body.dump()
  if (response.statusCode !== 204) throw new Error(`answered ${response.statusCode}`)
}

for (const name of readdirSync(directory).sort()) {
  const fd = openSync(join(directory, name), 'r')
  for (;;) {
    const bytes = readSync(fd, buffer, filled, Math.min(READ_BYTES, POST_BYTES - filled), null)
    if (bytes === 0) break
    filled += bytes
    if (filled === POST_BYTES) {
      await post(filled)
      filled = 0
    }
  }
  closeSync(fd)
}
if (filled > 0) await post(filled)
await client.close()
