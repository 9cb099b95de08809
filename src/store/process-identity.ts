/**
 * Who a process is, so that another one can tell later whether it still lives. Source: proc(5), field 22 of /proc/PID/stat.
 */
import { readFileSync, readlinkSync } from 'node:fs'
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
}

export const LIVENESS = ['alive', 'dead', 'unknown'] as const

/** `unknown`: of another host or pid namespace. */
export type Liveness = (typeof LIVENESS)[number]

/** The identity of the process this code runs in. */
export function thisProcess(): ProcessIdentity {
  return {
    host: `${hostname()}/${readText('/etc/machine-id') ?? ''}`,
    bootId: readText('/proc/sys/kernel/random/boot_id') ?? '',
    pidNamespace: readLink('/proc/self/ns/pid') ?? '',
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? 0,
  }
}

/** Whether the process `other` still runs, as far as `self` can know. */
export function livenessOf(other: ProcessIdentity, self: ProcessIdentity): Liveness {
  if (other.host !== self.host) return 'unknown'
  if (other.bootId !== self.bootId) return 'dead'
  if (other.pidNamespace !== self.pidNamespace) return 'unknown'
  return startTicksOf(other.pid) === other.startTicks ? 'alive' : 'dead'
}

function startTicksOf(pid: number): number | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  // The command name (field 2) is in parentheses and may contain anything, so fields are counted after its end.
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
