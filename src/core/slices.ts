// Work that is too long for one turn of the event loop, a slice at each `next`.

export type Slices<Result> = Generator<void, Result>

/** Does all that is left of it. */
export function atOnce<Result>(slices: Slices<Result>): Result {
  for (;;) {
    const { done, value } = slices.next()
    if (done) return value
  }
}
