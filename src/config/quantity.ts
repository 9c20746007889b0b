// Quantities in Kubernetes' notation: of bytes (Ki, Mi, Gi, k, M, G or plain, decimals allowed) and of CPU (`500m`, `1.5`).
// Exact: the arithmetic is done on integers, and what is not a whole byte is rounded up, as Kubernetes does.

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

/** Thousandths of a core of `500m`, `0.5` or `2`; null when the text is no such quantity, or finer than a thousandth. */
export function parseCores(text: string): number | null {
  const match = /^(\d{1,6})(?:m|(?:\.(\d{1,3}))?)$/.exec(text)
  if (match === null) return null
  const [, whole, fraction = ''] = match
  return text.endsWith('m') ? Number(whole) : Number(whole) * 1000 + Number(fraction.padEnd(3, '0'))
}

/** `500m`, or `2` for whole cores. */
export function formatCores(millicores: number): string {
  return millicores % 1000 === 0 ? String(millicores / 1000) : `${millicores}m`
}
