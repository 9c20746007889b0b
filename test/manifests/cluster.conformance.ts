// The manifests through kubectl: built with the kustomize in it, which must give what ours gives, and applied to a real API
// server as a dry run. TAFFRAIL_TEST_KUBECTL names the program, by default the one on the path. Two namespaces are made there, and
// removed; nothing else is stored.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { parseAllDocuments, stringify } from 'yaml'
import { build, type KubeObject, OVERLAYS, ownOverlay, ROOT } from './kustomize.ts'

const KUBECTL = process.env.TAFFRAIL_TEST_KUBECTL ?? 'kubectl'
const run = promisify(execFile)

/** Runs kubectl; `warnings` is what the server had to say beside its answer. */
async function kubectl(args: string[], input = ''): Promise<{ stdout: string; warnings: string }> {
  const running = run(KUBECTL, args, { maxBuffer: 16 * 1024 * 1024 })
  running.child.stdin?.end(input)
  const { stdout, stderr } = await running
  return { stdout, warnings: stderr }
}

function objectsIn(text: string): KubeObject[] {
  return parseAllDocuments(text).map((document) => (document as { toJS(): KubeObject }).toJS())
}

function inOrder(objects: KubeObject[]): KubeObject[] {
  const key = ({ kind, metadata }: KubeObject) => `${kind}/${metadata.name}`
  return objects.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** Without the hashes of generated ConfigMaps, in their names and wherever they are referred to. */
function withoutHashes(text: string): string {
  return text.replace(/\b(taffrail-(?:webhook-)?(?:config|environment))-[a-z0-9]{10}\b/g, '$1')
}

/** `kubeconfig`: the path of that of an administrator. */
export function clusterConformance(t: Test, kubeconfig: string): void {
  t.test('what kubectl builds is what our own kustomize builds', async (t) => {
    const directories = ['base', 'node', 'control-plane', 'control-plane/audit', 'sidecar', 'webhook', ...OVERLAYS]
    const paths = directories.map((name) => `${ROOT}/${name}`)
    paths.push(ownOverlay(t, 'overlays/loki', 'non-root', 'pod-monitor'))
    for (const path of paths) {
      const { stdout, warnings } = await kubectl(['kustomize', path])
      t.equal(warnings, '', path)
      t.strictSame(inOrder(objectsIn(withoutHashes(stdout))), inOrder(build(path)), path)
    }
  })

  t.test('the overlay of docs/install.md comes to what is said there', async (t) => {
    const text = readFileSync(`${ROOT}/../docs/install.md`, 'utf8')
    const [overlay = '', patches = ''] = Array.from(
      text.matchAll(/^```yaml\n(.*?)^```$/gms),
      ([, yaml]) => yaml as string,
    )
    const components = '# components: [../manifests/components/pod-monitor]\n'
    t.match(overlay, components)
    const from = relative(t.testdirName, ROOT)
    const both = overlay.replace(components, components.slice(2)) + patches
    const { stdout } = await kubectl([
      'kustomize',
      t.testdir({ 'kustomization.yaml': both.replaceAll('../manifests', from) }),
    ])
    const objects = objectsIn(withoutHashes(stdout))
    const find = (kind: string, name = 'taffrail') =>
      objects.find((object) => object.kind === kind && object.metadata.name === name)
    t.match(find('ConfigMap', 'taffrail-environment')?.data, { CLUSTER_NAME: 'prod-1', LOKI_AUDIT_TENANT: 'audit' })
    t.ok(find('PodMonitor'))
    t.match(find('DaemonSet')?.spec.template.spec, {
      containers: [{ image: 'registry.example.com/taffrail:0.1.0' }],
      volumes: [{ configMap: { name: 'taffrail-config' } }],
    })
    const { volumes } = find('DaemonSet', 'taffrail-control-plane')?.spec.template.spec ?? {}
    const [audit, ...others] = volumes.filter(({ name }: { name: string }) => name === 'audit')
    t.match([audit, others], [{ hostPath: { path: '/var/log/apiserver' } }, []])
  })

  t.test('a real API server takes all of it, without a warning', async (t) => {
    const namespace = `taffrail-test-${randomBytes(4).toString('hex')}`
    const apply = async (objects: KubeObject[], ...flags: string[]) => {
      const text = objects.map((object) => stringify(object)).join('---\n')
      return kubectl(['--kubeconfig', kubeconfig, 'apply', '--validate=strict', ...flags, '-f', '-'], text)
    }
    // As the manifests' own namespace, and one in which nothing but the strictest pods may run.
    const [own] = build(`${ROOT}/base`).filter(({ kind }) => kind === 'Namespace') as [KubeObject]
    const level = {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    }
    const strict = { ...own, metadata: { name: `${namespace}-strict`, labels: level } }
    t.teardown(() =>
      kubectl(['--kubeconfig', kubeconfig, 'delete', 'namespace', '--wait=false', namespace, `${namespace}-strict`]),
    )
    await apply([{ ...own, metadata: { ...own.metadata, name: namespace } }, strict])

    for (const path of [...OVERLAYS.map((name) => `${ROOT}/${name}`), ownOverlay(t, 'overlays/loki', 'non-root')]) {
      const { stdout } = await kubectl(['kustomize', path])
      const objects = objectsIn(stdout.replaceAll(/^(\s*namespace:) taffrail$/gm, `$1 ${namespace}`)).filter(
        ({ kind }) => kind !== 'Namespace',
      )
      const applied = await apply(objects, '--dry-run=server')
      t.equal(applied.warnings, '', path)
      const lines = applied.stdout.trim().split('\n')
      t.equal(lines.length, objects.length)
      for (const line of lines) t.match(line, /^\S+ (created|configured|unchanged) \(server dry run\)$/)
    }
    const sidecar = await apply(build(`${ROOT}/sidecar`), '--dry-run=server', '--namespace', `${namespace}-strict`)
    t.strictSame(sidecar, { stdout: 'pod/web created (server dry run)\n', warnings: '' }, 'the sidecar is restricted')

    const pods = build(`${ROOT}/overlays/loki`).filter(({ kind }) => kind === 'DaemonSet')
    const warned = await apply(
      pods.map((each) => ({ ...each, metadata: { ...each.metadata, namespace: `${namespace}-strict` } })),
      '--dry-run=server',
    )
    for (const warning of warned.warnings.trim().split('\n')) t.comment(warning)
    t.notMatch(warned.warnings, /seccompProfile|allowPrivilegeEscalation|hostNetwork/)
    t.equal(warned.warnings.trim().split('\n').length, pods.length)
  })
}
