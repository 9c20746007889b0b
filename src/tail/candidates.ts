// What a lineage is made of before anything is opened: the names that may be files of it. Types alone.
import type { FileOrder } from '../discover/names.ts'

/** A path that may be a file of the lineage. */
export interface Candidate {
  path: string
  order: FileOrder
  compressed: boolean
}

/** Lists the candidates of a lineage, and tells cheaply whether the list may have changed. */
export interface Listing {
  /** A number that moves when the list may have changed. May throw the system's error. */
  version(): number
  /** In reading order. */
  candidates(): Candidate[]
}
