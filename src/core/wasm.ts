// How WebAssembly is compiled. As V8 comes, a function is compiled quickly when it is first called, and a second time, by another thread and with all
// optimisations, when it was busy. That is wrong for both kinds that there are here. undici's parser of answers is one
// function of 34 KB: the second time takes 40 to 110 ms of CPU and 23 MiB, for a few answers a second. Ours are small and work from the
// first byte on: what they do until they are compiled a second time takes twice as long. (256 MiB of an audit log: 40 ms
// less and 11 MiB less at the peak by the first, 20 ms less by the second, of 740.) Invariant: V8's flags are as they were behind each call.
import { setFlagsFromString } from 'node:v8'

/** Node has it; its types come with the browser's library only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: unknown }
}

/** By their text: those who ask for one ask for the same ones again. */
const modules = new Map<string, object>()

/**
 * What a module in base64 exports; it is compiled once, with all optimisations. Throws a ReferenceError where there is no WebAssembly, and
 * a RangeError where there is no room for it.
 */
export function instantiate(base64: string, imports: object = {}): unknown {
  let module = modules.get(base64)
  if (module === undefined) {
    module = withFlags(
      ['wasm-lazy-compilation', 'liftoff'],
      () => new WebAssembly.Module(Buffer.from(base64, 'base64')),
    )
    modules.set(base64, module)
  }
  return new WebAssembly.Instance(module, imports).exports
}

/** Modules that `make` makes are compiled at once, quickly, and never again. */
export function compiledQuickly(make: () => void): void {
  withFlags(['wasm-lazy-compilation', 'wasm-dynamic-tiering', 'wasm-tier-up'], make)
}

/** While these flags, which are set as a rule, are not. */
function withFlags<Made>(flags: readonly string[], make: () => Made): Made {
  // Another version may not know them, and would say so on stderr.
  const known = process.versions.v8.startsWith('13.') ? flags : []
  for (const flag of known) setFlagsFromString(`--no-${flag}`)
  try {
    return make()
  } finally {
    for (const flag of known) setFlagsFromString(`--${flag}`)
  }
}
