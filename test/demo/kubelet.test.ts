// The tree must look like a node's at every moment.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { type Container, Kubelet } from '../../src/demo/kubelet.ts'
import { PODS, type PodSpec, podName } from '../../src/demo/workload.ts'

const NOW = Date.parse('2026-11-21T07:56:51Z')
const LEDGER = PODS.find(({ owner }) => owner === 'ledger') as PodSpec

function start(t: Test, spec = LEDGER) {
  const root = t.testdir({})
  const kubelet = new Kubelet(root, (error) => t.error(error))
  const pod = kubelet.startPod(spec, podName(spec), NOW)
  const container = pod.containers[0] as Container
  const names = () => readdirSync(container.directory).sort()
  const links = () => readdirSync(`${root}/containers`)
  return { root, kubelet, pod, container, names, links }
}

t.test('a pod lies where the kubelet puts it', async (t) => {
  const { root, pod, names, links } = start(t)
  const uid = /^payments_ledger-0_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
  t.match(readdirSync(`${root}/pods`), [uid])
  t.same(names(), ['0.log'])
  t.match(links(), [/^ledger-0_payments_ledger-[0-9a-f]{64}\.log$/])
  t.equal(readlinkSync(join(root, 'containers', links()[0]!)), `${pod.directory}/ledger/0.log`)
})

t.test('names of pods', async (t) => {
  const names = Object.fromEntries(PODS.map((spec) => [spec.owner, podName(spec)]))
  t.match(names.storefront, /^storefront-[a-z0-9]{9}-[a-z0-9]{5}$/)
  t.equal(names.postgres, 'postgres-0')
  t.match(names['node-exporter'], /^node-exporter-[a-z0-9]{5}$/)
  t.match(names.settlement, /^settlement-\d{8}-[a-z0-9]{5}$/)
})

t.test('rotation: renamed, missing for a moment, and compressed by the next one', async (t) => {
  const { kubelet, container, names } = start(t)
  container.log?.write(10, NOW)
  kubelet.rotate(container, NOW)
  t.same(names(), ['0.log.20261121-075651'])
  container.log?.write(10, NOW + 50)
  kubelet.rotate(container, NOW + 60)
  t.equal(kubelet.counts.rotations, 1, 'not again before the writer has been told')
  kubelet.tick(NOW + 100)
  t.same(names(), ['0.log', '0.log.20261121-075651'])
  const plain = readFileSync(join(container.directory, '0.log.20261121-075651'))
  t.equal(plain.length, container.writer.bytes, 'what was written in between is in the renamed file')
  kubelet.rotate(container, NOW + 900)
  t.equal(kubelet.counts.rotations, 1, 'not twice under one name')

  container.log?.write(10, NOW + 5000)
  kubelet.rotate(container, NOW + 5000)
  await kubelet.settle(NOW + 5000)
  t.same(names(), ['0.log', '0.log.20261121-075651.gz', '0.log.20261121-075656'])
  t.ok(gunzipSync(readFileSync(join(container.directory, names()[1]!))).equals(plain))
  t.match(kubelet.counts, { rotations: 2, compressions: 1 })
})

t.test('five files at most, but none goes while it is young', async (t) => {
  const rotate = async (everyMs: number) => {
    const { kubelet, container, names } = start(t)
    for (let i = 1; i <= 9; i++) {
      container.log?.write(10, NOW + i * everyMs)
      kubelet.rotate(container, NOW + i * everyMs)
      await kubelet.settle(NOW + i * everyMs + 100)
    }
    return names()
  }
  t.equal((await rotate(10_000)).length, 5)
  t.equal((await rotate(1000)).length, 10)
})

t.test('a restart: the next number, a new link, and the old ones stay a while', async (t) => {
  const { kubelet, container, names, links } = start(t)
  const [old] = links()
  container.log?.write(10, NOW)
  kubelet.restart(container, NOW)
  t.equal(container.log, null)
  kubelet.tick(NOW + 1000)
  t.same(names(), ['0.log', '1.log'])
  t.equal(links().length, 2)
  t.match(readFileSync(`${container.directory}/0.log`, 'latin1').trimEnd().split('\n').at(-1), / stdout P /)
  kubelet.tick(NOW + 15_000)
  t.same(names(), ['0.log', '1.log'])
  kubelet.tick(NOW + 16_000)
  t.same(names(), ['1.log'])
  t.notOk(links().includes(old!))
})

t.test('a restart between a rename and the new file', async (t) => {
  const { kubelet, container, names } = start(t)
  container.log?.write(10, NOW)
  kubelet.rotate(container, NOW)
  kubelet.restart(container, NOW + 20)
  kubelet.tick(NOW + 1000)
  t.same(names(), ['0.log.20261121-075651', '1.log'])
  kubelet.tick(NOW + 20_000)
  t.same(names(), ['1.log'])
})

t.test('a pod that comes back under its name goes on counting', async (t) => {
  const { root, kubelet, pod, container } = start(t)
  container.log?.write(10, NOW)
  kubelet.endPod(pod, NOW)
  const again = kubelet.startPod(LEDGER, podName(LEDGER), NOW + 1500)
  t.equal(again.containers[0]?.writer, container.writer)
  t.not(again.directory, pod.directory)
  t.equal(readdirSync(`${root}/pods`).length, 2)
  kubelet.tick(NOW + 15_000)
  t.notOk(existsSync(pod.directory))
  t.equal(readdirSync(`${root}/containers`).length, 1)
})

t.test('settling ends what is half done and removes nothing', async (t) => {
  const { kubelet, container, names, pod } = start(t)
  kubelet.rotate(container, NOW)
  await kubelet.settle(NOW + 1)
  t.same(names(), ['0.log', '0.log.20261121-075651'])
  kubelet.restart(container, NOW + 2)
  await kubelet.settle(NOW + 3)
  t.same(names(), ['0.log', '0.log.20261121-075651', '1.log'])
  kubelet.endPod(pod, NOW + 4)
  await kubelet.settle(NOW + 5)
  t.same(names(), ['0.log', '0.log.20261121-075651', '1.log'])
})
