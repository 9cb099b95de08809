/**
 * WAL senders and slots of an existing primary that others use up, where no restart of the plan
 * raises the limit.
 */
import type { MemberFound } from '../../cluster/leader.ts'
import { blocker, type Problem } from '../../cluster/problem.ts'
import type { Settings } from '../../cluster/settings.ts'
import type { SlotWanted } from '../../cluster/wanted-slots.ts'

/** A problem for each limit that does not leave enough for what is missing. */
export function limitProblems(
  slots: readonly SlotWanted[],
  { sql, name }: MemberFound,
  settings: Settings,
): readonly Problem[] {
  if (sql === undefined) return []
  const limitOf = (setting: string): number =>
    Math.max(Number(sql.settings.get(setting)?.value ?? 0), Number(settings[setting] ?? 0))
  return [
    ...limitProblem(name, 'max_replication_slots', {
      limit: limitOf('max_replication_slots'),
      used: sql.slots.map((slot) => slot.name),
      missing: slots.filter((slot) => !sql.slots.some((found) => found.name === slot.name)).length,
    }),
    ...limitProblem(name, 'max_wal_senders', {
      limit: limitOf('max_wal_senders'),
      used: sql.senders.map((sender) => sender.applicationName || `pid ${sender.pid}`),
      missing: slots.filter(
        ({ user }) => !sql.senders.some((sender) => sender.applicationName === user),
      ).length,
    }),
  ]
}

function limitProblem(
  server: string,
  setting: string,
  count: { readonly limit: number; readonly used: readonly string[]; readonly missing: number },
): readonly Problem[] {
  const { limit, used, missing } = count
  if (missing === 0 || used.length + missing <= limit) return []
  return [
    blocker(server, {
      code: 'POSTGRES_LIMIT',
      message: `Cannot add what the cluster needs to server "${server}": ${setting} is ${limit}, ${used.length} are in use (${used.join(', ')}) and ${missing} more are needed`,
      hint: `Free some, or raise ${setting} in postgres.parameters of the cluster file.`,
    }),
  ]
}
