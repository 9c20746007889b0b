// `node test/sinks/loki/assemble.ts` writes src/sinks/loki/rows-wasm.ts, events-wasm.ts and snappy-wasm.ts anew from the .wat files.
import { readFileSync, writeFileSync } from 'node:fs'
import wabt from 'wabt'

const FOLDER = new URL('../../../src/sinks/loki/', import.meta.url)
const WIDTH = 116
export const MODULES = ['rows', 'events', 'snappy'] as const

/** The content that the module's file is to have. */
export async function assembled(name: string): Promise<string> {
  const { parseWat } = await wabt()
  const module = parseWat(`${name}.wat`, readFileSync(new URL(`${name}.wat`, FOLDER), 'utf8'), { simd: true })
  module.validate()
  const text = Buffer.from(module.toBinary({}).buffer).toString('base64')
  const lines = text.match(new RegExp(`.{1,${WIDTH}}`, 'g')) as string[]
  return [
    `// Made from ${name}.wat by test/sinks/loki/assemble.ts: do not edit.`,
    '',
    '/** The WebAssembly module, in base64. */',
    `export const ${name.toUpperCase()}_WASM =`,
    ...lines.map((line, index) => `  '${line}'${index === lines.length - 1 ? '' : ' +'}`),
    '',
  ].join('\n')
}

/** Where that file is. */
export function moduleUrl(name: string): URL {
  return new URL(`${name}-wasm.ts`, FOLDER)
}

if (import.meta.main) for (const name of MODULES) writeFileSync(moduleUrl(name), await assembled(name))
