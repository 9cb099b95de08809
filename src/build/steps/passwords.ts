/**
 * Generates passwords, and writes the password files of the OS users that need one.
 */
import { randomBytes } from 'node:crypto'
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { passfileText } from '../../cluster/look/look-files.ts'
import { type Act, machineOfStep } from './act-context.ts'

/** 192 bits, in letters that no file format has to quote. */
const PASSWORD_BYTES = 24

/** Makes the passwords that are not kept yet. */
export const generatePasswords: Act<'passwords'> = async ({ state }, step) => {
  await state.create()
  const known = await state.readPasswords(step.roles)
  const missing = step.roles.filter((role) => !known.has(role))
  if (missing.length === 0) return
  await state.addPasswords(
    new Map(missing.map((role) => [role, randomBytes(PASSWORD_BYTES).toString('base64url')])),
  )
}

/** Writes the file that the server's walreceiver takes its password from. */
export const writePassfile: Act<'passfile'> = async (context, step) => {
  const { role } = context.wanted.replication
  const password = (await context.state.readPasswords([role])).get(role)
  if (password === undefined) {
    throw new BackstayError('BUG', `Cannot write "${step.path}": role "${role}" has no password`)
  }
  const { host, osUser } = await machineOfStep(context, step)
  const parent = posix.dirname(step.path)
  // The data directory will lie in it: PostgreSQL's OS user has to get through.
  const isThere = (await host.inspect(parent)) !== undefined
  if (!isThere) await host.makeDirectory(parent, { mode: 0o755 })
  const content = passfileText(context.wanted, password)
  await host.writeFile(step.path, content, { mode: 0o600, owner: osUser })
}
