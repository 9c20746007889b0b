// Where a world's chance comes from: one seed, and from it a stream of numbers for each purpose by name, so that a draw
// more in one place does not change what every other place draws. sfc32, the same on every machine.
export class Draw {
  readonly #seed: number
  readonly #name: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number, name = '') {
    this.#seed = seed
    this.#name = name
    this.#a = seed | 0
    this.#b = hashOf(name)
    this.#c = hashOf(`${seed} ${name}`)
    for (let i = 0; i < 15; i++) this.float()
  }

  /** Another stream of the same seed. */
  of(name: string): Draw {
    return new Draw(this.#seed, `${this.#name}/${name}`)
  }

  /** In [0, 1). */
  float(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return (sum >>> 0) / 4_294_967_296
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1))
  }

  /** Like `int`, but small ones are as likely as large ones: for durations and sizes over several magnitudes. */
  scale(min: number, max: number): number {
    return Math.round(min * (max / min) ** this.float())
  }

  chance(probability: number): boolean {
    return this.float() < probability
  }

  pick<T>(from: readonly T[]): T {
    const index = Math.floor(this.float() * from.length)
    if (index >= from.length) throw new RangeError('nothing to pick from')
    return from[index] as T
  }
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
