/**
 * The steps of a standby whose directory is missing, empty, or was left half-filled by us. Pure.
 */
import { formatSize } from '../../util/size.ts'
import type { RoomFound, ServerFound } from '../../cluster/found.ts'
import { tablespaceRefusal } from '../../cluster/clone-room.ts'
import { passfilePathOf } from '../../cluster/names.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { attachStep, type PrimaryOfPlan } from './attach-plan.ts'
import { added, diffLines } from './diff.ts'
import { blocker, type Problem } from '../../cluster/problem.ts'
import { directorySteps, passfileStep, type ServerPlan } from './server-plan.ts'
import { standbyFileWanted } from './standby-settings.ts'
import { type Step, step } from './step.ts'
import { unitSteps } from './unit-plan.ts'

/** Plans it, from the clone to the moment it streams. */
export function planClone(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: { readonly found: ServerFound; readonly primary: PrimaryOfPlan },
): ServerPlan {
  const { found, primary } = place
  const { backstay } = found
  const source = primary.wanted.name
  const isDirect = backstay !== undefined && backstay.obstacle === undefined
  const standby = standbyFileWanted(wanted, server, primary.wanted)
  const steps = [
    ...directorySteps(found),
    passfileStep(server, 'missing'),
    ...packageSteps(found, source),
    step(
      server.name,
      { action: 'clone', source, isDirect },
      {
        title: `clone "${source}" into ${server.directory}`,
        reason: cloneReason(found),
        diff: [
          ...diffLines(undefined, standby),
          added(`port = ${server.port}`),
          added(`password file ${passfilePathOf(server.directory)}`),
        ],
      },
    ),
    ...unitSteps(wanted, server, found),
    step(server.name, { action: 'start' }, { title: 'start PostgreSQL', reason: 'it is new' }),
    attachStep(server.name, primary, 'the clone has to follow the primary'),
  ]
  return { steps, problems: roomProblems({ server, primary: primary.wanted }, found.room) }
}

/** Backstay on the standby's machine lets every byte go straight from the primary to it. */
function packageSteps({ name, backstay }: ServerFound, source: string): readonly Step[] {
  if (backstay === undefined || backstay.isThere || backstay.obstacle !== undefined) return []
  const { version, directory } = backstay
  return [
    step(
      name,
      { action: 'package', version, use: 'clone' },
      {
        title: `install Backstay ${version} in ${directory}`,
        reason: `it clones straight from "${source}"`,
        diff: [added(`${directory} (with its own Node.js)`)],
      },
    ),
  ]
}

function cloneReason(found: ServerFound): string {
  const { obstacle } = found.backstay ?? {}
  if (obstacle === undefined) return emptyReason(found)
  return `${emptyReason(found)}; through this machine: Backstay cannot be put there, because ${obstacle}`
}

function emptyReason(found: ServerFound): string {
  const { state } = found.directory
  if (state === 'clone-unfinished') return 'an earlier clone did not finish'
  if (state === 'initdb-unfinished') return 'an initdb did not finish there'
  return state === 'empty' ? 'the directory is empty' : 'there is no data directory'
}

/** Disk space, and tablespaces that would land on somebody's files. */
function roomProblems(
  pair: { readonly server: ServerWanted; readonly primary: ServerWanted },
  room: RoomFound | undefined,
): readonly Problem[] {
  if (room === undefined) return []
  const { server } = pair
  const refused = room.tablespaces.flatMap(({ source, why }) =>
    why === undefined ? [] : [tablespaceRefusal(pair, source, why)],
  )
  const occupied = room.tablespaces.filter((tablespace) => tablespace.isOccupied)
  return [
    ...refused.map(({ code, message, hint }) => blocker(server.name, { code, message, hint })),
    ...occupied.map(({ source, target }) =>
      blocker(server.name, {
        code: 'DIRECTORY_FOREIGN',
        message: `Cannot clone to server "${server.name}": tablespace directory "${target}" holds files already`,
        hint: `Map it elsewhere in the cluster file: servers.${server.name}.tablespaces: { ${source}: <directory> }.`,
      }),
    ),
    ...room.shortages.map(({ path, neededBytes, freeBytes }) =>
      blocker(server.name, {
        code: 'DISK_SPACE',
        message: `Cannot clone to server "${server.name}": "${path}" has ${formatSize(freeBytes)} free, ${formatSize(neededBytes)} are needed`,
      }),
    ),
  ]
}
