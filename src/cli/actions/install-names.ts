/**
 * Puts the programs with Barman's names into a directory. A program that is not ours is replaced only when that is wished.
 */
import { readFile, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { NAMES_MARK } from '../../fleet/lasting-names.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { fileError } from '../../host/file-error.ts'
import { replaceFile } from '../../host/local-files.ts'
import { shellQuote } from '../../host/shell-quote.ts'
import { ensureCurrentLink, lastingPath } from '../../util/lasting-path.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/install-names.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { packageFile } from '../version.ts'

const NAMES = ['barman', 'barman-wal-archive', 'barman-wal-restore'] as const

/** @throws {BackstayError} DIRECTORY_FOREIGN when another program has one of the names; HOST_PRIVILEGE. */
export async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { directory: given } = context.arguments
  const directory = isAbsolute(given) ? given : join(context.workingDirectory, given)
  try {
    await checkDirectory(directory)
    // All are looked at before the first is written.
    for (const name of NAMES) await checkName(join(directory, name), context.options.replace)
    ensureCurrentLink()
    for (const name of NAMES) await install(directory, name)
  } catch (error) {
    throw fileError('this machine', `install programs into "${directory}"`, error)
  }
  return {
    data: { directory, names: NAMES },
    text: () => `Installed ${NAMES.join(', ')} in ${directory}.`,
  }
}

async function checkDirectory(directory: string): Promise<void> {
  if ((await stat(directory)).isDirectory()) return
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot install programs into "${directory}": it is no directory`,
  )
}

async function checkName(path: string, mayReplace: boolean): Promise<void> {
  const found = await readFile(path, 'latin1').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined || found.includes(NAMES_MARK) || mayReplace) return
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot install "${path}": a program of this name is there and is not Backstay's`,
    { hint: 'Name another directory that comes earlier in the PATH, or add --replace.' },
  )
}

async function install(directory: string, name: string): Promise<void> {
  const program = [process.execPath, packageFile(`bin/${name}.js`)]
  const words = program.map((path) => shellQuote(lastingPath(path))).join(' ')
  const text = `#!/bin/sh\n${NAMES_MARK}\nexec ${words} "$@"\n`
  await replaceFile(join(directory, name), text, { mode: 0o755, owner: undefined })
}
