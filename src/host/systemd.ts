/**
 * The services of a host with systemd.
 */
import type { Host } from './host.ts'
import { commandError, runChecked } from './run-checked.ts'
import { unitPathOf } from './postgres-unit.ts'

/** How a unit stands. */
export interface UnitState {
  /** Its file as it is; undefined when there is none. */
  readonly text: string | undefined
  /** Whether it comes up at boot, and systemd has read the file as it is. */
  readonly isEnabled: boolean
  /** `active`, `inactive`, `failed`, `activating`, … */
  readonly activeState: string
}

/** Whether systemd runs the host's services. Source: sd_booted(3). */
export async function runsSystemd(host: Host): Promise<boolean> {
  return (await host.inspect('/run/systemd/system'))?.kind === 'directory'
}

/** Whether it does, and we may tell it what to do. */
export async function hasSystemd(host: Host): Promise<boolean> {
  return host.user === 'root' && (await runsSystemd(host))
}

/** Looks at a unit whose file, if any, is ours. */
export async function lookUnit(host: Host, unit: string): Promise<UnitState> {
  const command = [
    'systemctl',
    'show',
    '-p',
    'UnitFileState,NeedDaemonReload,ActiveState',
    '--',
    unit,
  ]
  const [text, { stdout }] = await Promise.all([
    host.readFile(unitPathOf(unit)),
    runChecked(host, command),
  ])
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? ''
  return {
    text: text?.toString(),
    isEnabled: value('UnitFileState') === 'enabled' && value('NeedDaemonReload') !== 'yes',
    activeState: value('ActiveState'),
  }
}

/** Writes the unit's file and has it started at every boot. Does not start it now. */
export async function installUnit(host: Host, unit: string, text: string): Promise<void> {
  await host.writeFile(unitPathOf(unit), text, { mode: 0o644, owner: 'root' })
  await runChecked(host, ['systemctl', 'daemon-reload'])
  await runChecked(host, ['systemctl', '-q', 'enable', '--', unit])
}

/**
 * Stops the unit, has it not started any more, and removes its file; nothing when there is none.
 */
export async function removeUnit(host: Host, unit: string): Promise<void> {
  if ((await host.inspect(unitPathOf(unit))) === undefined) return
  await runChecked(host, ['systemctl', '-q', 'disable', '--now', '--', unit], {
    timeoutMs: STOP_TIMEOUT_MS,
  })
  await host.remove(unitPathOf(unit))
  await runChecked(host, ['systemctl', 'daemon-reload'])
}

/** Longer than the unit's own TimeoutStopSec of the backup service. */
const STOP_TIMEOUT_MS = 90_000

/** Stops a unit and waits until it is down; nothing when it does not run. */
export async function stopUnit(host: Host, unit: string): Promise<void> {
  await runChecked(host, ['systemctl', 'stop', '--', unit], { timeoutMs: STOP_TIMEOUT_MS })
}

/**
 * (Re)starts a unit and waits until it says that it is up.
 * @throws HOST_COMMAND with what it wrote to the journal.
 */
export async function restartUnit(host: Host, unit: string): Promise<void> {
  const sinceMs = await hostTime(host)
  const script = 'systemctl reset-failed -- "$1" 2>/dev/null; exec systemctl restart -- "$1"'
  const command = ['sh', '-c', script, 'sh', unit]
  const result = await host.run(command, { timeoutMs: STOP_TIMEOUT_MS * 2 })
  if (result.exitCode === 0) return
  const said = await journalOf(host, unit, sinceMs)
  const stderr = said === '' ? result.stderr : said
  throw commandError(host.name, ['systemctl', 'restart', unit], { ...result, stderr })
}

/** The host's own clock, which its journal goes by; milliseconds since 1970. */
async function hostTime(host: Host): Promise<number> {
  return Number((await runChecked(host, ['date', '+%s'])).stdout) * 1000
}

/** The last lines a unit wrote to the journal since the moment given. */
export async function journalOf(host: Host, unit: string, sinceMs: number): Promise<string> {
  const since = `@${Math.floor(sinceMs / 1000)}`
  const command = ['journalctl', '-q', '-o', 'cat', '-n', '20', '--since', since, '-u', unit]
  const { stdout } = await host.run(command)
  return stdout.trim()
}
