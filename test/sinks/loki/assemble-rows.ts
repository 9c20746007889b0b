// `node test/sinks/loki/assemble-rows.ts` writes src/sinks/loki/rows-wasm.ts anew from rows.wat.
import { readFileSync, writeFileSync } from 'node:fs'
import wabt from 'wabt'

const SOURCE = new URL('../../../src/sinks/loki/rows.wat', import.meta.url)
const TARGET = new URL('../../../src/sinks/loki/rows-wasm.ts', import.meta.url)
const WIDTH = 116

/** The content that rows-wasm.ts is to have. */
export async function assembled(): Promise<string> {
  const { parseWat } = await wabt()
  const module = parseWat('rows.wat', readFileSync(SOURCE, 'utf8'), { simd: true })
  module.validate()
  const text = Buffer.from(module.toBinary({}).buffer).toString('base64')
  const lines = text.match(new RegExp(`.{1,${WIDTH}}`, 'g')) as string[]
  return [
    '// Made from rows.wat by test/sinks/loki/assemble-rows.ts: do not edit.',
    '',
    '/** The WebAssembly module, in base64. */',
    'export const ROWS_WASM =',
    ...lines.map((line, index) => `  '${line}'${index === lines.length - 1 ? '' : ' +'}`),
    '',
  ].join('\n')
}

if (import.meta.main) writeFileSync(TARGET, await assembled())
