/**
 * Opens a server's way into the repository, and ends a standby's fetching through it.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { openWay } from '../../fleet/open-way.ts'
import { type Act, machineOfStep, serverOfStep } from './act-context.ts'

/** Makes the key, lets it in, and proves that it leads through. */
export const openWayStep: Act<'way'> = async (context, step) => {
  const { backup } = context.wanted
  if (backup === undefined) throw new BackstayError('BUG', 'A way without a backup part')
  await openWay(context, backup, serverOfStep(context, step))
}

/** Takes away what lets restore_command fetch. */
export const stopFetching: Act<'stop-fetching'> = async (context, step) => {
  const { host } = await machineOfStep(context, step)
  await host.remove(step.path)
}
