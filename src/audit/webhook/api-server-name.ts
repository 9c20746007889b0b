// What an API server is called: by its client certificate, else by the path of its webhook's URL. The name comes from the
// network and becomes part of a path and of records, so whatever is not plain is written as %XX, which no two names share.
const PATH = /^\/audit(?:\/([^/]*))?\/?$/
const NAME_CHARS_MAX = 120

/** The name of what calls itself `given`; null: none can be made of it. */
export function apiServerName(given: string): string | null {
  if (given === '') return null
  const name = given
    .replace(/[^A-Za-z0-9._:@-]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    )
    .replace(/^\./, '%2E')
  return name.length <= NAME_CHARS_MAX ? name : null
}

/** What the path of a URL says: null: it is not the webhook's; '' where it names nobody. */
export function nameInPath(url: string): string | null {
  const match = PATH.exec(url.split('?', 1)[0]!)
  if (match === null) return null
  try {
    return decodeURIComponent(match[1] ?? '')
  } catch {
    return null // a % that begins nothing
  }
}
