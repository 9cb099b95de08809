/**
 * Finds the cluster file and reads it. The working directory and the home come as arguments: nothing here looks at the
 * environment.
 */
import { readFile } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { type Machine, thisMachine } from './machine.ts'
import { type ReadCluster, readCluster } from './read.ts'

/** A cluster file that was found and has no problem. */
export interface LoadedCluster extends ReadCluster {
  /** Absolute path. */
  readonly path: string
  /** The path as messages name it: relative where that is shorter. */
  readonly file: string
}

/** Where to look. */
export interface LoadOptions {
  /** What --config says; the usual places are not looked at then. */
  readonly file?: string | undefined
  readonly workingDirectory: string
  /** The user's home, when there is one. */
  readonly home?: string | undefined
  /** Default: the machine this process runs on. */
  readonly machine?: Machine
}

const FILE_NAME = 'backstay.yaml'

/** Loads the cluster file. @throws CONFIG_MISSING with the places looked at, CONFIG_INVALID */
export async function loadCluster(options: LoadOptions): Promise<LoadedCluster> {
  const places = configPlaces(options)
  for (const path of places) {
    const text = await readIfThere(path)
    if (text === undefined) continue
    const file = shortName(path, options.workingDirectory)
    const machine = options.machine ?? thisMachine()
    return { ...readCluster(text, { file, directory: dirname(path), machine }), path, file }
  }
  const looked = places.map((path) => `"${path}"`).join(', ')
  throw new BackstayError('CONFIG_MISSING', `Cannot find a cluster file: looked for ${looked}`, {
    details: { places },
  })
}

/** The absolute paths at which the cluster file is looked for, in this order. */
export function configPlaces(options: LoadOptions): readonly string[] {
  const { file, workingDirectory, home } = options
  if (file !== undefined) return [resolve(workingDirectory, file)]
  return [
    resolve(workingDirectory, FILE_NAME),
    ...(home === undefined ? [] : [resolve(home, '.config/backstay', FILE_NAME)]),
    resolve('/etc/backstay', FILE_NAME),
  ]
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new BackstayError(
      'CONFIG_MISSING',
      `Cannot read the cluster file "${path}": ${message}`,
      {
        hint: 'Correct the path or its permissions.',
        cause: error,
      },
    )
  }
}

function shortName(path: string, workingDirectory: string): string {
  const short = relative(workingDirectory, path)
  return short.startsWith('..') ? path : short
}
