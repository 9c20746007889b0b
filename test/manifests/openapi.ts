// Holds objects against the schemas of a real API server (test/fixtures/openapi), as strictly as `kubectl apply
// --validate=strict` does: unknown and missing fields, types, enumerations. It checks form, not sense.
import { readFileSync } from 'node:fs'
import type { KubeObject } from './kustomize.ts'

interface Schema {
  $ref?: string
  type?: string
  format?: string
  enum?: unknown[]
  pattern?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  additionalProperties?: Schema
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[]
}

const FIXTURES = new URL('../fixtures/openapi/', import.meta.url)
const QUANTITY = /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/

const definitions: Record<string, Schema> = Object.assign(
  {},
  ...['kubernetes.json', 'pod-monitor.json'].map((name) => JSON.parse(readFileSync(new URL(name, FIXTURES), 'utf8'))),
)

/** What is wrong with the object, each with its path; empty when it is good. */
export function problemsOf(object: KubeObject): string[] {
  const { apiVersion, kind } = object
  const schema = Object.values(definitions).find(({ 'x-kubernetes-group-version-kind': of = [] }) =>
    of.some((each) => each.kind === kind && [each.group, each.version].filter(Boolean).join('/') === apiVersion),
  )
  if (schema === undefined) return [`there is no schema of ${apiVersion} ${kind}`]
  return [...check(object, schema, `${kind}/${object.metadata?.name}`)]
}

function* check(value: unknown, schema: Schema, path: string): Generator<string> {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice('#/definitions/'.length)
    if (name.endsWith('.api.resource.Quantity') && !QUANTITY.test(String(value))) yield `${path}: no quantity: ${value}`
    return yield* check(value, definitions[name] as Schema, path)
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) yield `${path}: not one of ${schema.enum}: ${value}`
  if (schema.format === 'int-or-string' || schema['x-kubernetes-int-or-string'] === true) {
    if (typeof value !== 'string' && !Number.isInteger(value)) yield `${path}: neither integer nor string`
    return
  }
  if (schema.type !== undefined && typeOf(value, schema.type) !== schema.type) {
    return yield `${path}: ${schema.type} wanted, got ${JSON.stringify(value)}`
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(String(value)))
    yield `${path}: not like ${schema.pattern}`
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* check(item, schema.items ?? {}, `${path}[${index}]`)
  } else if (schema.type === 'object') yield* checkFields(value as Record<string, unknown>, schema, path)
}

function* checkFields(value: Record<string, unknown>, schema: Schema, path: string): Generator<string> {
  for (const name of schema.required ?? []) if (value[name] === undefined) yield `${path}.${name}: missing`
  for (const [name, field] of Object.entries(value)) {
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    const fits = known ?? schema.additionalProperties
    if (fits === undefined) yield `${path}.${name}: unknown field`
    else yield* check(field, fits, `${path}.${name}`)
  }
}

function typeOf(value: unknown, wanted: string): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return wanted !== 'number' && Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}
