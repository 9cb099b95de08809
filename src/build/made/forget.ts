/**
 * Takes away what Backstay made of a server, or of the backup part, that the cluster file has no
 * more. Data stay unless the operator says otherwise; a repository always does.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { fencePathOf } from '../../host/boot-guard.ts'
import { findPostmaster } from '../../host/postmaster.ts'
import { postgresServiceOf } from '../../host/postgres-unit.ts'
import { stopServer } from '../../host/postgres-control.ts'
import { removeHold } from '../../host/rival-units.ts'
import { removeUnit } from '../../host/systemd.ts'
import { takeStep } from '../apply.ts'
import { removeAsidePath } from '../remove-aside.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import { markForRemoval, removeMarked } from '../destroy.ts'
import type { ClusterFound } from '../../cluster/found.ts'
import { lockCluster } from '../../cluster/lock.ts'
import { lookCluster } from '../../cluster/look/look.ts'
import { lookDirectory } from '../../cluster/look/look-directory.ts'
import {
  passfilePathOf,
  repositoryPassfileOf,
  slotNameOf,
  startLogPathOf,
} from '../../cluster/names.ts'
import { answeringPrimary } from '../../cluster/replication.ts'
import { refuseUnfinished } from '../../cluster/journal.ts'
import { wayEntryOf } from '../../cluster/machine/client-files.ts'
import { removeBackupService } from '../../fleet/stop-service.ts'
import { keptStatePathOf } from '../../cluster/state/kept-state.ts'
import { instanceOf } from '../steps/act-context.ts'
import { refuseShared } from '../shared-places.ts'
import { refuseUnremovable, tablespaceLinksOf } from '../tablespace-links.ts'
import { closeWay, closeWays } from '../../fleet/open-way.ts'
import { wayDirectoryOf } from '../../cluster/machine/way-files.ts'
import type { BackupWanted, ServerWanted } from '../../cluster/wanted.ts'
import { dropLeftSlot, silenceRoles } from './left-sql.ts'
import { leftOf, NOTHING_MADE, sameServer, withEarlierNames, without } from '../../cluster/made.ts'

/** A fast shutdown ends with a checkpoint. */
const STOP_TIMEOUT_MS = 30 * 60_000

/** What the operator says. */
export interface ForgetWish {
  readonly name: string
  /** Whether the data directory goes as well. */
  readonly removesData: boolean
  /** Whether its machine is gone for good: then nothing is done there. */
  readonly isLost: boolean
  /** Asked before anything is stopped. */
  readonly confirm: (question: string) => Promise<boolean>
}

/** What is gone and what stayed, in words. */
export interface ForgetResult {
  readonly removed: readonly string[]
  readonly kept: readonly string[]
}

/**
 * Forgets.
 * @throws USAGE for a name that is in the file, or that nothing was made under; NOT_READY while no
 * primary answers, NEEDS_CONFIRMATION, UNFINISHED, HOST_UNREACHABLE, POSTGRES_IDENTITY when the
 * data there are another cluster's, DIRECTORY_FOREIGN, also for a tablespace that another server
 * has too, DIRECTORY_OWNER when one could not be emptied.
 */
export async function forget(context: ClusterContext, wish: ForgetWish): Promise<ForgetResult> {
  await using lock = await lockCluster(context, 'forget')
  void lock
  await refuseUnfinished(context)
  const { state, wanted } = context
  refuseNamed(context, wish.name)
  const made = (await state.readMade()) ?? NOTHING_MADE
  const left = leftOf(made, wanted)
  const server = left.servers.find(({ name }) => name === wish.name)
  const backup = left.backup?.name === wish.name ? left.backup : undefined
  if (server === undefined && backup === undefined) throw unknown(wish.name)
  const found = await lookCluster(context, { forPlan: false })
  refuseWithoutPrimary(found, wish.name)
  const removed =
    server === undefined
      ? await forgetBackup(context, backup as BackupWanted, { wish, found })
      : await forgetServer(context, withEarlierNames(server, left), { wish, found })
  const names =
    server === undefined ? [wish.name] : withEarlierNames(server, left).map(({ name }) => name)
  await state.writeMade(names.reduce((rest, name) => without(rest, name), made))
  return removed
}

