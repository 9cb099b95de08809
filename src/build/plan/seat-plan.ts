/**
 * The steps that make Barman's seat on the backup server's machine. Pure.
 */
import { clientPackages } from '../../host/packages.ts'
import type { BackupHostFound, ClientsFound, SeatSeen } from '../../cluster/found.ts'
import { added, diffLines } from './diff.ts'
import { type Problem, warning } from '../../cluster/problem.ts'
import type { ServerPlan } from './server-plan.ts'
import { type Step, step } from './step.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { clientFiles, hasClients } from '../../cluster/machine/client-files.ts'
import {
  isFullProgram,
  isOurs,
  SEAT_HOME,
  SEAT_MAIN_FILE,
  type SeatFile,
  seatFiles,
} from '../../cluster/machine/seat-files.ts'

const NOTHING: ServerPlan = { steps: [], problems: [] }

/**
 * Plans it; nothing without `backup.barman`. What is there under the names and is not Backstay's
 * stays, and is said.
 */
export function planSeat(
  wanted: ClusterWanted,
  found: BackupHostFound | undefined,
  primary: ServerWanted,
): ServerPlan {
  const { backup } = wanted
  if (backup?.barman !== true) return NOTHING
  if (backup.host.local) return { steps: [], problems: [notHere(backup.name)] }
  const seat = found?.seen?.seat
  if (found?.seen === undefined || seat === undefined) return NOTHING
  const files = seatFiles(wanted, { backup, osUser: found.seen.osUser, primary }).filter(
    // A main file that is there is the operator's or a package's; ours is only for a machine
    // without one.
    ({ path }) => path !== SEAT_MAIN_FILE || !seat.hasOtherMain,
  )
  const parts = files.map((file) => planFile(backup.name, file, seat.texts.get(file.path)))
  return {
    steps: [
      ...(seat.hasHome ? [] : [homeStep(backup.name, found.seen.osUser)]),
      ...parts.flatMap((part) => part.steps),
      ...psqlSteps(wanted, backup.name, seat),
    ],
    problems: parts.flatMap((part) => part.problems),
  }
}

/** The hands that type barman's commands there type psql too. */
function psqlSteps(
  { postgres }: ClusterWanted,
  server: string,
  { psqlFrom: manager }: SeatSeen,
): readonly Step[] {
  if (manager === undefined) return []
  const text = {
    title: `install psql with ${manager}`,
    reason: 'it is not there',
    diff: clientPackages(manager, postgres.version).map((name) => added(`package ${name}`)),
  }
  return [step(server, { action: 'seat-psql', manager }, text)]
}

/** Plans Barman's clients on the machines of the servers that have a way into the repository. */
export function planClients(wanted: ClusterWanted, clients: ClientsFound = new Map()): ServerPlan {
  const parts = wanted.servers.flatMap((server) => {
    const texts = clients.get(server.name)
    if (texts === undefined || !hasClients(wanted, server)) return []
    const files = clientFiles(wanted.name, server).filter(
      ({ path }) => !isFullProgram(texts.get(path) ?? ''),
    )
    return files.map((file) => planFile(server.name, file, texts.get(file.path)))
  })
  return {
    steps: parts.flatMap((part) => part.steps),
    problems: parts.flatMap((part) => part.problems),
  }
}

function planFile(server: string, file: SeatFile, text: string | undefined): ServerPlan {
  if (text === file.content) return NOTHING
  if (text !== undefined && !isOurs(text)) {
    return { steps: [], problems: [foreign(server, file.path)] }
  }
  const user = text !== undefined && file.path === SEAT_MAIN_FILE ? barmanUserOf(text) : undefined
  if (user !== undefined && user !== barmanUserOf(file.content)) {
    return { steps: [], problems: [otherUser(server, user)] }
  }
  return { steps: [fileStep(server, file, text)], problems: [] }
}

function barmanUserOf(text: string): string | undefined {
  return /^barman_user = (.*)$/m.exec(text)?.[1]
}

function fileStep(
  server: string,
  { path, content, mode }: SeatFile,
  text: string | undefined,
): Step {
  return step(
    server,
    { action: 'seat-file', path, content, mode },
    {
      title: `write ${path}`,
      reason: text === undefined ? 'it is missing' : 'it is not as it should be',
      diff: diffLines(text, content),
    },
  )
}

function homeStep(server: string, osUser: string): Step {
  return step(
    server,
    { action: 'seat-home', path: SEAT_HOME },
    {
      title: `make directory ${SEAT_HOME}`,
      reason: 'the log and what is put down for barman lie there',
      diff: [added(`${SEAT_HOME} (of OS user ${osUser}, mode 700)`)],
    },
  )
}

function foreign(server: string, path: string): Problem {
  return warning(server, {
    code: 'DIRECTORY_FOREIGN',
    message: `Cannot write "${path}": a file of this name is there and is not Backstay's`,
    hint: 'Move it away and run backstay up again, or take "barman: true" out of the cluster file.',
  })
}

/** Barman has one user on a machine: two clusters would take it from each other with every `up`. */
function otherUser(server: string, user: string): Problem {
  return warning(server, {
    code: 'DIRECTORY_FOREIGN',
    message: `Cannot write "${SEAT_MAIN_FILE}": another cluster's backup part gave it the OS user "${user}"`,
    hint: 'Give both repositories of this machine to one OS user, or take "barman: true" out of one of the cluster files.',
  })
}

function notHere(server: string): Problem {
  return warning(server, {
    code: 'CONFIG_INVALID',
    message: `"barman: true" makes nothing on backup server "${server}": it is this machine`,
    hint: 'Run backstay install-names here, and write the configuration by hand (docs/barman.md).',
  })
}
