// The WebAssembly of this sink, from the text that its modules are kept as.

/** Node has it; its types come with the browser's library only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: unknown }
}

/** What a module exports. Throws a ReferenceError where there is no WebAssembly, and a RangeError where there is no room for it. */
export function instantiate(base64: string, imports: object = {}): unknown {
  return new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, 'base64')), imports).exports
}