/** A server and its earlier names. */
type ServerNames = ReturnType<typeof withEarlierNames>

interface Circumstances {
  readonly wish: ForgetWish
  readonly found: ClusterFound
}

async function forgetServer(
  context: ClusterContext,
  named: ServerNames,
  { wish, found }: Circumstances,
): Promise<ForgetResult> {
  const [server] = named
  const now = sameServer(server, context.wanted)
  if (now !== undefined) {
    throw new BackstayError('USAGE', `Will not forget "${server.name}": it is "${now.name}" now`, {
      hint: `Run: backstay rename ${server.name} ${now.name}`,
    })
  }
  const place = `${server.host.local ? '' : `${server.host.address}:`}${server.directory}`
  const doom = wish.removesData ? ` and remove ${place} for good` : ''
  await ask(wish, `Stop server "${server.name}" in ${place}${doom}?`)
  const removed = wish.isLost ? [] : await clearMachine(context, named, { wish, found })
  for (const { name } of named) {
    const slot = slotNameOf(name)
    if (await dropSlot(context, { wish, found }, slot)) removed.push(`slot "${slot}"`)
    if (await closeWay(context, name)) removed.push('its way into the repository')
    await context.state.writeAsides(name, [])
  }
  const kept = wish.removesData || wish.isLost ? [] : [`${place}: its data`]
  return { removed, kept }
}

/** Whatever is done on its machine. */
async function clearMachine(
  context: ClusterContext,
  named: ServerNames,
  { wish, found }: Circumstances,
): Promise<string[]> {
  const [server] = named
  const machine = await context.machineOf(server)
  const { host, usesSystemd } = machine
  const removed: string[] = []
  const hasData = await isOurData(context, server, { wish, found })
  if (hasData && wish.removesData) {
    await refuseShared(context, server, await tablespaceLinksOf(host, server.directory))
    await refuseUnremovable(machine, server)
  }
  if ((await findPostmaster(host, server.directory)) !== undefined) {
    const told = { id: `${server.name}.stop`, server: server.name, title: 'stop PostgreSQL' }
    const { signal } = context
    await takeStep(context, told, async () =>
      stopServer(await instanceOf(context, server), { timeoutMs: STOP_TIMEOUT_MS, signal }),
    )
  }
  // Those of earlier names first: they are held back by the one that goes last.
  for (const { name } of usesSystemd ? named.toReversed() : []) {
    const { unit } = postgresServiceOf(context.wanted.name, name)
    await removeUnit(host, unit)
    await removeHold(host, unit)
    removed.push(`service ${unit}`)
  }
  const { directory } = server
  const { servers, name } = context.wanted
  const isAlone = servers.every((other) => other.host.address !== server.host.address)
  const state = isAlone && !server.host.local ? [keptStatePathOf(name)] : []
  const entries = named.map((each) => wayEntryOf(name, each.name))
  const beside = [passfilePathOf(directory), wayDirectoryOf(directory), ...entries, ...state]
  for (const path of beside) await host.remove(path)
  removed.push(...beside)
  if (!wish.removesData) return removed
  const asides = await context.state.readAsides(server.name)
  if (hasData) await markForRemoval(context, machine, { server, source: 'forget' })
  await removeMarked(machine, directory)
  for (const path of [startLogPathOf(directory), fencePathOf(directory)]) await host.remove(path)
  for (const path of asides) await removeAsidePath(machine, server, path)
  return [...removed, directory, ...asides]
}

