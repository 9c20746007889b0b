// One error class for all rooms. `code` is stable and documented (docs/operations.md); `message` is for people and
// names what was wrong and where; `cause` keeps the error that was underneath.

/** An operating error with a stable code, e.g. `CONFIG_INVALID`, `CHECKPOINT_CORRUPT`, `HTTP_TIMEOUT`. */
export class TaffrailError extends Error {
  readonly code: string
  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'TaffrailError'
    this.code = code
  }
}

/** The `code` of any thrown value (`ENOENT`, `ECONNREFUSED`, `HTTP_TIMEOUT`, …), or `UNKNOWN`. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'UNKNOWN'
}

/** The message of any thrown value. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
