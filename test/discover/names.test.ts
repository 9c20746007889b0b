// What file names say.
import t from 'tap'
import {
  compareOrder,
  compareSiblings,
  genericSibling,
  kubeletSibling,
  LIVE,
  parseContainerLink,
  parsePodLogPath,
} from '../../src/discover/names.ts'

const ID = 'a'.repeat(63)

t.test('links of the kubelet', async (t) => {
  t.strictSame(parseContainerLink(`cart-7d9f-x_shop_app-${ID}0.log`), {
    pod: 'cart-7d9f-x',
    namespace: 'shop',
    container: 'app',
  })
  t.strictSame(parseContainerLink(`my.pod.node-1.example_kube-system_kube-api-server-${ID}f.log`), {
    pod: 'my.pod.node-1.example',
    namespace: 'kube-system',
    container: 'kube-api-server',
  })
  for (const name of [
    '',
    'app.log',
    `cart_shop_app-${ID}.log`,
    `cart_shop_app-${ID}g.log`,
    `cart_shop-${ID}0.log`,
    `cart_shop_app-${ID}0.log.1`,
    `_shop_app-${ID}0.log`,
    `Cart_shop_app-${ID}0.log`,
    `a_b_c_d-${ID}0.log`,
  ]) {
    t.equal(parseContainerLink(name), null, name)
  }
})

t.test('paths below /var/log/pods', async (t) => {
  t.strictSame(parsePodLogPath('/var/log/pods/shop_cart-1_0b3e-uid/app/3.log'), {
    directory: '/var/log/pods/shop_cart-1_0b3e-uid/app',
    namespace: 'shop',
    pod: 'cart-1',
    podUid: '0b3e-uid',
    container: 'app',
    name: '3.log',
  })
  t.equal(parsePodLogPath('/x/shop_cart_uid/app/0.log.20261121-080000.gz')?.name, '0.log.20261121-080000.gz')
  for (const path of [
    '',
    '/var/log/pods/shop_cart_uid/app/app.log',
    '/var/log/pods/shop_cart_uid/0.log',
    '/var/log/pods/shop_cart/app/0.log',
    '/var/log/pods/shop_cart_uid/app/x/0.log',
    '/var/log/pods/a_b_c_d/app/0.log',
    '/var/log/pods/shop__uid/app/0.log',
    'shop_cart_uid/app/0.log',
  ]) {
    t.equal(parsePodLogPath(path), null, path)
  }
})

t.test('names in the directory of a container', async (t) => {
  const of = (name: string) => {
    const sibling = kubeletSibling(name)
    return sibling && [sibling.order.restart, sibling.order.rank, sibling.compressed]
  }
  t.strictSame(of('0.log'), [0, LIVE, false])
  t.strictSame(of('12.log'), [12, LIVE, false])
  t.strictSame(of('0.log.20261121-080000'), [0, '20261121-080000', false])
  t.strictSame(of('0.log.20261121-080000.gz'), [0, '20261121-080000', true])
  t.strictSame(of('0.log.20261121-080000.tmp'), null)
  t.strictSame(of('0.log.20261121-080000.gz.tmp'), null)
  for (const name of ['', 'log', 'a.log', '0.log.', '0.log.x', '0.txt', '.log', '-1.log', '0.log~']) {
    t.equal(of(name), null, name)
  }
  const sorted = [
    '1.log',
    '0.log',
    '10.log',
    '0.log.20261121-080000.gz',
    '2.log',
    '0.log.20261120-235959',
    '0.log.20261121-080000',
  ]
    .map((name) => ({ name, ...kubeletSibling(name)! }))
    .sort(compareSiblings)
    .map((each) => each.name)
  t.strictSame(sorted, [
    '0.log.20261120-235959',
    '0.log.20261121-080000',
    '0.log.20261121-080000.gz',
    '0.log',
    '1.log',
    '2.log',
    '10.log',
  ])
})

t.test('names of other rotations, oldest first', async (t) => {
  const series: [string, string[]][] = [
    ['app.log', ['app.log.12.gz', 'app.log.2.gz', 'app.log.1', 'app.log']],
    ['app.log', ['app.log-20261119.gz', 'app.log-20261120', 'app.log-20261121', 'app.log']],
    ['app.log', ['app.log-2026112022', 'app.log-2026112023.gz', 'app.log']],
    ['app.log', ['app.log-20261120-1795248000', 'app.log-20261121-1795334400.gz', 'app.log']],
    ['app.log', ['app.log-1795248000', 'app.log-1795334400', 'app.log']],
    ['app.log', ['app.log.2026-11-20', 'app.log.2026-11-21', 'app.log']],
    ['app.log', ['app.log.2026-11-20_23-59', 'app.log.2026-11-21_00-00', 'app.log']],
    ['app.log', ['app.log.2026-11-20T235959', 'app.log']],
    ['app.log', ['app-2026-11-20T23-59-59.999.log.gz', 'app-2026-11-21T00-00-00.001.log', 'app.log']],
    ['audit.log', ['audit-2026-11-21T07-48-32.645.log', 'audit.log']],
    [`${ID}0-json.log`, [`${ID}0-json.log.2.gz`, `${ID}0-json.log.1`, `${ID}0-json.log`]],
    ['app', ['app-2026-11-21T07-48-32.645', 'app']],
  ]
  for (const [base, names] of series) {
    const siblings = names.map((name) => ({ name, ...genericSibling(name) }))
    t.strictSame([...new Set(siblings.map((each) => each.base))], [base], names.join(' '))
    t.strictSame(
      siblings
        .toReversed()
        .sort(compareSiblings)
        .map((each) => each.name),
      names,
    )
    t.strictSame(
      siblings.map((each) => each.compressed),
      names.map((name) => name.endsWith('.gz')),
    )
    t.equal(siblings.at(-1)?.order.rank, LIVE)
  }
})

t.test('names that show no rotation are bases themselves', async (t) => {
  for (const name of [
    'app.log',
    'app',
    'app-2026.log',
    'app.2026-11-21.log',
    '1',
    'a.b.c',
    'app.log.old',
    'app.log.1.bak',
  ]) {
    const { base, order, compressed } = genericSibling(name)
    t.strictSame([base, order.rank, compressed], [name, LIVE, false], name)
  }
  t.strictSame(genericSibling('app.log.gz'), {
    base: 'app.log.gz',
    order: { restart: 0, rank: LIVE },
    compressed: true,
  })
})

t.test('order', async (t) => {
  t.equal(compareOrder({ restart: 0, rank: LIVE }, { restart: 1, rank: '2026' }), -1)
  t.equal(compareOrder({ restart: 1, rank: 'a' }, { restart: 1, rank: 'a' }), 0)
  t.ok(compareOrder({ restart: 1, rank: LIVE }, { restart: 1, rank: '9' }) > 0)
})
