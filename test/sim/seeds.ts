// Which worlds a run of the tests explores: those after a number that is taken from the commit, so that each landing sees
// new ones and every machine sees the same.
import { execFileSync } from 'node:child_process'

/** Where there is no git: a package, an archive. */
const FALLBACK = 1

/** The first seed for the commit that is checked out. */
export function firstSeed(): number {
  try {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return Number.parseInt(commit.slice(0, 8), 16) || FALLBACK
  } catch {
    return FALLBACK
  }
}
