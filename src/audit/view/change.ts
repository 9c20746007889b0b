// What a request changed, as far as bodies tell: two states of an object compared, or what a patch asked for beside what came
// of it. Pure. Bound: CHANGES_MAX lines.

export interface Change {
  /** `spec.replicas`, `spec.containers[0].image`, `metadata.annotations["a.b/c"]`; empty for all of it. */
  path: string
  /** undefined: it was not there. */
  before: unknown
  /** undefined: it is not there any more. */
  after: unknown
}

const CHANGES_MAX = 500
/** What the server counts by itself, at every write. */
const BOOKKEEPING = new Set(['metadata.managedFields', 'metadata.resourceVersion', 'metadata.generation'])

/** The differences in order; `isWhole` false where there are more than are listed. */
export function changes(before: unknown, after: unknown): { changes: Change[]; isWhole: boolean } {
  const found: Change[] = []
  compare(before, after, '', found)
  return { changes: found.slice(0, CHANGES_MAX), isWhole: found.length <= CHANGES_MAX }
}

function compare(before: unknown, after: unknown, path: string, found: Change[]): void {
  if (found.length > CHANGES_MAX || BOOKKEEPING.has(path)) return
  if (Array.isArray(before) && Array.isArray(after)) {
    compareLists(before, after, path, found)
    return
  }
  if (isObject(before) && isObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      compare(own(before, key), own(after, key), join(path, key), found)
    }
    return
  }
  if (before !== after && JSON.stringify(before) !== JSON.stringify(after)) found.push({ path, before, after })
}

/** Lists of what has names are compared by name: a container that is put first does not change the others. */
function compareLists(before: unknown[], after: unknown[], path: string, found: Change[]): void {
  const [old, now] = [byName(before), byName(after)]
  if (old !== null && now !== null) {
    for (const name of new Set([...old.keys(), ...now.keys()])) {
      compare(old.get(name), now.get(name), `${path}[${name}]`, found)
    }
    return
  }
  for (let i = 0; i < Math.max(before.length, after.length); i++) compare(before[i], after[i], `${path}[${i}]`, found)
}

function byName(list: unknown[]): Map<string, unknown> | null {
  const named = new Map<string, unknown>()
  for (const item of list) {
    const name = isObject(item) ? own(item, 'name') : undefined
    if (typeof name !== 'string' || named.has(name)) return null
    named.set(name, item)
  }
  return named
}

/** What a patch asks for: each value that it sets, with `before` what the object has there after it. */
export function patched(patch: unknown, result: unknown): Change[] {
  const found: Change[] = []
  if (Array.isArray(patch)) {
    for (const operation of patch.slice(0, CHANGES_MAX)) {
      if (!isObject(operation)) continue
      const { op, path, from, value } = operation
      const what =
        typeof from === 'string' ? `${String(op)} ${from} to ${String(path)}` : `${String(op)} ${String(path)}`
      found.push({ path: what, before: undefined, after: value })
    }
    return found
  }
  leaves(patch, result, '', found)
  return found.slice(0, CHANGES_MAX)
}

function leaves(patch: unknown, result: unknown, path: string, found: Change[]): void {
  if (found.length > CHANGES_MAX) return
  if (!isObject(patch) || Object.keys(patch).length === 0) {
    found.push({ path, before: result, after: patch })
    return
  }
  for (const [key, value] of Object.entries(patch)) {
    leaves(value, isObject(result) ? own(result, key) : undefined, join(path, key), found)
  }
}

function join(path: string, key: string): string {
  if (!/^[\w-]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`
  return path === '' ? key : `${path}.${key}`
}

function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
