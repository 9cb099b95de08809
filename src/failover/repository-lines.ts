/**
 * What a change of roles tells the repository of timelines: where production is then.
 */
import { posix } from 'node:path'
import { FORMAT_VERSION } from '../repository/format.ts'
import { lineObject, nextLine } from '../repository/line-records.ts'
import { sealJson } from '../repository/sealed-json.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'
import { repositoryThere } from '../cluster/repository-there.ts'
import { timelinesHeld } from '../wal/note-line.ts'

/**
 * Records in the repository that production is on `timeline` now. One that cannot be reached learns
 * it from its receiver.
 */
export async function noteLineThere(context: ClusterContext, timeline: number): Promise<void> {
  const { backup } = context.wanted
  if (backup === undefined) return
  try {
    const { host, osUser: owner } = await context.machineOf(backup)
    const there = await repositoryThere(context, backup)
    const { store, names } = there
    if ((await store.size(names.identity)) === undefined) return
    const place = { store, names, clock: context.clock }
    const seen = { timeline, known: await timelinesHeld(there), by: 'roles' } as const
    const record = await nextLine(place, seen)
    if (record === undefined) return
    const pathOf = (object: string): string => posix.join(backup.repository, object)
    await host.makeDirectory(pathOf(names.lines), { mode: 0o700, owner })
    const sealed = sealJson({ format: FORMAT_VERSION, ...record })
    await host.writeFile(pathOf(lineObject(names, record)), sealed, { mode: 0o600, owner })
  } catch (error) {
    factOf(error)
  }
}
