// Quantities of bytes in Kubernetes' notation (Ki, Mi, Gi, k, M, G or plain, decimals allowed). Exact: the arithmetic is
// done on integers, and what is not a whole byte is rounded up, as Kubernetes does.

const UNITS: readonly (readonly [string, number])[] = [
  ['Gi', 2 ** 30],
  ['G', 1e9],
  ['Mi', 2 ** 20],
  ['M', 1e6],
  ['Ki', 2 ** 10],
  ['k', 1e3],
  ['', 1],
]

const QUANTITY = /^(\d{1,16})(?:\.(\d{1,9}))?(Gi|G|Mi|M|Ki|k|)$/

/** Bytes of `96Mi`, `3.5Mi`, `128k` or `1048576`; null when the text is no such quantity or too large for an exact number. */
export function parseQuantity(text: string): number | null {
  const match = QUANTITY.exec(text)
  if (match === null) return null
  const [, whole = '', fraction = '', unit = ''] = match
  const unitBytes = UNITS.find(([name]) => name === unit)![1]
  const divisor = 10n ** BigInt(fraction.length)
  const bytes = (BigInt(whole + fraction) * BigInt(unitBytes) + divisor - 1n) / divisor
  return bytes <= Number.MAX_SAFE_INTEGER ? Number(bytes) : null
}

/** The shortest exact notation of a whole number of bytes, with quarters (`3.5Mi`) where they are shorter. */
export function formatQuantity(bytes: number): string {
  let shortest = String(bytes)
  for (const [unit, unitBytes] of UNITS) {
    const amount = bytes / unitBytes
    const text = `${amount}${unit}`
    if (Number.isInteger(amount * 4) && text.length < shortest.length) shortest = text
  }
  return shortest
}
