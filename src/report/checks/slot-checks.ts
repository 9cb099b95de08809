/**
 * Checks of replication slots: there, used, and within what the disk can bear.
 */
import { formatSize } from '../../util/size.ts'
import type { SlotFound } from '../../cluster/found-sql.ts'
import { isOurSlotName } from '../../cluster/names.ts'
import { slotsWanted } from '../../cluster/wanted-slots.ts'
import type { AnsweringServer } from '../../cluster/replication.ts'
import { lostSlots } from '../../failover/lost-slots.ts'
import { candidates } from '../../cluster/takeover.ts'
import { type Check, type CheckFacts, type Finding, grade, pairsOf, verdict } from './finding.ts'

/** Of the space that is free or held by the slot. */
const RETAINED_LIMITS = { warn: 0.2, fail: 0.5 }
/** Bytes that may still be written before the server gives the slot up. */
const SAFE_WARN_BYTES = 256 * 1024 ** 2

/** Every slot of the cluster file exists, is used and is not given up. */
export const slotsUsed: Check = (facts) => {
  const { primary } = pairsOf(facts)
  if (primary === undefined) return []
  return slotsWanted(facts.wanted, primary.name).map(({ name, user }) => {
    const slot = primary.sql.slots.find((candidate) => candidate.name === name)
    const say = verdict('slots.used', user)
    if (slot === undefined) {
      return say.fail({
        found: `slot "${name}" does not exist on "${primary.name}"`,
        cause: 'it was dropped, or the primary has changed',
        remedy: 'Run: backstay up',
      })
    }
    if (slot.walStatus === 'lost' || slot.walStatus === 'unreserved') {
      return say.fail({
        found: `slot "${name}" is ${slot.walStatus}`,
        cause: lostCause(user, slot),
        remedy: lostRemedy(facts, user),
      })
    }
    if (!slot.isActive) {
      return say.warn({
        found: `nobody uses slot "${name}"; it keeps ${formatSize(slot.retainedBytes ?? 0)} of WAL`,
        cause: `"${user}" does not run or cannot connect`,
        remedy: 'Bring it back: WAL piles up until then.',
        metrics: metricsOf(slot),
      })
    }
    return say.ok(`slot "${name}" is in use`, metricsOf(slot))
  })
}

function lostCause(user: string, { invalidationReason }: SlotFound): string {
  if (invalidationReason === 'idle_timeout') {
    return `"${user}" was away for longer than idle_replication_slot_timeout allows`
  }
  if (invalidationReason === undefined || invalidationReason === 'wal_removed') {
    return `"${user}" was away while more WAL was written than max_slot_wal_keep_size allows`
  }
  return `the server gave it up: ${invalidationReason}`
}

function lostRemedy({ wanted }: CheckFacts, user: string): string {
  if (wanted.servers.some(({ name }) => name === user)) {
    return `Run backstay up; if "${user}" cannot catch up: backstay reclone ${user}`
  }
  return 'Run backstay up, which makes the slot anew; see backstay wal gaps for what was not received, and then take a backup: backstay backup'
}

/** What slots hold back against the room there is. */
export const slotBudget: Check = (facts) => {
  const { primary } = pairsOf(facts)
  if (primary === undefined) return []
  const freeBytes = facts.freeBytes.get(primary.name)
  return primary.sql.slots.flatMap((slot) => budgetOf(primary, slot, freeBytes))
}

function budgetOf(
  primary: AnsweringServer,
  slot: SlotFound,
  freeBytes: number | undefined,
): readonly Finding[] {
  if (slot.retainedBytes === undefined || freeBytes === undefined) return []
  const say = verdict('slots.budget', primary.name)
  const share = slot.retainedBytes / Math.max(1, slot.retainedBytes + freeBytes)
  const isNearLimit = slot.safeBytes !== undefined && slot.safeBytes < SAFE_WARN_BYTES
  const level = grade(share, RETAINED_LIMITS) ?? (isNearLimit ? 'warn' : undefined)
  const text = `slot "${slot.name}" keeps ${formatSize(slot.retainedBytes)}, ${formatSize(freeBytes)} are free`
  if (level === undefined) return [say.ok(text, metricsOf(slot))]
  return [
    say[level]({
      found: isNearLimit
        ? `${text}; the server gives it up after ${formatSize(slot.safeBytes ?? 0)} more`
        : text,
      cause: slot.isActive ? 'its user is slow' : 'its user is away',
      remedy: isOperators(slot)
        ? 'Bring its reader back; the slot is not of the cluster file, and only whoever made it can say whether it is needed.'
        : 'Bring the user back: WAL piles up until then.',
      metrics: metricsOf(slot),
    }),
  ]
}

/** Slots that nobody declared and nobody uses hold WAL for ever. */
export const foreignSlots: Check = (facts) =>
  facts.found.servers.flatMap((server) => {
    if (server.sql === undefined) return []
    const say = verdict('slots.extra', server.name)
    const extra = server.sql.slots.filter(
      (slot) => !slot.isActive && !slot.isTemporary && !isOurSlotName(slot.name),
    )
    if (extra.length === 0) return [say.ok('no unused slot of others')]
    return extra.map((slot) =>
      say.warn({
        found: `slot "${slot.name}" is used by nobody and keeps ${formatSize(slot.retainedBytes ?? 0)} of WAL`,
        cause: 'it is not of the cluster file; whoever made it is gone or away',
        remedy:
          'Bring its reader back. Only whoever made the slot can say whether it is still needed.',
        metrics: metricsOf(slot),
      }),
    )
  })

/** Our own that are left over are for `up` to remove, once it is decided who is primary. */
function isOperators({ name }: SlotFound): boolean {
  return !isOurSlotName(name)
}

/**
 * Logical slots that a change of roles would leave behind, told while there is time to do something
 * about it.
 */
export const logicalSlots: Check = (facts) => {
  const { primary } = pairsOf(facts)
  if (primary === undefined) return []
  const [best] = candidates(facts.wanted, facts.found)
  const to = facts.found.servers.find(({ name }) => name === best?.server)
  if (to?.sql === undefined) return []
  return lostSlots(primary.sql.slots, to.sql.slots).map((slot) =>
    verdict('slots.logical', primary.name).warn({
      found: `logical slot "${slot.name}" is not on "${to.name}": a switchover or failover would leave its reader without it`,
      cause: 'logical slots do not stream to a standby by themselves',
      remedy:
        'From PostgreSQL 17 on make it with failover = true and set sync_replication_slots = on there; before that plan to begin its reader anew.',
    }),
  )
}

function metricsOf(slot: SlotFound): Readonly<Record<string, number>> {
  return slot.retainedBytes === undefined ? {} : { retainedBytes: slot.retainedBytes }
}
