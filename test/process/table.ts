// `npm run test:process`: the scenarios of torture.test.ts, stream.test.ts and limits.test.ts in their long form (-- --long) or their short
// one, against what `npm run build` made, and the table of what came of them. Ends with 1 unless every row is good.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isGood, type Row } from '../support/torture.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const isLong = process.argv.includes('--long')

const rows: Row[] = []
const limits: Record<string, unknown>[] = []

/** Runs a test file, takes the rows that it tells, and gives its exit code. */
async function run(file: string): Promise<number> {
  const child = spawn(process.execPath, [`${ROOT}/test/process/${file}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      TAP_TIMEOUT: isLong ? '7200' : '300',
      TAFFRAIL_PROGRAM: `${ROOT}/dist/main.js`,
      ...(isLong && { TAFFRAIL_LONG: '1' }),
    },
  })
  createInterface(child.stdout).on('line', (line) => {
    const [, kind, json] = /# (row|limits) (\{.*\})$/.exec(line) ?? []
    if (kind === 'row') rows.push(JSON.parse(json as string) as Row)
    else if (kind === 'limits') limits.push(JSON.parse(json as string) as Record<string, unknown>)
    else if (/^\s*not ok|NO CGROUP|mounted here/.test(line)) console.log(line.trim())
    if (json !== undefined) console.log(`${kind}: ${json}`)
  })
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)))
}

const codes = [await run('torture.test.ts'), await run('stream.test.ts'), await run('limits.test.ts')]
console.table(
  rows.map(({ scenario, lines, missing, malformed, duplicates, outOfOrder, refused, notes }) => ({
    scenario,
    lines,
    missing,
    malformed,
    'duplicate effects': duplicates,
    'out of order': outOfOrder,
    'refused / counted': refused === null ? '' : refused.join(' / '),
    notes,
  })),
)
console.table(limits)
process.exitCode = codes.some((code) => code !== 0) || !rows.every(isGood) ? 1 : 0
