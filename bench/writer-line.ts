// Where a message carries its number, and the head of the paced writer's messages: `w=0007 n=0000000123
// t=0000001234567890 `, the last being the microseconds of the monotonic clock at which the line was written. Shared by
// those who write lines and by the receiver that reads them again.

/** Stands for the number; replaced in place, so it has the width of the number. */
export const SEQUENCE_PLACE = '##########'

export const WRITE_TIME_DIGITS = 16
/** Offset of the digits in the message. */
export const WRITE_TIME_AT = 'w=0000 n='.length + SEQUENCE_PLACE.length + ' t='.length
/** The byte two in front of the digits, `t`. */
export const WRITE_TIME_MARK = 116

export function lineHead(writer: number): string {
  return `w=${String(writer).padStart(4, '0')} n=${SEQUENCE_PLACE} t=${'0'.repeat(WRITE_TIME_DIGITS)} `
}

/** Writes microseconds at `at`, WRITE_TIME_DIGITS wide. */
export function writeTimeDigits(target: Buffer, at: number, micros: number): void {
  let rest = micros
  for (let index = at + WRITE_TIME_DIGITS - 1; index >= at; index--) {
    const next = Math.floor(rest / 10)
    target[index] = 48 + rest - next * 10
    rest = next
  }
}
