/**
 * Keeps a copy of identity and passwords on a server's machine.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { KEPT_STATE_MODE, keptRoles, keptStateText } from '../../cluster/state/kept-state.ts'
import { type Act, machineOfStep } from './act-context.ts'

/** Writes the copy, root's alone. @throws BUG when identity or passwords are not known here */
export const keepState: Act<'keep-state'> = async (context, step) => {
  const { state, wanted } = context
  const passwords = await state.readPasswords(keptRoles(wanted))
  const text = keptStateText(wanted, await state.readIdentity(), passwords)
  if (text === undefined) throw new BackstayError('BUG', 'A state to keep that is not known')
  const { host } = await machineOfStep(context, step)
  await host.makeDirectory(posix.dirname(step.path), { mode: 0o755 })
  await host.writeFile(step.path, text, { mode: KEPT_STATE_MODE, owner: 'root' })
}
