/**
 * `backstay init`: writes a cluster file from answers or options.
 */
import { thisMachine } from '../../config/machine.ts'
import { readCluster } from '../../config/read.ts'
import { renderClusterFile } from '../../config/template.ts'
import { checkTrusted } from '../../config/trusted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { writeNewFile } from '../../util/new-file.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { optionFlag } from '../option-spec.ts'
import { INIT_QUESTIONS, type InitAnswers, newClusterOf } from '../session/init-questions.ts'
import { packageFile } from '../version.ts'
import { dirname, relative, resolve } from 'node:path'

const initOptions = {
  cluster: { type: 'string', value: 'NAME', help: 'Name of the cluster (default: main)' },
  postgres: {
    type: 'int',
    value: 'MAJOR',
    min: 11,
    max: 18,
    help: 'Major version of PostgreSQL (default: 18)',
  },
  primary: { type: 'string', value: 'HOST[:PORT]', help: 'Machine of the primary' },
  standby: { type: 'list', value: 'HOST[:PORT]', help: 'Machine of a standby' },
  backupHost: { type: 'string', value: 'HOST', help: 'Machine of the backup server' },
  repository: { type: 'string', value: 'DIR', help: 'Directory of the repository there' },
  directory: { type: 'string', value: 'DIR', help: 'Data directory of the servers' },
  output: {
    type: 'string',
    value: 'FILE',
    default: 'backstay.yaml',
    help: 'The file to write; an existing one is not overwritten',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  description:
    'Writes a cluster file. On a terminal it asks for what no option says; elsewhere --primary is needed and the rest has defaults.',
  options: initOptions,
  exits: ['CONFIG_INVALID'],
  examples: [
    'backstay init',
    'backstay init --cluster shop --primary 192.168.100.10 --standby 192.168.100.11 --backup-host 192.168.100.12',
  ],
  run,
})

type InitContext = CommandContext<typeof initOptions>

const SCHEMA_FILE = 'docs/reference/backstay.schema.json'

/** Writes the cluster file. @throws USAGE, CONFIG_INVALID, FAILED when the file is there already */
async function run(context: InitContext): Promise<CommandResult> {
  const path = resolve(context.workingDirectory, context.options.output)
  const file = relative(context.workingDirectory, path)
  checkTrusted(dirname(path), 'the directory of the cluster file', context.trusted)
  const answers = await collect(context)
  const text = renderClusterFile(newClusterOf(answers, packageFile(SCHEMA_FILE)))
  const { wanted } = readCluster(text, { file, directory: dirname(path), machine: thisMachine() })
  await write(path, text)
  const servers = wanted.servers.map(({ name }) => name)
  const option = context.options.output === 'backstay.yaml' ? '' : ` -c ${file}`
  return {
    data: { file: path, cluster: wanted.name, servers },
    text: () => `Wrote "${file}": cluster "${wanted.name}" with ${servers.join(', ')}
Next: look it over, then "backstay plan${option}" and "backstay up${option}"`,
  }
}

async function collect(context: InitContext): Promise<InitAnswers> {
  const given = givenAnswers(context)
  for (const { key, fault } of INIT_QUESTIONS) {
    const text = given[key] === undefined ? undefined : fault(given[key], given)
    if (text !== undefined)
      throw new BackstayError('USAGE', `Cannot read ${optionFlag(key)}: ${text}`)
  }
  if (context.stdin.isTTY && context.stdout.isTTY) {
    const { askQuestions } = await import('../session/ask.ts')
    return askQuestions(INIT_QUESTIONS, given, context)
  }
  return withDefaults(given)
}

function givenAnswers({ options }: InitContext): Partial<InitAnswers> {
  const { cluster, postgres, primary, standby, backupHost, repository, directory } = options
  const all = {
    cluster,
    postgres: postgres === undefined ? undefined : String(postgres),
    primary,
    standby: standby.length === 0 ? undefined : standby.join(','),
    backupHost,
    repository,
    directory,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

function withDefaults(given: Partial<InitAnswers>): InitAnswers {
  const entries = INIT_QUESTIONS.map(({ key, standard }) => {
    const answer = given[key] ?? standard
    if (answer !== undefined) return [key, answer]
    throw new BackstayError('USAGE', `Cannot write a cluster file without ${optionFlag(key)}`, {
      hint: `Give ${optionFlag(key)}, or run \`backstay init\` on a terminal: it asks.`,
    })
  })
  return Object.fromEntries(entries) as InitAnswers
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeNewFile(path, text)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') {
      throw new BackstayError('FAILED', `Cannot write "${path}": it is there already`, {
        hint: 'Name another file with --output, or move that one away.',
      })
    }
    throw new BackstayError('FAILED', `Cannot write "${path}": ${message}`, {
      hint: 'Choose a directory that exists and can be written.',
      cause: error,
    })
  }
}
