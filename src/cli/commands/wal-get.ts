/**
 * `backstay wal get`: restore_command.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { formatSegmentName } from '../../postgres/segment-name.ts'
import { fetchForRecovery } from '../../service/fetch-for-recovery.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { selfProgram } from '../session/self-program.ts'
import { absolute, walPlace, type WalPlace } from '../session/wal-place.ts'
import { WAL_PLACE_OPTIONS, WAY_OPTION } from './wal-options.ts'
import { spawn } from 'node:child_process'

const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  ...WAY_OPTION,
  standby: {
    type: 'flag',
    help: 'Errors count as «not there» (exit 1): a standby asks again and can stream meanwhile',
  },
} as const satisfies OptionSpecs

const ARGUMENTS = [
  { name: 'file', help: 'Name of the WAL file (%f)' },
  { name: 'target', help: 'Where to put it (%p), or - for standard output' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  description: `Finds finished segments, history files, unfinished segments of dead timelines, and what the receiver has of the present one.
Exit status for PostgreSQL: 0 fetched, 1 not there, 126 recovery must stop (without --standby).`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['WAL_MISSING'],
  examples: [
    `restore_command = 'backstay wal get --repository /var/lib/backstay --cluster shop "%f" "%p"'`,
  ],
  run,
})

type WalGetContext = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

/** What it ends with when it fails: recovery-exit-code.ts. */
async function run(context: WalGetContext): Promise<void> {
  if (context.options.way !== undefined)
    return await fetchFromElsewhere(context, context.options.way)
  const place = await walPlace(context)
  if (context.arguments.target === '-') await print(context, place)
  else await fetch(context, place)
}

async function fetch(context: WalGetContext, place: WalPlace): Promise<void> {
  const { file, target } = context.arguments
  const { repositoryDirectory, cluster } = place
  await fetchForRecovery({
    ...place,
    name: file,
    target: absolute(context, target),
    clock: context.clock,
    startPrefetch: (directory, from) =>
      startPrefetch(['--repository', repositoryDirectory, '--cluster', cluster], {
        directory,
        name: formatSegmentName(from, from.segmentBytes),
      }),
  })
}

async function fetchFromElsewhere(context: WalGetContext, way: string): Promise<void> {
  const { fetchOverWay } = await import('../../service/fetch-over-way.ts')
  const { file, target } = context.arguments
  await fetchOverWay({
    way,
    name: file,
    target: absolute(context, target),
    clock: context.clock,
    startPrefetch: (directory, first, segmentBytes) =>
      startPrefetch(['--way', way, '--cluster', context.options.cluster ?? ''], {
        directory,
        name: formatSegmentName(first, segmentBytes),
      }),
  })
}

function startPrefetch(
  place: readonly string[],
  from: { readonly directory: string; readonly name: string },
): number | undefined {
  const [command, ...words] = selfProgram()
  const child = spawn(command, [...words, 'wal', 'prefetch', ...place, from.directory, from.name], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
  })
  child.unref()
  return child.pid
}

async function print(context: WalGetContext, place: WalPlace): Promise<void> {
  // A recovery that the service answers needs none of them.
  const [{ storeAt }, { openCluster }, { readWalFile }] = await Promise.all([
    import('../../store/address.ts'),
    import('../../repository/cluster-repository.ts'),
    import('../../wal/read-wal-file.ts'),
  ])
  const store = storeAt(place.repositoryDirectory)
  const repository = await openCluster(store, place.cluster, context.clock)
  const { file } = context.arguments
  const found = await readWalFile(repository, file)
  if (found === undefined) {
    throw new BackstayError('WAL_MISSING', `Cannot get WAL file "${file}": it is not held`)
  }
  await new Promise<void>((resolve, reject) => {
    context.stdout.write(found.content, (error) => (error ? reject(error) : resolve()))
  })
}
