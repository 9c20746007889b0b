// All fuzz targets, by name.
import { formatTargets } from './format-targets.ts'
import { tailTargets } from './tail-targets.ts'
import type { Target } from './target.ts'

export const targets: ReadonlyMap<string, Target> = new Map(
  [...formatTargets, ...tailTargets].map((target) => [target.name, target]),
)