async function forgetBackup(
  context: ClusterContext,
  backup: BackupWanted,
  { wish, found }: Circumstances,
): Promise<ForgetResult> {
  await ask(wish, `Stop the service of backup server "${backup.name}" and drop its slot?`)
  const removed: string[] = []
  if (!wish.isLost) {
    removed.push(...(await clearBackupMachine(context, backup)))
  }
  if (await dropSlot(context, { wish, found }, backup.slot)) removed.push(`slot "${backup.slot}"`)
  const roles = await silenceRoles(context, found, [backup.backupRole, backup.streamRole])
  await context.state.dropPasswords(roles)
  removed.push(...roles.map((role) => `login and password of role "${role}"`))
  return { removed, kept: [`${backup.repository}: the repository with its backups`] }
}

/**
 * Unit and ways are called after the cluster: on a machine where its backup part is now they are
 * the present one's.
 */
async function clearBackupMachine(
  context: ClusterContext,
  backup: BackupWanted,
): Promise<readonly string[]> {
  const { backup: now } = context.wanted
  const { host } = await context.machineOf(backup)
  await host.remove(repositoryPassfileOf(backup.repository))
  if (now?.host.address === backup.host.address) return []
  const before = { ...context, wanted: { ...context.wanted, backup } }
  await closeWays(before)
  const unit = await removeBackupService(before)
  return unit === undefined ? [] : [`service ${unit}`]
}

/** Names that differ can make one slot name: what the file needs stays. */
async function dropSlot(
  context: ClusterContext,
  { wish, found }: Circumstances,
  slot: string,
): Promise<boolean> {
  const { servers, backup } = context.wanted
  const needed = [...servers.map(({ name }) => slotNameOf(name)), backup?.slot]
  return (
    !needed.includes(slot) &&
    (await dropLeftSlot(context, found, { slot, isDeserted: wish.isLost }))
  )
}

function refuseNamed({ wanted }: ClusterContext, name: string): void {
  const isThere = wanted.servers.some((server) => server.name === name)
  if (!isThere && wanted.backup?.name !== name) return
  throw new BackstayError('USAGE', `Will not forget "${name}": it is in the cluster file`, {
    hint: 'Take it out of the file first; backstay plan then says what is left of it.',
  })
}

function unknown(name: string): BackstayError {
  return new BackstayError('USAGE', `Cannot forget "${name}": nothing is known of it`, {
    hint: 'backstay plan says what was made and is in the cluster file no more.',
  })
}

/** The server to be stopped could be the only one that serves. */
function refuseWithoutPrimary(found: ClusterFound, name: string): void {
  if (answeringPrimary(found) !== undefined) return
  throw new BackstayError(
    'NOT_READY',
    `Will not forget "${name}" while none of the other servers answers as the primary: it may be "${name}"`,
    { hint: 'Put it back into the cluster file and switch over first: backstay switchover.' },
  )
}

/**
 * Whether there are data of a server.
 * @throws POSTGRES_IDENTITY when somebody has put other ones there since, DIRECTORY_FOREIGN when
 * something else is to be removed
 */
async function isOurData(
  context: ClusterContext,
  server: ServerWanted,
  { wish, found: { identity } }: Circumstances,
): Promise<boolean> {
  const { host } = await context.machineOf(server)
  const directory = await lookDirectory(context, host, server)
  if (directory.state === 'foreign' && wish.removesData) {
    throw new BackstayError(
      'DIRECTORY_FOREIGN',
      `Will not remove "${server.directory}": ${directory.content}`,
      { hint: 'Look what it holds and remove it yourself; then forget without its data.' },
    )
  }
  if (directory.state !== 'data') return false
  const theirs = directory.control.systemIdentifier
  if (theirs === identity?.systemIdentifier) return true
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `Will not touch "${server.directory}": its system identifier is ${theirs}, that of this cluster ${identity?.systemIdentifier ?? 'unknown'}`,
  )
}

async function ask({ confirm, name }: ForgetWish, question: string): Promise<void> {
  if (await confirm(question)) return
  throw new BackstayError('NEEDS_CONFIRMATION', `Will not forget "${name}" unasked: ${question}`)
}
