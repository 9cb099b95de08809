/**
 * What the loader knows of the machine Backstay runs on, and which addresses are this machine.
 */
import { accessSync, constants } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { resolve } from 'node:path'
import { lastingPath } from '../util/lasting-path.ts'
import { isLoopback } from '../cluster/settings.ts'

/** Facts about this machine; tests give their own. */
export interface ThisMachine {
  readonly hostname: string
  readonly addresses: readonly string[]
  readonly isRoot: boolean
  /** The command line of this Backstay, without its own words. */
  readonly program: readonly string[]
  canWrite(directory: string): boolean
}

/** The machine this process runs on. */
export function thisMachine(): ThisMachine {
  return {
    hostname: hostname(),
    addresses: Object.values(networkInterfaces()).flatMap((interfaces) =>
      (interfaces ?? []).map(({ address }) => address),
    ),
    isRoot: process.getuid?.() === 0,
    program: [process.execPath, resolve(import.meta.dirname, '../../bin/backstay.js')].map((path) =>
      lastingPath(path),
    ),
    canWrite,
  }
}

function canWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether `address` is `localhost`, a loopback address, or this machine's own name or address. */
export function isThisMachine(address: string, machine: ThisMachine): boolean {
  return isLoopback(address) || address === machine.hostname || machine.addresses.includes(address)
}
