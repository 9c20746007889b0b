import { test } from 'tap'
import { changes, patched } from '../../../src/audit/view/change.ts'

test('two states are compared by path, lists of named things by name', (t) => {
  const before = {
    metadata: { resourceVersion: '1', generation: 1, annotations: { 'a.b/c': 'x' }, managedFields: [1] },
    spec: { replicas: 1, containers: [{ name: 'web', image: 'a:1' }, { name: 'old' }], args: ['a', 'b'] },
  }
  const after = {
    metadata: { resourceVersion: '2', generation: 2, annotations: { 'a.b/c': 'y' }, managedFields: [2] },
    spec: { replicas: 2, containers: [{ name: 'new' }, { name: 'web', image: 'a:2' }], args: ['a'], __proto__x: 1 },
  }
  t.same(changes(before, after), {
    isWhole: true,
    changes: [
      { path: 'metadata.annotations["a.b/c"]', before: 'x', after: 'y' },
      { path: 'spec.replicas', before: 1, after: 2 },
      { path: 'spec.containers[web].image', before: 'a:1', after: 'a:2' },
      { path: 'spec.containers[old]', before: { name: 'old' }, after: undefined },
      { path: 'spec.containers[new]', before: undefined, after: { name: 'new' } },
      { path: 'spec.args[1]', before: 'b', after: undefined },
      { path: 'spec.__proto__x', before: undefined, after: 1 },
    ],
  })
  t.same(changes({ a: 1 }, { a: 1 }).changes, [])
  t.same(changes(null, [1]).changes, [{ path: '', before: null, after: [1] }])
  const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, i]))
  t.match(changes({}, many), { isWhole: false, changes: { length: 500 } })
  t.end()
})

test('a patch says what it sets, beside what came of it', (t) => {
  t.same(patched({ spec: { replicas: 3, paused: null } }, { spec: { replicas: 3, x: 1 } }), [
    { path: 'spec.replicas', before: 3, after: 3 },
    { path: 'spec.paused', before: undefined, after: null },
  ])
  t.same(
    patched(
      [
        { op: 'replace', path: '/spec/replicas', value: 2 },
        { op: 'move', from: '/a', path: '/b' },
      ],
      {},
    ),
    [
      { path: 'replace /spec/replicas', before: undefined, after: 2 },
      { path: 'move /a to /b', before: undefined, after: undefined },
    ],
  )
  t.end()
})
