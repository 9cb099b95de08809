/**
 * Which act carries out which kind of step.
 */
import { liftFence } from '../../host/boot-guard.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import { cloneStandby } from '../clone/clone.ts'
import type { Step, StepAction } from '../plan/step.ts'
import { type Act, machineOfStep, serverOfStep } from './act-context.ts'
import { cloneFromBackup } from './clone-from-backup.ts'
import { removeAside } from './end-aside.ts'
import { attachStandby } from './attach.ts'
import { reloadStep, restartStep, startStep, stopStep } from './control.ts'
import {
  makeServerDirectory,
  removeMark,
  removeNote,
  writeConfigurationFile,
  writeSignalFile,
} from './files.ts'
import { makeCluster } from './initdb.ts'
import { installStep } from './install.ts'
import { makeServiceUser, startService, writeServiceFile } from './backup-host.ts'
import { installPsql, makeSeatHome, writeSeatFile } from './seat.ts'
import { startOwnService } from './own-service.ts'
import { putPackage } from './package.ts'
import { writePostgresUnit } from './postgres-unit.ts'
import { generatePasswords, writePassfile } from './passwords.ts'
import { makeRepositoryDirectory, writeRepositoryPassfile } from './repository.ts'
import { setRole } from './roles.ts'
import { keepState } from './keep-state.ts'
import { openWayStep, stopFetching } from './way.ts'
import { createSlot, dropSlot } from './physical-slots.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

const cloneStep: Act<'clone'> = async (context, step) => {
  await liftFenceOf(context, step)
  const primary = wantedServer(context.wanted, step.source)
  const { isDirect } = step
  await cloneStandby(context, { server: serverOfStep(context, step), primary, isDirect })
}

const cloneFromBackupStep: Act<'clone-from-backup'> = async (context, step) => {
  await liftFenceOf(context, step)
  await cloneFromBackup(context, step)
}

/** What was fenced is gone or set aside, and what comes into its place is a standby. */
async function liftFenceOf(context: ClusterContext, step: Step): Promise<void> {
  const { directory } = serverOfStep(context, step)
  const { host } = await machineOfStep(context, step)
  await liftFence({ host, directory })
}

const ACTS: { readonly [A in StepAction['action']]: Act<A> } = {
  passwords: generatePasswords,
  install: installStep,
  initdb: makeCluster,
  directory: makeServerDirectory,
  file: writeConfigurationFile,
  'signal-file': writeSignalFile,
  passfile: writePassfile,
  repository: makeRepositoryDirectory,
  'repository-passfile': writeRepositoryPassfile,
  'postgres-unit': writePostgresUnit,
  'service-user': makeServiceUser,
  package: putPackage,
  'service-file': writeServiceFile,
  service: startService,
  'own-service': startOwnService,
  'seat-home': makeSeatHome,
  'seat-psql': installPsql,
  'seat-file': writeSeatFile,
  way: openWayStep,
  'keep-state': keepState,
  'stop-fetching': stopFetching,
  start: startStep,
  restart: restartStep,
  reload: reloadStep,
  stop: stopStep,
  role: setRole,
  slot: createSlot,
  'drop-slot': dropSlot,
  clone: cloneStep,
  'clone-from-backup': cloneFromBackupStep,
  attach: attachStandby,
  'remove-mark': removeMark,
  'remove-note': removeNote,
  'remove-aside': removeAside,
}

/** Carries out one step. @throws what the act throws. */
export async function act(context: ClusterContext, step: Step): Promise<void> {
  // Each act is listed under its own action, so the step is of the kind it takes.
  const carryOut = ACTS[step.action] as Act<StepAction['action']>
  await carryOut(context, step)
}
