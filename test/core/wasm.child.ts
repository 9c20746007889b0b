// Posts to a server of its own, again and again, and compresses a few MiB. V8 prints what WebAssembly it compiles meanwhile.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { createHttpClient } from '../../src/ports/real-http.ts'
import { RowsAtOnce } from '../../src/sinks/loki/rows.ts'
import { Snappy } from '../../src/sinks/loki/snappy.ts'

const REQUESTS = 400
const MEBIBYTE = 2 ** 20

// Node's own, by which it reads these files, is done by now.
setFlagsFromString('--trace-wasm-compilation-times')
const server = http.createServer((_, response) => response.writeHead(204).end())
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const client = createHttpClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 1 })
const request = { method: 'POST', path: '/', headers: {}, timeoutMs: 60_000 } as const
for (let i = 0; i < REQUESTS; i++) await client.send(request)
await client.close()
server.close()

const { compress } = new Snappy(new RowsAtOnce(64 * 1024).shared)
for (let i = 0; i < 64; i++) compress(Buffer.alloc(MEBIBYTE, 'a line that is repeated\n'))
