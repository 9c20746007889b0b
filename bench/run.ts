// `npm run bench`: runs the cases one after the other, prints the tables and writes bench/results.md. The corpus is made
// once and shared by `throughput`, `exact` and `bulk`. Ends with 1 if a requirement was not met or a case broke, with 2 on bad usage.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { buildAgent } from './agent.ts'
import { audit } from './cases/audit.ts'
import { bulk } from './cases/bulk.ts'
import { exact } from './cases/exact.ts'
import { idle } from './cases/idle.ts'
import { largeEvents } from './cases/large-events.ts'
import { type PacedCase, paced } from './cases/paced.ts'
import { pods } from './cases/pods.ts'
import { search } from './cases/search.ts'
import { throughput } from './cases/throughput.ts'
import { webhook } from './cases/webhook.ts'
import { cleanUp, cleanUpOnSignals, endChildren, makeDirectory, removeDirectory } from './cleanup.ts'
import { type Corpus, fillTree, makeTree } from './corpus.ts'
import { pinSelf } from './measure.ts'
import { machine } from './proc.ts'
import { type CaseResult, formatFindings, formatRaw, formatResults } from './report.ts'
import { type CaseName, readSettings, type Settings } from './settings.ts'

const ROW_BYTES = 230

async function runCases(settings: Settings): Promise<CaseResult> {
  const all: CaseResult = { findings: [], raw: [] }
  let corpus: Corpus | null = null
  const directory = makeDirectory(settings.parentDirectory)
  if (settings.built) settings.contenders = [buildAgent(directory)]
  for (const name of settings.cases) {
    console.log(`${name} …`)
    if (name === 'throughput' || name === 'exact' || name === 'bulk') {
      corpus ??= fillTree(
        makeTree(join(directory, 'node'), settings.corpusFiles, settings.seed),
        settings.corpusBytes,
        ROW_BYTES,
        settings.seed,
      )
    }
    for (const result of await runCase(name, settings, corpus)) {
      all.findings.push(...result.findings)
      all.raw.push(...result.raw)
    }
  }
  removeDirectory(directory)
  return all
}

/** `throughput` measures the contenders against each other, the other cases one by one. */
async function runCase(name: CaseName, settings: Settings, corpus: Corpus | null): Promise<CaseResult[]> {
  try {
    if (name === 'throughput') return [await throughput(settings, corpus!)]
    if (name === 'bulk') return [await bulk(settings, corpus!)]
    const results: CaseResult[] = []
    for (const contender of settings.contenders) {
      if (name === 'exact') results.push(await exact(settings, corpus!, contender))
      else if (name === 'audit') results.push(await audit(settings, contender))
      else if (name === 'large-events') results.push(await largeEvents(settings, contender))
      else if (name === 'search') results.push(await search(settings, contender))
      else if (name === 'idle') results.push(await idle(settings, contender))
      else if (name === 'pods') results.push(await pods(settings, contender))
      else if (name === 'webhook') results.push(await webhook(settings, contender))
      else results.push(await paced(settings, name satisfies PacedCase, contender))
    }
    return results
  } catch (error) {
    // One case that breaks is a finding of its own; the others still have something to tell.
    console.error(error)
    await endChildren()
    const message = error instanceof Error ? error.message.split('\n')[0]! : String(error)
    return [{ findings: [{ what: name, target: 'runs', measured: message, verdict: 'FAIL' }], raw: [] }]
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return 'unknown' // Not a checkout.
  }
}

async function main(): Promise<number> {
  let settings: Settings
  try {
    settings = readSettings(process.argv.slice(2))
  } catch (error) {
    console.error((error as Error).message)
    return 2
  }
  cleanUpOnSignals()
  pinSelf(settings.cores.others)
  const about = { date: new Date(), commit: commit(), load: loadavg()[0]!.toFixed(2), built: settings.built }
  console.log(`${machine()}; load ${about.load}; commit ${about.commit}`)
  const result = await runCases(settings)
  console.log(`\n${result.raw.map(formatRaw).join('\n\n')}\n\n${formatFindings(result.findings)}`)
  if (settings.outPath !== null) writeFileSync(settings.outPath, formatResults(result, about))
  else console.log('\n(part of the benchmark: results.md is left as it is; --out FILE writes one)')
  return result.findings.some((finding) => finding.verdict === 'FAIL') ? 1 : 0
}

try {
  process.exitCode = await main()
} finally {
  cleanUp()
}
