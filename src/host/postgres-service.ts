/**
 * Starting and stopping a PostgreSQL server through its systemd unit.
 */
import { dirname } from 'node:path/posix'
import { isBackstayError } from '../errors/backstay-error.ts'
import type { HostCommandResult, Host } from './host.ts'
import type { PostgresService } from './postgres-unit.ts'
import { journalOf } from './systemd.ts'

/**
 * Has systemd start the server and waits until it says that it takes connections. The guard is
 * given its permit for that time: the caller has looked at the other servers. What the guard or
 * pg_ctl said is the result's standard error.
 */
export async function startByService(
  host: Host,
  service: PostgresService,
  wait: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<HostCommandResult> {
  const { unit, permit } = service
  try {
    const result = await host.run(['sh', '-c', START, 'sh', unit, permit, dirname(permit)], wait)
    if (result.exitCode === 0) return result
    // Otherwise systemd would try again and again what the caller is told has failed.
    await stopService(host, service)
    const sinceMs = Number(result.stdout.trim()) * 1000
    const said = await journalOf(host, unit, sinceMs)
    return { ...result, stderr: said === '' ? result.stderr : said }
  } catch (error) {
    // It may be recovering still: the caller looks at the server itself.
    if (isBackstayError(error, 'TIMEOUT')) return { exitCode: 1, stdout: '', stderr: error.message }
    throw error
  }
}

/**
 * Arguments: unit, permit, its directory. Prints when it began by the host's own clock, which the
 * journal goes by.
 */
const START = `
date +%s
trap 'rm -f -- "$2"' EXIT
trap 'exit 143' TERM INT HUP
mkdir -p -m 755 -- "$3" && : >"$2" && chmod 644 -- "$2" || exit
systemctl reset-failed -- "$1" 2>/dev/null
systemctl start -- "$1"
`

/** Has systemd leave the server stopped. */
export async function stopService(host: Host, { unit }: PostgresService): Promise<void> {
  // Nothing of it is left to wait for; a unit that is not there yet is as good as stopped.
  await host.run(['systemctl', 'stop', '--', unit])
}
