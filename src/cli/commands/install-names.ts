/**
 * `backstay install-names`: puts the programs with Barman's names where shells, cron lines and ssh
 * find them.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { NAMES_MARK } from '../../fleet/lasting-names.ts'
import { fileError } from '../../host/file-error.ts'
import { replaceFile } from '../../host/local-files.ts'
import { shellQuote } from '../../host/shell-quote.ts'
import { ensureCurrentLink, lastingPath } from '../../util/lasting-path.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { packageFile } from '../version.ts'
import { readFile, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'

const OPTIONS = {
  replace: { type: 'flag', help: 'Replace programs of these names that are not ours' },
} as const satisfies OptionSpecs

const ARGUMENTS = [
  { name: 'directory', help: 'A directory of the PATH, /usr/local/bin for example' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  description:
    'Writes three small programs into the directory: barman, barman-wal-archive and barman-wal-restore. They start Backstay ' +
    'with the Node.js that runs now, so that they also work in cron and over ssh. `backstay barman …` is the same as the first ' +
    'of them without installing it.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['DIRECTORY_FOREIGN', 'HOST_PRIVILEGE'],
  examples: ['backstay install-names /usr/local/bin'],
  run,
})

const NAMES = ['barman', 'barman-wal-archive', 'barman-wal-restore'] as const

/**
 * @throws {BackstayError} DIRECTORY_FOREIGN when another program has one of the names;
 * HOST_PRIVILEGE.
 */
async function run(
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
