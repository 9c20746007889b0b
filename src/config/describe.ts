// Writes a configuration as YAML that can be read again: every default filled in, quantities and durations as people
// write them. Only secrets are hidden; what was read from the environment otherwise shows as its value.
import { Document, isScalar } from 'yaml'
import type { Config } from './config.ts'
import { escapeReferences } from './env.ts'
import { schema } from './schema.ts'
import { type AnyShape, type ScalarShape, variantOf } from './shapes.ts'
import type { Origins } from './walk.ts'

const MASK = '***'

/**
 * The configuration as YAML. Read again it gives the same configuration, but for passwords and tokens, which are `***`.
 * `origins` are told in comments: what of the machine a value was taken from.
 */
export function describeConfig(config: Config, origins: Origins = new Map()): string {
  const sourceNames = config.sources.map((source) => source.name)
  // "All" is what one would have to look up; the names say it.
  const sinks = config.sinks.map((sink) => ({ ...sink, sources: sink.sources ?? sourceNames }))
  const document = new Document(plain(schema, { ...config, sinks }))
  for (const [path, from] of origins) {
    const node = document.getIn(path.split('.'), true)
    if (isScalar(node)) node.comment = ` from ${from}`
  }
  // One line for each value, however long, so that it can be searched and copied.
  return document.toString({ lineWidth: 0 })
}

/** `value`, which is of `shape`, as it would stand in a file. */
function plain(shape: AnyShape, value: unknown): unknown {
  switch (shape.kind) {
    case 'scalar':
      return plainScalar(shape, value)
    case 'list':
      return (value as unknown[]).map((item) => plain(shape.of, item))
    case 'map':
      return Object.fromEntries(Object.entries(value as object).map(([name, item]) => [name, plain(shape.of, item)]))
    case 'variants':
      return plain(variantOf(shape, (value as { type: string }).type)!, value)
    case 'record': {
      if (value === null) return 'off'
      if (typeof value === 'string') return value
      const given = Object.entries(shape.keys)
        .map(([name, key]) => ({ name, key, item: (value as Record<string, unknown>)[name] }))
        // A key whose default is no value is left out when it has none.
        .filter(({ key, item }) => key.default.kind !== 'none' || (item !== null && item !== undefined))
      return Object.fromEntries(given.map(({ name, key, item }) => [name, plain(key.shape, item)]))
    }
  }
}

function plainScalar(shape: ScalarShape, value: unknown): unknown {
  if (shape.secret) return MASK
  const written = shape.format(value as never)
  return typeof written === 'string' ? escapeReferences(written) : written
}
