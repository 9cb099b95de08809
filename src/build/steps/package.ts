/**
 * Puts this Backstay on another machine: for good on the backup server's, for a clone on a
 * standby's.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { type ClusterContext, factOf } from '../../cluster/context.ts'
import { ensurePackage, makeCurrent } from '../../fleet/ensure-package.ts'
import { type Act, serverOfStep, type StepOf } from './act-context.ts'

/**
 * Ships it. What keeps it from a standby's machine is only told: the clone has another way.
 * @throws what `ensurePackage` throws
 */
export const putPackage: Act<'package'> = async (context, step) => {
  await (step.use === 'service' ? putForService(context) : putForClone(context, step))
}

async function putForService(context: ClusterContext): Promise<void> {
  const { backup } = context.wanted
  if (backup === undefined) throw new BackstayError('BUG', 'A service without a backup part')
  await ensurePackage(context, backup)
  const { host } = await context.machineOf(backup)
  await makeCurrent(context, host, { replaces: true })
}

async function putForClone(context: ClusterContext, step: StepOf<'package'>): Promise<void> {
  const server = serverOfStep(context, step)
  try {
    await ensurePackage(context, server)
  } catch (error) {
    context.signal.throwIfAborted()
    context.report({ kind: 'note', server: server.name, text: factOf(error).message })
  }
}
