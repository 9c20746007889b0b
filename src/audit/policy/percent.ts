// Percent-encoding in the URLs of requests (RFC 3986, 2.1), read as Go's net/url reads it. Pure.

/** `%XX` replaced by the bytes they stand for; every other `%` stays. */
export function unescapeBytes(text: string): string {
  const source = Buffer.from(text)
  const bytes = Buffer.alloc(source.length)
  let end = 0
  for (let at = 0; at < source.length; at++) {
    const value = source[at] === 0x25 ? hexPair(source, at + 1) : -1
    bytes[end++] = value < 0 ? source[at]! : value
    if (value >= 0) at += 2
  }
  return bytes.toString('utf8', 0, end)
}

function hexPair(bytes: Buffer, at: number): number {
  const text = at + 2 <= bytes.length ? bytes.toString('latin1', at, at + 2) : ''
  return /^[0-9A-Fa-f]{2}$/.test(text) ? Number.parseInt(text, 16) : -1
}
