// References to the environment in string values: `${NAME}`, `${NAME:-default}`, and `$${` for a literal `${`. They are
// replaced after YAML has been parsed, so that a value from outside can never become structure.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

export interface Substitution {
  text: string
  /** Whether anything came from the environment (or from a default beside it). */
  substituted: boolean
  /** One sentence for each reference that could not be replaced. */
  problems: string[]
}

/** Replaces the references in `text`. The default stands in for a variable that is unset or empty, as in a shell. */
export function substitute(text: string, env: NodeJS.ProcessEnv): Substitution {
  const problems: string[] = []
  let substituted = false
  const replaced = text.replace(REFERENCE, (_, inner: string | undefined, close: string) => {
    if (inner === undefined) return '${'
    substituted = true
    const match = close === '' ? null : NAME.exec(inner)
    if (match === null) {
      // What follows the brace is not repeated: a password may hold one.
      problems.push('a ${ that does not begin ${NAME} or ${NAME:-default}; for a literal ${ write $${')
      return ''
    }
    const [, name = '', fallback] = match
    // As its own: an object, and process.env too, inherits a toString.
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
    if (value === undefined) problems.push(`the environment variable ${name} is not set`)
    return value ?? ''
  })
  return { text: replaced, substituted, problems }
}

/** Writes `text` so that `substitute` gives it back unchanged. */
export function escapeReferences(text: string): string {
  // As a function: in a replacement string $$ would mean one $.
  return text.replaceAll('${', () => '$${')
}
