// Whose turn it is to have descriptors, when there are fewer of them than files. Those who have nothing to lose give theirs
// up first, and come back to their place as after a restart (Lineage.sleep, Reader.sleep); who waits gets them in turn,
// sooner if its file was rotated meanwhile. Invariant: a lineage that holds an unread file without a name keeps what it has,
// since only the descriptor holds that file. Pure.
import type { Lineage } from './lineage.ts'

/** A lineage with something unread has at least so long until another one gets its descriptors: a superseded file's end takes a second. */
const TURN_MS_MIN = 2000
/** If it does not get on with that, as when a sink is down, it may go on holding it for so long. */
const STUCK_MS = 10_000
/** A rotation while nobody looked counts as much as so long a wait. */
const ROTATED_MS = 10_000

/** A lineage as the ration sees it. */
export interface Rationed {
  readonly lineage: Lineage
  /** Some sink has not acknowledged all of it. */
  readonly hasUnread: boolean
  /** Something was acknowledged since it was woken. */
  readonly hasMoved: boolean
  /** Monotonic ms of its last awakening. */
  readonly wokenAt: number
}

/** Who waits for descriptors, the one that should get them first at the front. */
export function waiting<Member extends Rationed>(members: Iterable<Member>): Member[] {
  const found: Member[] = []
  for (const member of members) if (member.lineage.waitingSince !== null) found.push(member)
  return found.length < 2 ? found : found.sort((a, b) => urgency(a.lineage) - urgency(b.lineage))
}

/** Who may be asked to give its descriptors up at `now` (monotonic ms), the one that loses least at the front. */
export function givers<Member extends Rationed>(members: Iterable<Member>, now: number): Member[] {
  const found: { member: Member; hasUnread: boolean }[] = []
  for (const member of members) {
    const { lineage, wokenAt } = member
    if (lineage.asleep || lineage.files.length === 0) continue
    const { hasUnread } = member
    if (!hasUnread || now - wokenAt >= (member.hasMoved ? TURN_MS_MIN : STUCK_MS)) found.push({ member, hasUnread })
  }
  found.sort((a, b) => {
    if (a.hasUnread !== b.hasUnread) return a.hasUnread ? 1 : -1
    return a.hasUnread ? a.member.wokenAt - b.member.wokenAt : a.member.lineage.activeAt - b.member.lineage.activeAt
  })
  return found.map(({ member }) => member)
}

function urgency({ waitingSince, sleeping }: Lineage): number {
  return (waitingSince ?? 0) - (sleeping.wasRotated ? ROTATED_MS : 0)
}
