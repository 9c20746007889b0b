// What the policy and the type of a request say of an event: whether it is kept, what of it is left out, and what its bodies
// are. It never adds. An event whose URI is none was never judged by a policy; it is kept as it is.
import { API_GROUP, type EventFacts, LEVEL, RESOURCE, STAGE } from './event.ts'
import { KnownBytes } from './known.ts'
import { LEVEL_METADATA, LEVEL_REQUEST, LEVELS, type Policy, stageBit } from './policy/policy.ts'
import type { RequestTarget } from './policy/request.ts'
import type { Mask } from './redact/mask.ts'
import {
  HAS_SECRET_DATA,
  IS_ABOUT_SECRETS,
  IS_PATCH,
  IS_SECRET_OBJECT,
  IS_SIGNING,
  LISTS_THAT_LOSE,
  LOSES_MANAGED_FIELDS,
} from './redact/roles.ts'
import type { WalkOptions } from './redact/walk.ts'
import { type Verdict, Verdicts } from './verdicts.ts'

export class Rulings {
  /** The rule of the policy that decided about the last event; -1 for none. */
  rule = -1
  /** Bodies or fields of it were left out by the policy. */
  isTrimmed = false
  readonly verdicts: Verdicts
  readonly #mask: Mask | null
  readonly #stages = new KnownBytes<number>(4)
  readonly #levels = new KnownBytes<number>(4)

  /** `policy` null: all is kept; `mask` null: nothing is redacted. */
  constructor(policy: Policy | null, mask: Mask | null) {
    this.verdicts = new Verdicts(policy)
    this.#mask = mask
  }

  /** Begins with another line. */
  clear(): void {
    this.rule = -1
    this.isTrimmed = false
  }

  /** null: it is dropped; undefined: it cannot be decided, for its user cannot be read. */
  of(facts: EventFacts): WalkOptions | null | undefined {
    const verdict = this.verdicts.of(facts)
    return verdict === null ? undefined : this.#decide(facts, verdict)
  }

  #decide(facts: EventFacts, { target, decision, isPatch }: Verdict): WalkOptions | null {
    const mask = this.#mask
    // A list of operations is one wherever it stands, whatever the verb says.
    const role = roleOf(aboutOf(facts, target)) | IS_PATCH
    const options: WalkOptions = {
      mask: mask ?? String,
      redacts: mask !== null,
      requestRole: role,
      responseRole: role,
      dropsRequest: false,
      dropsResponse: false,
      level: null,
    }
    if (decision === null) return options
    this.rule = decision.rule
    if (decision.level === 0 || (decision.omitStages & this.#stageBit(facts)) !== 0) return null
    const logged = this.#levelLogged(facts)
    if (decision.level < logged) {
      options.level = LEVELS[decision.level]!
      this.isTrimmed = true
    }
    options.dropsRequest = decision.level <= LEVEL_METADATA
    options.dropsResponse = decision.level <= LEVEL_REQUEST
    if (decision.omitManagedFields) {
      options.responseRole |= LOSES_MANAGED_FIELDS | LISTS_THAT_LOSE
      if (!isPatch) options.requestRole |= LOSES_MANAGED_FIELDS | LISTS_THAT_LOSE
    }
    return options
  }

  #stageBit(facts: EventFacts): number {
    const { buffer } = facts
    const start = facts.startOf(STAGE)
    const end = facts.endOf(STAGE)
    let bit = this.#stages.find(buffer, start, end)
    if (bit === undefined) this.#stages.add(buffer, start, end, (bit = stageBit(facts.text(STAGE))))
    return bit
  }

  /** Index into LEVELS; -1 for none. */
  #levelLogged(facts: EventFacts): number {
    const { buffer } = facts
    const start = facts.startOf(LEVEL)
    const end = facts.endOf(LEVEL)
    let level = this.#levels.find(buffer, start, end)
    if (level === undefined) {
      level = (LEVELS as readonly string[]).indexOf(facts.text(LEVEL))
      this.#levels.add(buffer, start, end, level)
    }
    return level
  }
}

/** What the request is about: what its URI says or, where that says nothing (another server's prefix), its objectRef. */
function aboutOf(facts: EventFacts, target: Verdict['target']): Pick<RequestTarget, 'apiGroup' | 'resource'> {
  if (target !== null && (target.resource !== '' || !facts.has(RESOURCE))) return target
  return { apiGroup: facts.text(API_GROUP), resource: facts.text(RESOURCE) }
}

/** What the type of a request says of its bodies. */
function roleOf({ apiGroup, resource }: Pick<RequestTarget, 'apiGroup' | 'resource'>): number {
  if (apiGroup === '' && resource === 'secrets') return HAS_SECRET_DATA | IS_ABOUT_SECRETS | IS_SECRET_OBJECT
  if (resource.includes('secret')) return HAS_SECRET_DATA
  if (resource === 'certificatesigningrequests' || resource === 'podcertificaterequests') return IS_SIGNING
  if (resource === 'tokenreviews' || resource === 'configmaps') return IS_ABOUT_SECRETS
  return 0
}
