// Which rules hold for a reader's lines: its source's and its sink's, and what its pod asks for in annotations, as far as
// the configuration lets it. Decides nothing about single lines. Bound: one reading of the annotations a Metadata.
import type { Config } from '../config/config.ts'
import type { Events } from '../core/events.ts'
import type { Metadata } from '../core/metadata.ts'
import { type Directives, directivesOf, tenantsFor } from '../enrich/directives.ts'
import type { MultilineConfig } from '../parse/multiline.ts'
import { isLike, Selection } from '../select/selection.ts'
import type { Reader } from '../tail/reader.ts'

export class Rules {
  readonly #config: Config
  readonly #events: Events
  /** What was made of the annotations in a Metadata, which never changes: the status asks for all of them. */
  readonly #directives = new WeakMap<Metadata, Directives>()

  constructor(config: Config, events: Events) {
    this.#config = config
    this.#events = events
  }

  /** Whether a namespace's pods may have their lines go to the tenant. */
  mayName({ namespace }: Metadata, tenant: string): boolean {
    const { honour, tenants } = this.#config.kubernetes.annotations
    return honour && tenantsFor(namespace, tenants).includes(tenant)
  }

  /** What the reader's pod asks for; null where it has nothing to say: what was audited goes out as it is, whatever it happened in. */
  askedBy(reader: Reader, metadata: Metadata): Directives | null {
    if (reader.lineage.info.sourceType === 'audit') return null
    let asked = this.#directives.get(metadata)
    if (asked === undefined) {
      const { namespace, container, directives = {} } = metadata
      asked = directivesOf(directives, container, tenantsFor(namespace, this.#config.kubernetes.annotations.tenants))
      this.#directives.set(metadata, asked)
    }
    return asked
  }

  /** Which of its lines are one record, by its source or by its pod. */
  multilineFor(reader: Reader, metadata: Metadata): MultilineConfig | null {
    const source = this.#config.sources.find(({ name }) => name === reader.lineage.info.source)
    if (source?.type === 'files' && source.multiline !== undefined) return source.multiline
    return this.askedBy(reader, metadata)?.multiline ?? null
  }

  /** What of its lines goes to the sink, and as what; null: everything, as it is. Tells of annotations that are not understood. */
  selectionFor(sink: string, reader: Reader, metadata: Metadata): Selection | null {
    const { source: name, key: lineage } = reader.lineage.info
    const found = this.#config.sources.find((each) => each.name === name)
    const source = found?.type === 'auditWebhook' ? undefined : found
    const own = this.#config.sinks.find((each) => each.name === sink)
    const asked = this.askedBy(reader, metadata)
    for (const each of asked?.problems ?? []) this.#events.emit('annotation.invalid', { lineage, ...each })
    const { exemptNamespaces } = this.#config.kubernetes.annotations
    const isExempt = asked === null || exemptNamespaces.some((glob) => isLike(glob, metadata.namespace))
    return Selection.of([source?.select, own?.select], source?.redact ?? [], metadata, isExempt ? undefined : asked)
  }
}
