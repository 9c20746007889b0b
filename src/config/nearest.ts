// The known word that a mistyped one was probably meant to be.

/**
 * The nearest of `known`, or null when none is near: at most one letter in three wrong, missing, added or swapped with its
 * neighbour. Case and the separators of other habits (`batch_bytes_max`, `batch-bytes-max`) cost nothing.
 */
export function nearest(word: string, known: readonly string[]): string | null {
  const given = folded(word)
  let best: string | null = null
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const other = folded(candidate)
    const allowed = Math.floor(Math.max(given.length, other.length) / 3)
    if (Math.abs(given.length - other.length) > allowed) continue
    const distance = editDistance(given, other)
    if (distance <= allowed && distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function folded(word: string): string {
  return word.toLowerCase().replace(/[_-]/g, '')
}

/** Optimal string alignment: insertions, deletions, replacements and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
