// What is said of a record besides what it says: marks, as the members of its document's `taffrail`.
import type { Entry } from '../../core/entry.ts'
import { withMarks } from '../../core/marks.ts'

/** `marks`: those to tell of, at least one. */
export function marksOf(entry: Entry, marks: number): Record<string, unknown> {
  const { taffrail_mark: mark, ...others } = withMarks({}, entry, marks)
  const pairs = Object.entries(others).map(([name, value]) => [name.replace('taffrail_', ''), value])
  return { mark: mark?.split(','), ...Object.fromEntries(pairs) }
}
