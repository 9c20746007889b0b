// `taffrail setup` as a function: usage, configuration, clusters that do not answer.
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { setup } from '../../src/commands/setup.ts'

async function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const out = { stdout: '', stderr: '' }
  const io = {
    stdout: (text: string) => void (out.stdout += text),
    stderr: (text: string) => void (out.stderr += text),
    env: {},
  }
  return { code: await setup(args, io), ...out }
}

function config(t: Test, sink: string): string {
  const path = join(t.testdir(), 'taffrail.yaml')
  writeFileSync(path, `clusterName: Lab-1\nsources: [{name: a, type: containers}]\nsinks: [${sink}]\n`)
  return path
}

t.test('usage', async (t) => {
  t.match(await run([]), { code: 2, stderr: /--config FILE is missing/ })
  t.match(await run(['--what']), { code: 2, stderr: /what/ })
  t.match(await run(['--help']), { code: 0, stdout: /Usage: taffrail setup/ })
  t.match(await run(['-c', '/not/there']), { code: 2, stderr: /no such file/ })
  t.match(await run(['-c', config(t, '{name: o, type: stdout}')]), { code: 0, stdout: /nothing to set up/ })
})

t.test('what is missing is put on the cluster', async (t) => {
  const objects = new Map<string, string>()
  const server = createServer((request, response) => {
    const { method } = request
    const [url = ''] = (request.url ?? '').split('?')
    let body = ''
    request.on('data', (chunk) => void (body += chunk))
    request.on('end', () => {
      if (method === 'PUT') objects.set(url, body)
      const there = url === '/' ? '{"version":{"number":"9.0.0"}}' : objects.get(url)
      response.writeHead(there === undefined ? 404 : 200).end(there ?? '{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const path = config(t, `{name: es, type: elasticsearch, urls: ["http://127.0.0.1:${port}"]}`)
  t.match(await run(['-c', path]), { code: 0, stdout: /es: index template taffrail-logs-lab_1: made/, stderr: '' })
  t.equal(objects.size, 4)
  t.match(await run(['-c', path]), { code: 0, stdout: /^(?:es: .*: is there\n){4}$/ })
})

t.test('a cluster that does not answer', async (t) => {
  const path = config(t, '{name: es, type: elasticsearch, urls: ["http://127.0.0.1:9"]}')
  t.match(await run(['-c', path]), { code: 1, stderr: /taffrail setup: es: .*connection refused/ })
})
