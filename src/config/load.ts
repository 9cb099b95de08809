/**
 * Finds the cluster file and reads it. The working directory and the home come as arguments:
 * nothing here looks at the environment.
 */
import { constants, type Stats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { quotedNames } from '../util/quoted-names.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { type ThisMachine, thisMachine } from './machine.ts'
import { type ReadCluster, readCluster } from './read.ts'
import { checkTrusted, claimTrusted, type DirectoryUse, ownUids } from './trusted.ts'

/** A cluster file that was found and has no problem. */
export interface LoadedCluster extends ReadCluster {
  /** Absolute path. */
  readonly path: string
  /** The path as messages name it: relative where that is shorter. */
  readonly file: string
}

/**
 * Where a cluster file is looked for, whose files are obeyed, and on which machine its defaults are
 * worked out.
 */
interface LoadOptions {
  /** What --config says; the usual places are not looked at then. */
  readonly file?: string | undefined
  readonly workingDirectory: string
  /** The user's home, when there is one. */
  readonly home?: string | undefined
  /** Whose files are obeyed (`trustedUids`). Default: this process's user and root. */
  readonly trusted?: ReadonlySet<number>
  /** Default: the machine this process runs on. */
  readonly machine?: ThisMachine
}

const FILE_NAME = 'backstay.yaml'
const FILE_BYTES_MAX = 256 * 1024
/** The use of a cluster's state directory, which `claimTrusted` makes. */
export const STATE_DIRECTORY: DirectoryUse = { what: 'the state directory', mode: 0o700 }

/**
 * Loads the cluster file: what it says is run, so it must be in trusted hands, and the state
 * directory it names as well.
 * @throws CONFIG_MISSING with the places looked at, CONFIG_INVALID; DIRECTORY_OWNER when others
 * could have written it
 */
export async function loadCluster(options: LoadOptions): Promise<LoadedCluster> {
  const places = configPlaces(options)
  for (const path of places) {
    const read = await readIfThere(path)
    if (read === undefined) continue
    const file = shortName(path, options.workingDirectory)
    const machine = options.machine ?? thisMachine()
    checkTrusted(path, 'the cluster file', options.trusted)
    await checkUnchanged(path, read.facts, options.trusted)
    const cluster = readCluster(read.text, { file, directory: dirname(path), machine })
    claimTrusted(cluster.wanted.stateDirectory, STATE_DIRECTORY, options.trusted)
    return { ...cluster, path, file }
  }
  const looked = quotedNames(places)
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

/**
 * What was read is what was judged: a file that was put there to be read and taken away before the
 * judgement is neither.
 */
async function checkUnchanged(
  path: string,
  read: Stats,
  trusted: ReadonlySet<number> = ownUids(),
): Promise<void> {
  const now = await stat(path).catch(() => undefined)
  if (now?.dev === read.dev && now.ino === read.ino && trusted.has(read.uid)) return
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot use the cluster file "${path}": it was taken away or replaced while it was read`,
    { hint: 'See who may write in its directory, then run the command again.', details: { path } },
  )
}

interface FileRead {
  readonly text: string
  readonly facts: Stats
}

async function readIfThere(path: string): Promise<FileRead | undefined> {
  try {
    return await readBounded(path)
  } catch (error) {
    if (error instanceof BackstayError) throw error
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

/** A device, or a file that was swapped for something huge, must not be read for ever. */
async function readBounded(path: string): Promise<FileRead> {
  // Without waiting for somebody who writes into a pipe.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const facts = await file.stat()
  // Of a directory the system says itself that it is one.
  if (!facts.isFile() && !facts.isDirectory()) {
    throw new BackstayError('CONFIG_INVALID', `Cannot use "${path}": it is no regular file`)
  }
  const buffer = Buffer.alloc(FILE_BYTES_MAX + 1)
  let filled = 0
  for (;;) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled)
    filled += bytesRead
    if (bytesRead === 0 || filled > FILE_BYTES_MAX) break
  }
  if (filled <= FILE_BYTES_MAX) return { text: buffer.toString('utf8', 0, filled), facts }
  throw new BackstayError(
    'CONFIG_INVALID',
    `Cannot use "${path}": a cluster file has at most ${FILE_BYTES_MAX} bytes`,
  )
}

function shortName(path: string, workingDirectory: string): string {
  const short = relative(workingDirectory, path)
  return short.startsWith('..') ? path : short
}
