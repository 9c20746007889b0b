// A webhook in a configuration: who may send to it, what it may hold, and that its events go where audit events go.
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'

const MACHINE = { env: {}, hostname: 'host', cgroup: { memory: null, cpu: null } }
const FILES = { certFile: '/etc/hosts', keyFile: '/etc/hosts' }

function load(source: object, more: object = {}) {
  const sources = [{ name: 'hook', type: 'auditWebhook', ...source }]
  const text = JSON.stringify({ sources, sinks: [{ name: 'out', type: 'stdout' }], ...more })
  return loadConfig(text, { path: 'c.yaml', ...MACHINE })
}

function errors(source: object, more: object = {}): string[] {
  const loaded = load(source, more)
  return 'errors' in loaded ? loaded.errors.map(({ key, message }) => `${key}: ${message}`) : []
}

t.test('what holds by default', async (t) => {
  const loaded = load({ tls: { ...FILES, clientCaFile: '/etc/hosts' } })
  t.match('config' in loaded ? loaded.config.sources[0] : loaded.errors, {
    listen: '0.0.0.0:9443',
    tls: { clientCaFile: '/etc/hosts' },
    tokenFile: null,
    bodyBytesMax: 16 * 2 ** 20,
    spoolBytesMax: 2 ** 30,
    policyFile: null,
    redaction: { keyFile: null },
  })
})

t.test('nobody is let in without a certificate or a token, nor without TLS but from here', async (t) => {
  t.strictSame(errors({ tls: FILES }), ['sources[0].tls: lets everybody in; give clientCaFile, or tokenFile beside it'])
  t.strictSame(errors({ tls: FILES, tokenFile: '/etc/hosts' }), [])
  const missing = /^sources\[0\]\.tls: is missing; without it only a loopback address can be listened on/
  for (const listen of ['0.0.0.0:1', '10.0.0.1:1', '[::]:1', ':1', 'example.com:1', '127.example.com:1']) {
    t.match(errors({ listen, tokenFile: '/etc/hosts' }), [missing], listen)
  }
  for (const listen of ['127.0.0.1:1', '[::1]:1', 'localhost:1']) t.strictSame(errors({ listen }), [], listen)
})

t.test('a body of the largest size must fit', async (t) => {
  const own = { listen: '127.0.0.1:1' }
  t.strictSame(errors({ ...own, bodyBytesMax: '16Mi' }, { limits: { memory: '96Mi' } }), [])
  t.strictSame(errors({ ...own }, { limits: { memory: '64Mi' } }), [
    'sources[0].bodyBytesMax: 16Mi is more than a sixth of limits.memory, 64Mi',
  ])
})

t.test('two sources cannot listen on one address', async (t) => {
  const hook = (name: string, listen: string) => ({ name, type: 'auditWebhook', listen })
  const both = (a: string, b: string) => errors({}, { sources: [hook('a', a), hook('b', b)] })
  t.strictSame(both('127.0.0.1:1', '127.0.0.1:1'), ['sources[1].listen: sources[0] listens on 127.0.0.1:1 already'])
  t.strictSame(both('127.0.0.1:1', '127.0.0.1:2'), [])
})

t.test('its events go apart from all but audit events', async (t) => {
  const own = { listen: '127.0.0.1:1' }
  const sources = (type: string) => [
    { name: 'hook', type: 'auditWebhook', ...own },
    { name: 'other', type, paths: ['/a.log'] },
  ]
  const sinks = [{ name: 'loki', type: 'loki', url: 'http://l' }]
  t.match(errors({}, { sources: sources('files'), sinks }), [/takes an audit source beside others/])
  t.strictSame(errors({}, { sources: sources('audit'), sinks }), [])
  t.match(errors({ ...own, paths: ['/a.log'] }), [/paths: unknown key|unknown key/])
})
