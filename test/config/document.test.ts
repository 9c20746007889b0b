import { readFileSync } from 'node:fs'
import t from 'tap'
import { formatConfigError } from '../../src/config/config-error.ts'
import { documentConfig, EXAMPLE } from '../../src/config/document.ts'
import { loadConfig } from '../../src/config/load.ts'
import { schema } from '../../src/config/schema.ts'
import type { AnyShape } from '../../src/config/shapes.ts'

const MACHINE = {
  path: 'taffrail.yaml',
  env: { NODE_NAME: 'n1' },
  hostname: 'host-1',
  cgroup: { memory: null, cpu: null },
}

t.test('docs/configuration.md is what the schema says', async (t) => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  t.equal(page, `${documentConfig()}\n`, 'to make it again: node src/config/document.ts > docs/configuration.md')
})

t.test('every yaml block of the page is a good configuration', async (t) => {
  const blocks = [...documentConfig().matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1]!)
  t.ok(blocks.includes(EXAMPLE))
  for (const block of blocks) {
    const result = loadConfig(block, MACHINE)
    t.same('errors' in result ? result.errors.map(formatConfigError) : [], [], block)
  }
})

t.test('every key is on the page with its description', async (t) => {
  const page = documentConfig()
  const expectKeys = (shape: AnyShape): void => {
    if (shape.kind === 'list') expectKeys(shape.of)
    if (shape.kind === 'variants') Object.values(shape.variants).forEach(expectKeys)
    if (shape.kind !== 'record') return
    for (const [name, key] of Object.entries(shape.keys)) {
      t.match(page, new RegExp(`^\\| \`(?:[a-zA-Z]+(?:\\[\\])?\\.)*${name}\` `, 'm'), name)
      t.ok(page.includes(key.doc.replaceAll('|', '\\|')), key.doc)
      expectKeys(key.shape)
    }
  }
  expectKeys(schema)
})
