/**
 * As whom root is to act in a directory that may be another's. An owner read by name is no answer:
 * whoever can exchange a directory above shows root another one in that moment, and what is done
 * afterwards is done as somebody else, or as root. Who has the way there in his hands cannot be
 * shown away: wherever he leads it, it leads through them.
 */
import type { Host } from './host.ts'
import { commandError } from './run-checked.ts'
import { refusalPrinted, SAY_WAY_OWNER, WAY_MISSING } from './way-owner.ts'

/**
 * The OS user who has the way to `path` in his hands, `root` when nobody else has; `/.` at its end
 * has a directory's own owner count. Undefined when nothing is there. Whoever is not root acts as
 * himself: for him it is the owner that is seen.
 * @throws {BackstayError} DIRECTORY_OWNER for a way through the hands of two users, HOST_COMMAND
 * when it cannot be looked at
 */
export async function ownerOfWay(host: Host, path: string): Promise<string | undefined> {
  if (host.user !== 'root') return (await host.inspect(path))?.owner
  const result = await host.run(['sh', '-c', SAY_WAY_OWNER, 'sh', path])
  if (result.exitCode === 0) return result.stdout.trim()
  if (result.exitCode === WAY_MISSING) return undefined
  throw (
    refusalPrinted(result.stderr) ?? commandError(host.name, ['look at the way to', path], result)
  )
}
