// Chance, as a port.

/** Randomness, as a port: the simulation has a seeded one. Returns a number in [0, 1). */
export type Random = () => number

export const realRandom: Random = Math.random
