/**
 * Looks at the service of a backup server that is this machine, for a plan: the unit, and whether
 * its OS user could run what it names.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { lastLines } from '../../host/run-checked.ts'
import { type ClusterContext, factOf } from '../context.ts'
import type { FoundError, OwnServiceFound } from '../found.ts'
import type { NoService, OwnService } from '../machine/own-service.ts'
import { lookOwnUnit } from './own-unit.ts'
import type { BackupWanted } from '../wanted.ts'

const PROBE_TIMEOUT_MS = 30_000

/**
 * Looks. Undefined when the backup server is another machine; the error when its OS user cannot be
 * told.
 */
export async function lookOwnService(
  context: ClusterContext,
): Promise<OwnServiceFound | NoService | FoundError | undefined> {
  const unit = await lookOwnUnit(context)
  const service = await context.ownService()
  const { backup } = context.wanted
  if (backup === undefined || service === undefined) return undefined
  if (unit === undefined || typeof unit === 'string') return unit
  try {
    const { host, osUser } = await context.machineOf(backup)
    const wantedText = service.unitText({ user: osUser, repository: backup.repository })
    const isOurs = unit.state.text === wantedText && unit.state.activeState === 'active'
    const rest = isOurs ? ALL_WELL : await lookAround({ host, osUser, backup, service, unit })
    return { ...unit, osUser, configFile: service.configFile, wantedText, ...rest }
  } catch (error) {
    const { code, message, hint } = factOf(error)
    return { code, message, hint }
  }
}

const ALL_WELL = { isServedElse: false, obstacle: undefined } as const

interface ServiceAround {
  readonly host: Host
  readonly osUser: string
  readonly backup: BackupWanted
  readonly service: OwnService
  readonly unit: Pick<OwnServiceFound, 'state'>
}

async function lookAround({
  host,
  osUser,
  backup,
  service,
  unit,
}: ServiceAround): Promise<Pick<OwnServiceFound, 'isServedElse' | 'obstacle'>> {
  const isRunning = unit.state.activeState === 'active'
  return {
    isServedElse: !isRunning && (await service.isAnswering(backup.repository)),
    obstacle: await whyNotRunning(host, osUser, service),
  }
}

/**
 * Starts the program as that user, on the cluster file: a home that is closed to him shows in no
 * mode of the file.
 */
async function whyNotRunning(
  host: Host,
  user: string,
  { command, configFile }: OwnService,
): Promise<string | undefined> {
  const [program = ''] = command
  const words = [...command, '--config', configFile, 'config', 'check']
  const result = await host.run(words, { user, timeoutMs: PROBE_TIMEOUT_MS })
  if (result.exitCode === 0) return undefined
  const said = /^Error: (.*)$/m.exec(result.stderr)?.[1] ?? lastLines(result.stderr, 2)
  return said || `${posix.basename(program)} ends with exit code ${result.exitCode}`
}
