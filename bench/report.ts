// The tables: requirement against measurement, and the raw rounds below. One form for the terminal and for results.md;
// no machine paths in either.

import { machine } from './proc.ts'

/** `stated`: a figure that is asked for without a bound. */
export type Verdict = 'pass' | 'FAIL' | 'stated' | 'slow machine'

export interface Finding {
  what: string
  target: string
  measured: string
  verdict: Verdict
}

export interface Table {
  title: string
  /** Sentences above the table. */
  notes: string[]
  head: string[]
  rows: string[][]
}

export interface CaseResult {
  findings: Finding[]
  raw: Table[]
}

export function judged(what: string, target: string, measured: string, good: boolean): Finding {
  return { what, target, measured, verdict: good ? 'pass' : 'FAIL' }
}

export function stated(what: string, measured: string): Finding {
  return { what, target: 'stated', measured, verdict: 'stated' }
}

export const mib = (bytes: number, digits = 1) => (bytes / 2 ** 20).toFixed(digits)
export const megabytes = (bytes: number, digits = 0) => (bytes / 1e6).toFixed(digits)
export const percent = (share: number, digits = 2) => `${(share * 100).toFixed(digits)} %`

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** A Markdown table whose columns line up on a terminal too. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) => Math.max(3, cell.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

export function formatFindings(findings: readonly Finding[]): string {
  return formatTable(
    ['Requirement', 'Target', 'Measured', 'Mark'],
    findings.map(({ what, target, measured, verdict }) => [what, target, measured, verdict]),
  )
}

export function formatRaw(table: Table): string {
  return [`### ${table.title}`, ...table.notes, formatTable(table.head, table.rows)].join('\n\n')
}

export function formatResults(
  result: CaseResult,
  about: { date: Date; commit: string; load: string; built: boolean },
): string {
  return `# Benchmark results

Written by \`npm run bench${about.built ? '' : ' -- --source'}\` on ${about.date.toISOString().slice(0, 16)}Z, commit ${about.commit}.

Measured is the agent ${about.built ? 'as it is shipped, compiled' : 'from its source, src/main.ts'}.

Machine: ${machine()}; load average at the start ${about.load}. The measured program is pinned to one core; the
receiver, the writers and the benchmark are on another. MB are 10^6 bytes, MiB are 2^20.

## Requirements

${formatFindings(result.findings)}

## Raw rounds

${result.raw.map(formatRaw).join('\n\n')}
`
}
