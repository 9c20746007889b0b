// What a record is called in the store: a pure function of the record, so that a repeat meets its twin and is told so
// (409), and begun with its time, so that the server finds out cheaply that an id is new: those of an old segment are all
// smaller. 36 letters of base64 with the URL alphabet, which both products store as the 27 bytes that they stand for:
//   seconds (6 letters) | nanoseconds (5) | file (13: 78 bits of SHA-256) | offset (7) | bytes (5)
// `file` says whose file it is and which: pod UID, container, restart and head. `bytes` are those of the rows that the record
// was made of, and so say where it ends: a record that ends elsewhere is another record.
// Of an audit event: seconds | 128 bits of SHA-256 over it as it is delivered. Not its auditID, which a client chooses.
import { hash } from 'node:crypto'

export const ID_LETTERS = 36
/** Where in the id its parts begin. */
export const ID_SECONDS_AT = 0
export const ID_NANOS_AT = 6
export const ID_FILE_AT = 11
export const ID_OFFSET_AT = 24
export const ID_BYTES_AT = 31
const FILE_LETTERS = 13

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
/** Two letters for twelve bits, as a little-endian word. */
const PAIRS = Uint16Array.from({ length: 4096 }, (_, bits) => {
  return (ALPHABET[bits >>> 6] as number) | ((ALPHABET[bits & 63] as number) << 8)
})
const TWO_TO_30 = 2 ** 30

/** The 13 letters that stand for a file, from what it is known by. */
export function fileLetters(parts: readonly (string | number)[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, FILE_LETTERS)
}

/** Writes 30 bits as five letters. */
export function writeFive(view: DataView, at: number, value: number): void {
  view.setUint8(at, ALPHABET[value >>> 24] as number)
  view.setUint16(at + 1, PAIRS[(value >>> 12) & 4095] as number, true)
  view.setUint16(at + 3, PAIRS[value & 4095] as number, true)
}

/** Writes seconds (36 bits) as six letters. */
export function writeSix(view: DataView, at: number, value: number): void {
  view.setUint8(at, ALPHABET[Math.floor(value / TWO_TO_30) & 63] as number)
  writeFive(view, at + 1, value % TWO_TO_30)
}

/** Writes an offset (42 bits) as seven letters. */
export function writeSeven(view: DataView, at: number, value: number): void {
  if (value < TWO_TO_30) {
    view.setUint16(at, PAIRS[0] as number, true)
    writeFive(view, at + 2, value)
    return
  }
  view.setUint16(at, PAIRS[Math.floor(value / TWO_TO_30) & 4095] as number, true)
  writeFive(view, at + 2, value % TWO_TO_30)
}

/** The `_id` of an audit event: 28 letters. `event` is what is delivered, after policy and redaction; `seconds` its time. */
export function auditId(event: Buffer, seconds: number): string {
  const letters = Buffer.alloc(6)
  writeSix(new DataView(letters.buffer, letters.byteOffset, 6), 0, seconds)
  return letters.toString('latin1') + hash('sha256', event, 'buffer').subarray(0, 16).toString('base64url')
}
