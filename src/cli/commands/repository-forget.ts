/**
 * `backstay repository forget`: removes a cluster from a repository.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { printableWord } from '../../errors/printable.ts'
import { readCatalogue } from '../../repository/catalogue.ts'
import { openCluster } from '../../repository/cluster-repository.ts'
import { forgetCluster } from '../../repository/forget.ts'
import { storeAt } from '../../store/address.ts'
import { formatSize } from '../../util/size.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { becomeRepositoryOwner } from '../session/repository-owner.ts'
import { absolute, backupOf } from '../session/wal-place.ts'
import { createInterface } from 'node:readline/promises'

const ARGUMENTS = [
  { name: 'cluster', help: 'The cluster, as it is called in the repository' },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  repository: {
    type: 'string',
    value: 'DIR',
    help: 'Repository (default: as the cluster file says)',
  },
  yes: { type: 'flag', help: 'Do not ask for the name of the cluster' },
} as const satisfies OptionSpecs

export default defineCommand({
  description:
    'At a terminal it asks for the name of the cluster; elsewhere it wants --yes. Nothing is done while WAL is received or a backup is taken or read: stop `backstay serve` first. Interrupted, it is run again.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['REPOSITORY_MISSING', 'REPOSITORY_LOCKED', 'NEEDS_CONFIRMATION'],
  examples: ['backstay repository forget shop --repository /srv/backup --yes'],
  runsOn: 'backup server',
  run,
})

type RepositoryForgetContext = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

/** @throws {BackstayError} REPOSITORY_MISSING, REPOSITORY_LOCKED, NEEDS_CONFIRMATION */
async function run(context: RepositoryForgetContext): Promise<CommandResult> {
  const { cluster: name } = context.arguments
  const directory = await directoryOf(context)
  await becomeRepositoryOwner(directory)
  const repository = await openCluster(storeAt(directory), name, context.clock)
  const { backups, damaged } = await readCatalogue(repository)
  const count = backups.length + damaged.length
  const what = `cluster "${name}" with its ${count} backups in "${directory}"`
  if (!context.options.yes && !(await typesName(context, { name, what }))) {
    throw new BackstayError('NEEDS_CONFIRMATION', `Will not forget ${what} without --yes`)
  }
  const gone = await forgetCluster(repository)
  return {
    data: { cluster: name, repository: directory, ...gone },
    text: () =>
      `Forgot cluster "${name}": ${gone.backups} backups, ${gone.objects} files, ${formatSize(gone.bytes)}.\n`,
  }
}

async function directoryOf(context: RepositoryForgetContext): Promise<string> {
  const { repository } = context.options
  if (repository !== undefined) return absolute(context, repository)
  return backupOf((await context.config()).wanted).repository
}

/** Whether a person at the terminal types the name. Without a terminal nobody does. */
async function typesName(
  { stdin, stdout, signal }: RepositoryForgetContext,
  { name, what }: { readonly name: string; readonly what: string },
): Promise<boolean> {
  if (!stdin.isTTY || !stdout.isTTY) return false
  using lines = createInterface({ input: stdin, output: stdout })
  const question = printableWord(`This removes ${what}. Type "${name}": `)
  const answer = await lines.question(question, { signal })
  return answer.trim() === name
}
