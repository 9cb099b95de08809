/**
 * Which act carries out which kind of step.
 */
import type { ClusterContext } from '../context.ts'
import { cloneStandby } from '../clone/clone.ts'
import { wantedServer } from '../plan/plan.ts'
import type { Step, StepAction } from '../plan/step.ts'
import { type Act, serverOfStep } from './act-context.ts'
import { cloneFromBackup } from './clone-from-backup.ts'
import { attachStandby } from './attach.ts'
import { reloadStep, restartStep, startStep, stopStep } from './control.ts'
import {
  makeServerDirectory,
  removeAside,
  removeMark,
  removeNote,
  writeConfigurationFile,
  writeSignalFile,
} from './files.ts'
import { makeCluster } from './initdb.ts'
import { installStep } from './install.ts'
import { makeServiceUser, startService, writeServiceFile } from './backup-host.ts'
import { putPackage } from './package.ts'
import { writePostgresUnit } from './postgres-unit.ts'
import { generatePasswords, writePassfile } from './passwords.ts'
import { makeRepositoryDirectory, writeRepositoryPassfile } from './repository.ts'
import { setRole } from './roles.ts'
import { openWayStep, stopFetching } from './way.ts'
import { createSlot, dropSlot } from './slots.ts'

const cloneStep: Act<'clone'> = async (context, step) => {
  const primary = wantedServer(context.wanted, step.source)
  const { isDirect } = step
  await cloneStandby(context, { server: serverOfStep(context, step), primary, isDirect })
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
  way: openWayStep,
  'stop-fetching': stopFetching,
  start: startStep,
  restart: restartStep,
  reload: reloadStep,
  stop: stopStep,
  role: setRole,
  slot: createSlot,
  'drop-slot': dropSlot,
  clone: cloneStep,
  'clone-from-backup': cloneFromBackup,
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
