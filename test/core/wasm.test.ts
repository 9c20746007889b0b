// What V8 compiles of WebAssembly in a process that works, as it tells itself.
import { execFileSync } from 'node:child_process'
import t from 'tap'

const CHILD = new URL('wasm.child.ts', import.meta.url).pathname
const COMPILED = /^Compiled function (\S+#\d+) using (Liftoff|TurboFan), .*?bodysize (\d+)/gm
/** undici's parser of answers has one function that is as long. */
const BYTES_LARGE = 20_000

t.test('each function is compiled once: the parser of answers quickly, ours with all optimisations', async (t) => {
  const { NODE_OPTIONS: _, ...env } = process.env
  const told = execFileSync(process.execPath, [CHILD], { env, encoding: 'utf8' })
  const quickly = new Map<string, number>()
  const well = new Set<string>()
  for (const [, name, tier, bytes] of told.matchAll(COMPILED)) {
    if (tier === 'TurboFan') well.add(name!)
    else quickly.set(name!, Number(bytes))
  }
  t.same(
    [...quickly.keys()].filter((name) => well.has(name)),
    [],
  )
  t.ok(Math.max(...quickly.values()) > BYTES_LARGE)
  t.ok(well.size > 0)
})
