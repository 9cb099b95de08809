/**
 * Checks of replication slots: there, used, and within what the disk can bear.
 */
import { formatSize } from '../../util/size.ts'
import type { SlotFound } from '../found-sql.ts'
import { slotsWanted } from '../plan/slots.ts'
import type { AnsweringServer } from '../replication.ts'
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
        cause: `"${user}" was away while more WAL was written than max_slot_wal_keep_size allows`,
        remedy: `Run backstay up; if "${user}" cannot catch up: backstay reclone ${user}`,
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
      remedy: 'Bring the user back, or drop the slot if nobody needs it.',
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
      (slot) => !slot.isActive && !slot.isTemporary && !isWanted(facts, slot.name),
    )
    if (extra.length === 0) return [say.ok('no unused slot of others')]
    return extra.map((slot) =>
      say.warn({
        found: `slot "${slot.name}" is used by nobody and keeps ${formatSize(slot.retainedBytes ?? 0)} of WAL`,
        cause: 'it is not of the cluster file; whoever made it is gone or away',
        remedy: `If nobody needs it: SELECT pg_drop_replication_slot('${slot.name}')`,
        metrics: metricsOf(slot),
      }),
    )
  })

function isWanted(facts: CheckFacts, name: string): boolean {
  const { primary } = pairsOf(facts)
  if (primary === undefined) return false
  return slotsWanted(facts.wanted, primary.name).some((slot) => slot.name === name)
}

function metricsOf(slot: SlotFound): Readonly<Record<string, number>> {
  return slot.retainedBytes === undefined ? {} : { retainedBytes: slot.retainedBytes }
}
