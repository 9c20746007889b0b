// The demo's place on the terminal: one block of lines that is drawn over itself. A terminal that is none (a pipe, a
// file, TERM=dumb) gets a line now and then instead. Every frame is one write, so that nothing flickers.

export type Colour = 'red' | 'green' | 'yellow' | 'bold' | 'dim'

const CODES: Record<Colour, number> = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 }
const CLEAR_REST = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'

/** Wraps text in a colour, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string

export const plainPaint: Paint = (_colour, text) => text
export const colourPaint: Paint = (colour, text) => `\x1b[${CODES[colour]}m${text}\x1b[0m`

export interface Terminal {
  write: (text: string) => void
  columns: () => number
}

export class Screen {
  readonly #terminal: Terminal
  #height = 0
  #columns = 0

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Draws the block over the one before. `header` is what stands above it, for when all must be drawn anew. */
  draw(lines: readonly string[], header: readonly string[]): void {
    const columns = this.#terminal.columns()
    const fitted = (text: readonly string[]) => text.map((line) => `${fit(line, columns - 1)}${CLEAR_REST}\n`).join('')
    let frame = ''
    if (this.#height === 0) frame = fitted(header)
    // A terminal of another width has wrapped the old lines: nobody knows where they are.
    else if (columns !== this.#columns) frame = `\x1b[2J\x1b[H${fitted(header)}`
    else frame = `\x1b[${this.#height}F`
    this.#terminal.write(frame + fitted(lines) + CLEAR_BELOW)
    this.#height = lines.length
    this.#columns = columns
  }
}

/** Cuts a line to so many columns; escape codes take none. */
export function fit(line: string, columns: number): string {
  let visible = 0
  let at = 0
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what a colour begins with
  for (const [part] of line.matchAll(/\x1b\[\d+m|[^\x1b]+/g)) {
    if (part[0] !== '\x1b') {
      if (visible + part.length > columns) {
        const cut = line.slice(0, at + Math.max(0, columns - visible - 1))
        return `${cut}…${line.includes('\x1b') ? '\x1b[0m' : ''}`
      }
      visible += part.length
    }
    at += part.length
  }
  return line
}
