/**
 * The steps that make servers follow another primary than before, and give that one the slots they
 * stream from. Pure.
 */
import { versionFacts } from '../postgres/version.ts'
import type { SlotFound } from '../cluster/found-sql.ts'
import { planFollowing } from '../build/plan/following.ts'
import type { MemberFound } from '../cluster/leader.ts'
import { restoreLeftSteps, withoutRestoreLeft } from '../build/plan/restore-left.ts'
import { effectSteps } from '../build/plan/server-plan.ts'
import { planSlot } from '../build/plan/slot-plan.ts'
import { slotsWanted, type SlotWanted } from '../cluster/wanted-slots.ts'
import { type Step, step } from '../build/plan/step.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/**
 * Points a server at `primary`: its file, its signal to start as a standby, and for a running one
 * the reload or restart that makes it read them. A stopped one stays stopped.
 */
export function followSteps(
  wanted: ClusterWanted,
  found: MemberFound,
  primary: string,
): readonly Step[] {
  const server = wantedServer(wanted, found.name)
  const place = { found, primary: { wanted: wantedServer(wanted, primary), found: undefined } }
  const following = planFollowing(wanted, server, place)
  const signalled = following.steps.map((entry) =>
    entry.action === 'signal-file' ? { ...entry, title: 'mark it to start as a standby' } : entry,
  )
  const files = [...restoreLeftSteps(found, server.directory), ...signalled]
  return found.running === undefined ? files : [...files, ...effectSteps(found, following)]
}

/**
 * What can be done of it while the server still is the primary: the file that points it at its
 * successor means nothing before the signal is there (12+; recovery.conf would be both). The second
 * is the server with that file written.
 */
export function pointSteps(
  wanted: ClusterWanted,
  found: MemberFound,
  primary: string,
): { readonly steps: readonly Step[]; readonly pointed: MemberFound } {
  if (versionFacts(wanted.postgres.version).recoveryConf) return { steps: [], pointed: found }
  const steps = followSteps(wanted, asStopped(found), primary).filter(isFileStep)
  const standby = steps.find(({ file }) => file === 'standby')?.content ?? found.files.standby
  const { files } = withoutRestoreLeft(found)
  return { steps, pointed: { ...found, files: { ...files, standby } } }
}

function isFileStep(step: Step): step is Step & { readonly action: 'file' } {
  return step.action === 'file'
}

/** A server as it is once it has been stopped. */
export function asStopped(found: MemberFound): MemberFound {
  return { ...found, running: undefined, sql: undefined, sqlError: undefined }
}

/**
 * The slots a server needs before it becomes the primary: those of the cluster file, and those that
 * somebody else streams from on the old primary. A slot begins where it is made: it has to be there
 * before the old primary stops.
 */
export function slotSteps(
  wanted: ClusterWanted,
  place: {
    readonly to: string
    readonly slots: readonly SlotFound[]
    readonly oldSlots: readonly SlotFound[]
  },
): readonly Step[] {
  const own = slotsWanted(wanted, place.to)
  const carried = foreignSlots(wanted, place.oldSlots)
  return [...own, ...carried].flatMap((slot) => planSlot(place.to, slot, place.slots).steps)
}

/** Takes slots away from a server that nobody streams from any more. */
export function dropSteps(server: string, slots: readonly string[]): readonly Step[] {
  return slots.map((slot) =>
    step(
      server,
      { action: 'drop-slot', slot },
      {
        title: `drop slot "${slot}"`,
        reason: 'nobody streams from it here',
        diff: [{ sign: '-', text: `physical slot ${slot}` }],
      },
    ),
  )
}

/** Physical slots of others that are in use on a primary. */
export function foreignSlots(
  wanted: ClusterWanted,
  slots: readonly SlotFound[],
): readonly SlotWanted[] {
  const ours = new Set(wanted.servers.flatMap(({ name }) => slotsWanted(wanted, name)).map(nameOf))
  return slots
    .filter((slot) => slot.isPhysical && !slot.isTemporary && slot.isActive && !ours.has(slot.name))
    .map(({ name }) => ({ name, user: name }))
}

function nameOf({ name }: SlotWanted): string {
  return name
}
