/**
 * The repository of the primary Barman, read through the operator's primary_ssh_command: Backstay
 * serves it there (actions/sync-serve.ts).
 */
import { z } from 'zod'
import { BackstayError } from '../../errors/backstay-error.ts'
import { shellQuote } from '../../host/shell-quote.ts'
import { isSegmentBytes } from '../../postgres/segment-name.ts'
import type { ServerIdentity } from '../../repository/cluster-repository.ts'
import { PipeClient } from '../../store/pipe-client.ts'
import { PipeStore } from '../../store/pipe-store.ts'
import { readJson } from '../../util/read-json.ts'
import { askPrimary, type PrimaryShell, primaryError, SILENCE_MS } from './primary-shell.ts'

/** A server as its section on both sides is called, and the main file there. */
export interface PrimaryServer {
  readonly name: string
  readonly configFile: string | undefined
}

/** A command of Barman's there, as text for a shell. */
export function barmanThere({ name, configFile }: PrimaryServer, command: string): string {
  const config = configFile === undefined ? '' : `-c ${shellQuote(configFile)} `
  return `barman ${config}${command} ${shellQuote(name)}`
}

/** Where the primary has a server's objects, and whose they are, as its sync-info says. */
export interface PrimaryPlace extends ServerIdentity {
  readonly repository: string
  readonly cluster: string
}

/**
 * Asks the primary where.
 * @throws {BackstayError} HOST_COMMAND when it does not answer, or is no Backstay.
 */
export async function askPlace(shell: PrimaryShell, server: PrimaryServer): Promise<PrimaryPlace> {
  const place = parsePlace(await askPrimary(shell, barmanThere(server, 'sync-info')))
  if (place !== undefined) return place
  throw new BackstayError(
    'HOST_COMMAND',
    `Cannot copy server "${server.name}" from "${shell.command}": its answer names no repository of Backstay`,
    {
      hint: 'The primary has to run Backstay too. Take backups from here as well, or import a copy of its files.',
    },
  )
}

/** What it says is what files are measured by from then on. */
const Place = z.object({
  repository: z.string(),
  cluster: z.string(),
  systemIdentifier: z.string().regex(/^\d{1,20}$/),
  major: z.int(),
  segmentBytes: z.number().refine(isSegmentBytes),
})

function parsePlace(text: string): PrimaryPlace | undefined {
  return z.object({ backstay: Place }).safeParse(readJson(text)).data?.backstay
}

/**
 * The store there; nothing is read yet. Every failure of it is one of asking the primary
 * (HOST_COMMAND). Ends with its scope, or when the shell's signal aborts.
 */
export function openPrimaryStore(shell: PrimaryShell, server: PrimaryServer): PipeStore {
  const script = `${shell.command} ${shellQuote(barmanThere(server, 'sync-serve'))}`
  const client = new PipeClient(['/bin/sh', '-c', script], {
    answerTimeoutMs: SILENCE_MS,
    failure: (why) => primaryError(shell, why),
  })
  const stop = (): void => void client[Symbol.asyncDispose]()
  shell.signal.addEventListener('abort', stop, { once: true })
  return new PipeStore(client, `the primary's repository of "${server.name}"`)
}
