/**
 * Who a process is, so that another one can tell later whether it still lives. Source: proc(5),
 * field 22 of /proc/PID/stat.
 */
import { readFileSync, readlinkSync, statSync } from 'node:fs'
import { hostname } from 'node:os'

/** A process on a host, for as long as the host is up. */
export interface ProcessIdentity {
  /** Host name and machine id. */
  readonly host: string
  readonly bootId: string
  /** Processes of different namespaces cannot see each other's pids. */
  readonly pidNamespace: string
  readonly pid: number
  /** Start time in clock ticks since boot: tells a reused pid apart. */
  readonly startTicks: number
  /** When the machine's systemd began, or the container's; undefined where there is none. */
  readonly systemdSinceMs?: number | undefined
}

const LIVENESS = ['alive', 'dead', 'unknown'] as const

/**
 * `unknown`: of another host or pid namespace, or of another user where /proc shows each his own
 * only (hidepid).
 */
export type Liveness = (typeof LIVENESS)[number]

/** Whether what somebody wrote is an identity. */
export function isProcessIdentity(value: unknown): value is ProcessIdentity {
  const { host, bootId, pidNamespace, pid, startTicks } = Object(value) as Partial<ProcessIdentity>
  return (
    [host, bootId, pidNamespace].every((part) => typeof part === 'string') &&
    [pid, startTicks].every((part) => Number.isSafeInteger(part)) &&
    // Zero and less stand for many processes.
    Number(pid) > 0
  )
}

/** The identity of the process this code runs in. */
export function thisProcess(): ProcessIdentity {
  return {
    host: `${hostname()}/${readText('/etc/machine-id') ?? ''}`,
    bootId: readText('/proc/sys/kernel/random/boot_id') ?? '',
    pidNamespace: readLink('/proc/self/ns/pid') ?? '',
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? 0,
    systemdSinceMs: systemdSinceMs(),
  }
}

/** Whether the process `other` still runs, as far as `self` can know. */
export function livenessOf(other: ProcessIdentity, self: ProcessIdentity): Liveness {
  if (other.host !== self.host) return 'unknown'
  const isSameBoot = other.bootId === self.bootId
  if (isSameBoot && other.pidNamespace !== self.pidNamespace) {
    return wasRestartedSince(other, self) ? 'dead' : 'unknown'
  }
  const startTicks = startTicksOf(other.pid)
  if (!isSameBoot) {
    // A container covers the kernel's boot id with one of its own, and a service without access to
    // /proc/sys sees through that (systemd-nspawn, ProtectKernelTunables=): two ids in one boot.
    // The very process that runs there is proof enough.
    const isThere = startTicks === other.startTicks && other.pidNamespace === self.pidNamespace
    if (isThere && other.pid !== self.pid) return 'alive'
    // Without a machine id the name alone says that it was here, and two machines can have one
    // name.
    if (other.host.endsWith('/')) return 'unknown'
    const isUnseen = other.pidNamespace === self.pidNamespace && isHidden(other.pid)
    return isUnseen ? 'unknown' : 'dead'
  }
  if (startTicks !== undefined) return startTicks === other.startTicks ? 'alive' : 'dead'
  return isHidden(other.pid) ? 'unknown' : 'dead'
}

/**
 * A container that was restarted is the same machine in the same boot of the kernel, with pids of
 * its own: nobody of before is left.
 */
function wasRestartedSince(other: ProcessIdentity, self: ProcessIdentity): boolean {
  const [before, now] = [other.systemdSinceMs, self.systemdSinceMs]
  return before !== undefined && now !== undefined && before < now
}

/**
 * /run is empty when a system starts, and this is what systemd makes in it first. Other pid
 * namespaces of one machine see the same one.
 */
function systemdSinceMs(): number | undefined {
  try {
    return statSync('/run/systemd/notify').ctimeMs
  } catch {
    return undefined
  }
}

/** Whether there is a process of that pid that /proc does not show us. */
function isHidden(pid: number): boolean {
  if (readText(`/proc/${pid}/stat`) !== undefined) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function startTicksOf(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  // The command name (field 2) is in parentheses and may contain anything, so fields are counted
  // after its end.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie holds nothing any more.
  if (fields === undefined || fields[0] === 'Z') return undefined
  return Number(fields[19])
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
