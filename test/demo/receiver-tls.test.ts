// The embedded receiver over TLS: it shows its certificate, asks for the client's, and can show a bad one.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type buildConnector, Client } from 'undici'
import { type ReceiverOptions, startReceiver } from '../../src/demo/receiver.ts'

const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url))
const SERVER = { key: pem('server-key'), cert: pem('server') }
const CA = pem('ca')
const CLIENT = { key: pem('client-key'), cert: pem('client') }

async function ready(t: Test, tls: NonNullable<ReceiverOptions['tls']>, connect: buildConnector.BuildOptions) {
  const receiver = await startReceiver({ tls })
  const client = new Client(receiver.url, { connect })
  t.teardown(async () => {
    await client.destroy()
    await receiver.close()
  })
  t.match(receiver.url, /^https:\/\/127\.0\.0\.1:\d+$/)
  return (await client.request({ method: 'GET', path: '/ready' })).statusCode
}

t.test('a client that knows the CA gets in', async (t) => {
  t.equal(await ready(t, SERVER, { ca: CA }), 200)
})

t.test('a client that does not, refuses', async (t) => {
  await t.rejects(ready(t, SERVER, {}), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
})

t.test('an expired certificate is refused', async (t) => {
  await t.rejects(ready(t, { ...SERVER, cert: pem('expired-server') }, { ca: CA }), { code: 'CERT_HAS_EXPIRED' })
})

t.test('with a client CA: only clients with a certificate', async (t) => {
  const tls = { ...SERVER, ca: CA }
  t.equal(await ready(t, tls, { ca: CA, ...CLIENT }), 200)
  await t.rejects(ready(t, tls, { ca: CA }))
  await t.rejects(ready(t, tls, { ca: CA, ...SERVER }), 'a certificate that is not for clients')
})

t.test('faults over TLS: the connection breaks', async (t) => {
  for (const fault of [
    { kind: 'reset', store: 'none' },
    { kind: 'cut', afterBytes: 5, store: 'none' },
  ] as const) {
    const receiver = await startReceiver({ tls: SERVER, fault: () => fault })
    const client = new Client(receiver.url, { connect: { ca: CA } })
    t.teardown(async () => {
      await client.destroy()
      await receiver.close()
    })
    await t.rejects(client.request({ method: 'POST', path: '/loki/api/v1/push', body: 'x' }), {
      code: 'UND_ERR_SOCKET',
    })
    t.strictSame(receiver.counts.answers, { [fault.kind]: 1 })
  }
})
