import { test } from 'tap'
import { requestTarget } from '../../../src/audit/policy/request.ts'
import { isLabelSelector } from '../../../src/audit/policy/selectors.ts'

function told(uri: string, verb: string): string {
  const target = requestTarget(uri, verb)
  if (target === null) return 'none'
  const { isResource, namespace, apiGroup, resource, subresource, name, path } = target
  return isResource ? [apiGroup, namespace, resource, subresource, name].join(' ') : path
}

test('URLs are taken apart as the API server does', (t) => {
  const cases: [uri: string, verb: string, expected: string][] = [
    ['/api/v1/namespaces/a/pods/b/log?x=1', 'get', ' a pods log b'],
    ['/apis/apps/v1/deployments', 'list', 'apps  deployments  '],
    ['/api/v1/namespaces/a', 'get', ' a namespaces  a'],
    ['/api/v1/namespaces/a/status', 'update', ' a namespaces status a'],
    ['/api/v1/namespaces', 'create', '  namespaces  '],
    ['/api/v1/watch/namespaces/a/pods/b', 'watch', ' a pods  b'],
    ['/api/v1/proxy/nodes/n/metrics', 'proxy', '  nodes  n'],
    ['/api/v1', 'get', '/api/v1'],
    ['/apis/apps/v1', 'get', '/apis/apps/v1'],
    ['/healthz%2Fping?verbose', 'get', '/healthz/ping'],
    ['/%F0%9F%90%A2', 'get', '/🐢'],
    ['//api/v1//pods/', 'get', '    pods'],
    ['/a%zz', 'get', 'none'],
  ]
  for (const [uri, verb, expected] of cases) t.equal(told(uri, verb), expected, uri)
  t.end()
})

test('a list has the name that its field selector requires, if all its options can be read', (t) => {
  const name = (query: string, verb = 'list') => requestTarget(`/api/v1/pods?${query}`, verb)?.name
  t.equal(name('fieldSelector=metadata.name%3Da'), 'a')
  t.equal(name('fieldSelector=spec.x%21%3Db%2Cmetadata.name%3D%3Da', 'watch'), 'a')
  t.equal(name('fieldSelector=metadata.name%3Da', 'deletecollection'), '')
  t.equal(name('fieldSelector=metadata.name%21%3Da'), '')
  t.equal(name('fieldSelector=metadata.name%3Da%5C%2Cb'), 'a,b')
  t.equal(name('fieldSelector=metadata.name%3Da%2Fb'), '')
  for (const other of ['limit=x', 'timeoutSeconds=9223372036854775808', 'labelSelector=)', 'labelSelector=a%3Ex']) {
    t.equal(name(`fieldSelector=metadata.name%3Da&${other}`), '', other)
  }
  t.equal(name('fieldSelector=metadata.name%3Da&limit=5&labelSelector=a+in+(b,c),!d'), 'a')
  t.end()
})

test('label selectors that the API server reads', (t) => {
  for (const good of ['', 'a', '!a', 'a=b', 'a==', 'a!=b', 'a in (b,,c)', 'a notin ()', 'x.y/z', 'a>5', 'in', 'a, b']) {
    t.ok(isLabelSelector(good), good)
  }
  for (const bad of [')', 'a,', ',a', '-a', 'a b', 'a in', 'a in (b', 'a=!b', 'a>x', '!a=b', 'a===b', 'A.y/z/w']) {
    t.notOk(isLabelSelector(bad), bad)
  }
  t.end()
})
