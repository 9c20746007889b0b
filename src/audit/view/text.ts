// What clients send made fit to be shown to a person: no byte of it moves a cursor, colours a line, turns its direction or
// hides. Client-chosen are user agents, names, paths, audit IDs and whatever a body holds. Pure.

/**
 * Control characters (C0, DEL, C1), separators of lines, what changes direction, what shows nothing, and halves of characters.
 * The flag `u` makes a half match only where its other half is missing.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/** The text with everything unsafe in it written out: `\x1b`, `\u202e`. Newlines too, unless `keepsLines`. */
export function visible(text: string, keepsLines = false): string {
  return text.replace(UNSAFE, (character) => {
    if (keepsLines && character === '\n') return character
    const code = character.codePointAt(0)!
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** The same JSON with the unsafe characters in its strings as escapes. Characters below 0x20 stand in no string of JSON as they are. */
export function visibleJson(json: string): string {
  return json.replace(UNSAFE, (character) => {
    let escaped = ''
    for (let i = 0; i < character.length; i++) {
      escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
    }
    return escaped
  })
}

/** A word of a table: visible, in quotes where blanks could make it look like two, `-` where there is none. */
export function word(text: string): string {
  if (text === '') return '-'
  const shown = visible(text)
  return /\s/.test(shown) ? `"${shown}"` : shown
}

/** At most `lengthMax` characters; what is left out is told by an ellipsis. */
export function clipped(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text
  const characters = Array.from(text)
  return characters.length <= lengthMax ? text : `${characters.slice(0, lengthMax - 1).join('')}…`
}
