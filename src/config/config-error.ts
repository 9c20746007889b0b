// What is wrong with a configuration, or with a policy that it names, and where.

export interface ConfigError {
  /** The file, as it was named. */
  path: string
  /** From 1; 0 where the file could not be read at all. In UTF-16 units for `column`. */
  line: number
  column: number
  /** Path of the key, e.g. `sinks[0].url`; empty for the whole file. */
  key: string
  message: string
  /** The known word that was probably meant. */
  suggestion: string | null
}

/** One line for an error: `taffrail.yaml:12:5: sinks[0].batchByteMax: unknown key; did you mean batchBytesMax?` */
export function formatConfigError(error: ConfigError): string {
  const place = error.line === 0 ? error.path : `${error.path}:${error.line}:${error.column}`
  const key = error.key === '' ? '' : `${error.key}: `
  const hint = error.suggestion === null ? '' : `; did you mean ${error.suggestion}?`
  return `${place}: ${key}${error.message}${hint}`
}
