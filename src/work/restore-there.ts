/**
 * Restores onto the machine of a server: the Backstay there does it, and the data comes to it
 * straight from the backup server.
 */
import { giveRestoreOrder, makeDirectoriesThere } from '../fleet/give-order.ts'
import type { RestoreThereOrder, RestoreTold } from '../fleet/restore-order.ts'
import type { Ear } from './ear.ts'
import { nothingTold, type RestoreTherePlace } from './plan-restore-there.ts'

/** What came of it. */
export type RestoredThere = RestoreTold & { readonly told: 'done' }

/**
 * Restores. What is told meanwhile comes from that machine as it is.
 * @param wish `program`: Backstay there, with a way into the repository (`getReadyThere`)
 * @throws what a restore throws there, under its own code; HOST_UNREACHABLE, HOST_COMMAND; the
 * signal of `cluster`'s reason
 */
export async function restoreThere(
  { cluster, server }: RestoreTherePlace,
  wish: {
    readonly order: Omit<RestoreThereOrder, 'isPlanOnly'>
    readonly program: readonly string[]
  },
  { on }: Pick<Ear<RestoreTold>, 'on'>,
): Promise<RestoredThere> {
  const { order, program } = wish
  // Only what the operator names: whatever else the backup says, PostgreSQL's user makes it or
  // nobody.
  const { directory, tablespaces, walDirectory } = order
  const wal = walDirectory === undefined ? [] : [walDirectory]
  await makeDirectoriesThere(cluster, server, [directory, ...Object.values(tablespaces), ...wal])
  let done: RestoredThere | undefined
  await giveRestoreOrder(cluster, server, {
    program,
    order: { ...order, isPlanOnly: false },
    hear: (told) => {
      if (told.told === 'done') done = told
      else on(told)
    },
  })
  if (done === undefined) throw nothingTold(server.name, 'result')
  return done
}
