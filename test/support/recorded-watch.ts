// Answers of a real API server as they were recorded (test/fixtures/watch).
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export interface Recorded {
  status: number
  headers: Record<string, string>
  /** The lines of the body, each with its newline where it is an event. */
  lines: string[]
}

export function readRecorded(name: string): Recorded {
  const text = readBody(`${name}.txt`)
  const [head = '', ...rest] = text.split('\n\n')
  const [, statusLine = '', ...headerLines] = head.split('\n')
  const headers = Object.fromEntries(
    headerLines.map((line) => {
      const [header = '', ...value] = line.split(': ')
      return [header.toLowerCase(), value.join(': ')]
    }),
  )
  const lines = rest
    .join('\n\n')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('# '))
    .map((line) => `${line}\n`)
  return { status: Number(statusLine.split(' ')[1]), headers, lines }
}

export function readBody(name: string): string {
  return gunzipSync(readFileSync(new URL(`../fixtures/watch/${name}.gz`, import.meta.url))).toString()
}
