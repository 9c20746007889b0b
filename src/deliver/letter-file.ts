// The files of the dead letters: their names and what is in them. `SINK.NUMBER.ndjson` holds logs, `SINK.NUMBER.audit.ndjson`
// what was audited; with `.replay` behind it a file was taken by `taffrail replay`, which removes it or puts it back with an
// `r` behind its number. An agent opens no name with an `r`, so that putting back can overwrite nothing. Pure.
import type { DeadLetter, LetterQuota } from './dead-letter.ts'

const NEWLINE = 10
const NAME = /^(.+)\.(\d{1,15})(r?)(\.audit)?\.ndjson(\.replay)?$/

export interface LetterFileName {
  sink: string
  number: number
  quota: LetterQuota
  /** Put back by a replay. */
  returned: boolean
  /** Taken by a replay. */
  taken: boolean
}

/** Takes a file's name apart; null when it is not one of ours. */
export function parseLetterFile(name: string): LetterFileName | null {
  const match = NAME.exec(name)
  if (match === null) return null
  const [, sink = '', number, returned, audit, replay] = match
  const quota = audit ? 'audit' : 'logs'
  return { sink, number: Number(number), quota, returned: returned === 'r', taken: replay !== undefined }
}

export function letterFileName({ sink, number, quota, returned, taken }: LetterFileName): string {
  return `${sink}.${number}${returned ? 'r' : ''}${quota === 'audit' ? '.audit' : ''}.ndjson${taken ? '.replay' : ''}`
}

/**
 * What a file holds, line by line. `unreadable` are lines that are no letters: torn by a crash before they were
 * confirmed, or damaged. Empty lines are nothing.
 */
export function readLetters(data: Buffer): { letters: DeadLetter[]; unreadable: Buffer[] } {
  const letters: DeadLetter[] = []
  const unreadable: Buffer[] = []
  for (let start = 0; start < data.length; ) {
    const newline = data.indexOf(NEWLINE, start)
    const end = newline < 0 ? data.length : newline
    const line = data.subarray(start, end)
    start = end + 1
    if (line.length === 0) continue
    const letter = parseLetter(line)
    if (letter === null) unreadable.push(line)
    else letters.push(letter)
  }
  return { letters, unreadable }
}

export function encodeLetters(letters: readonly DeadLetter[]): Buffer {
  return Buffer.from(letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''))
}

function parseLetter(line: Buffer): DeadLetter | null {
  let value: unknown
  try {
    value = JSON.parse(line.toString())
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const letter = value as Record<keyof DeadLetter, unknown>
  const isText = (field: unknown) => typeof field === 'string'
  const isPairs = (field: unknown) => typeof field === 'object' && field !== null && Object.values(field).every(isText)
  const isSound =
    isText(letter.sink) &&
    isText(letter.reason) &&
    isPairs(letter.labels) &&
    isPairs(letter.metadata) &&
    (isText(letter.line) || isText(letter.lineBase64) || isText((letter.create as DeadLetter['create'])?.document)) &&
    isText(letter.timestamp) &&
    /^\d{1,20}$/.test(letter.timestamp as string) &&
    (letter.tenant === undefined || isText(letter.tenant)) &&
    Number.isSafeInteger(letter.bytes)
  return isSound ? (value as DeadLetter) : null
}
