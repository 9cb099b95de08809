/**
 * A machine for tests of the loader, and a shorthand to read a text.
 */
import type { ThisMachine } from '../../../src/config/machine.ts'
import type { ConfigProblem } from '../../../src/config/problems.ts'
import { type ReadCluster, readCluster } from '../../../src/config/read.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'

/** `vault` with one address; not root, and nothing can be written. */
export const MACHINE: ThisMachine = {
  hostname: 'vault',
  addresses: ['127.0.0.1', '192.168.100.12'],
  isRoot: false,
  program: ['/usr/bin/node', '/opt/backstay.js'],
  canWrite: () => false,
}

/** Reads a text as the file `/etc/shop/backstay.yaml`. */
export function read(text: string, machine: Partial<ThisMachine> = {}): ReadCluster {
  return readCluster(text, {
    file: 'backstay.yaml',
    directory: '/etc/shop',
    machine: { ...MACHINE, ...machine },
  })
}

/** The problems of a text, as `line:column path text`. */
export function problemsOf(text: string): string[] {
  try {
    read(text)
  } catch (error) {
    if (!isBackstayError(error, 'CONFIG_INVALID')) throw error
    return (error.details['problems'] as ConfigProblem[]).map(({ line, column, path, text }) =>
      [`${line}:${column}`, path, text].filter(Boolean).join(' '),
    )
  }
  return []
}
