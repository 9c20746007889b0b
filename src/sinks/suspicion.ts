// Whether a record of a lane may be why the server fails: it is suspected after some server errors to this lane alone, and looked
// for. Where none was found it is looked for again later, and later.

const SERVER_ERRORS_MAX = 3
/** It is looked for again after twice as many, but at the latest after so many more. */
const SERVER_ERRORS_MORE_MAX = 32

export class Suspicion {
  /** In turn. */
  #serverErrors = 0
  #suspectAt = SERVER_ERRORS_MAX

  /** A server error (500) to this lane alone. */
  note(): void {
    this.#serverErrors++
  }

  get isSuspect(): boolean {
    return this.#serverErrors >= this.#suspectAt
  }

  /** No record could be told from the others: it is the server, for the time being. */
  acquit(): void {
    this.#suspectAt = this.#serverErrors + Math.min(this.#serverErrors, SERVER_ERRORS_MORE_MAX)
  }

  /** Something of the lane was taken. */
  clear(): void {
    this.#serverErrors = 0
    this.#suspectAt = SERVER_ERRORS_MAX
  }
}
