/**
 * Starting and stopping a PostgreSQL server through its systemd unit.
 */
import { dirname } from 'node:path/posix'
import { isBackstayError } from '../errors/backstay-error.ts'
import type { CommandResult, Host } from './host.ts'
import type { PostgresService } from './postgres-unit.ts'
import { hostTime, journalOf } from './systemd.ts'

/**
 * Has systemd start the server and waits until it says that it takes connections. The guard is given its permit for that time:
 * the caller has looked at the other servers. What the guard or pg_ctl said is the result's standard error.
 */
export async function startByService(
  host: Host,
  service: PostgresService,
  wait: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<CommandResult> {
  const { unit, permit } = service
  const sinceMs = await hostTime(host)
  await host.makeDirectory(dirname(permit), { mode: 0o755 })
  await host.writeFile(permit, '', { mode: 0o644 })
  try {
    const script = 'systemctl reset-failed -- "$1" 2>/dev/null; exec systemctl start -- "$1"'
    const result = await host.run(['sh', '-c', script, 'sh', unit], wait)
    if (result.exitCode === 0) return result
    // Otherwise systemd would try again and again what the caller is told has failed.
    await stopService(host, service)
    const said = await journalOf(host, unit, sinceMs)
    return { ...result, stderr: said === '' ? result.stderr : said }
  } catch (error) {
    // It may be recovering still: the caller looks at the server itself.
    if (isBackstayError(error, 'TIMEOUT')) return { exitCode: 1, stdout: '', stderr: error.message }
    throw error
  } finally {
    await host.remove(permit)
  }
}

/** Has systemd leave the server stopped. */
export async function stopService(host: Host, { unit }: PostgresService): Promise<void> {
  // Nothing of it is left to wait for; a unit that is not there yet is as good as stopped.
  await host.run(['systemctl', 'stop', '--', unit])
}
