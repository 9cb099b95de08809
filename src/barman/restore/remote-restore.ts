/**
 * Restores onto another host through its ssh command: the directory is made here, beside the
 * server's own files, and sent as a tar stream; pg_control goes last, so that a copy that broke off
 * cannot be started. The other host needs tar and a shell only.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { BackstayError } from '../../errors/backstay-error.ts'
import { shellQuote } from '../../host/shell-quote.ts'
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts'
import { type PlannedRestore, restoreLocally } from './local-restore.ts'
import { tablespaceMapping } from './tablespaces.ts'

/** Why an order cannot be carried out on another host; undefined when it can. */
export function whyNotRemote({ order }: Pick<PlannedRestore, 'order'>): string | undefined {
  return order.isDelta ? '--delta-restore does not go with --remote-ssh-command' : undefined
}

/**
 * @throws {BackstayError} DIRECTORY_FOREIGN when the destination is not empty, HOST_COMMAND; what a
 * local restore throws.
 */
export async function restoreRemotely(
  planned: Omit<PlannedRestore, 'directory'>,
): Promise<readonly string[]> {
  const { server, order, context } = planned
  const remote = { command: order.remote ?? '', signal: context.signal }
  const spaces = await remoteTablespaces(planned)
  for (const path of [order.destination, ...spaces.values()]) await makeEmpty(remote, path)
  await mkdir(server.backupDirectory, { recursive: true, mode: 0o700 })
  const staging = await mkdtemp(join(server.backupDirectory, '.restore-'))
  try {
    const here = new Map([...spaces.keys()].map((oid) => [oid, join(staging, oid)]))
    const elsewhere = { tablespaces: here, wal: join(staging, 'wal') }
    const directory = join(staging, 'data')
    const warnings = await restoreLocally({ ...planned, directory, elsewhere })
    for (const [oid, path] of spaces) {
      await send(remote, join(staging, oid), path)
      await relink(join(directory, 'pg_tblspc', oid), path)
    }
    const { stagingWalDirectory: wal } = order
    if (wal !== undefined && !order.getWal) {
      await runRemote(remote, `mkdir -p ${shellQuote(wal)}`)
      await send(remote, elsewhere.wal, wal)
    }
    await sendData(remote, directory, order.destination)
    return warnings
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/**
 * Where each tablespace will be on the other host, by oid; those inside of the data directory go
 * with it.
 */
async function remoteTablespaces({
  context,
  server,
  plan,
  order,
}: Omit<PlannedRestore, 'directory'>): Promise<ReadonlyMap<string, string>> {
  const wish = { rules: order.tablespaces, info: plan.backup }
  const mapping = await tablespaceMapping(context, server, wish)
  const linked = plan.backup.tablespaces.filter(({ location }) => isAbsolute(location))
  return new Map(
    linked.map(({ oid, location }) => {
      const key = String(oid)
      return [key, mapping.get(key) ?? mapping.get(location) ?? location]
    }),
  )
}

async function makeEmpty(remote: Remote, path: string): Promise<void> {
  const target = shellQuote(path)
  await runRemote(
    remote,
    `mkdir -p ${target} && chmod 700 ${target} && test -z "$(ls -A ${target})"`,
  )
}

async function relink(link: string, target: string): Promise<void> {
  await rm(link)
  await symlink(target, link)
}

interface Remote {
  /** As typed: `ssh postgres@db2`. A shell splits it. */
  readonly command: string
  readonly signal: AbortSignal
}

async function send(remote: Remote, from: string, destination: string): Promise<void> {
  const target = shellQuote(destination)
  const words = ['-C', from, `--exclude=./${CONTROL_FILE_PATH}`, '-cf', '-', '.']
  const tar = spawn('tar', words, { stdio: ['ignore', 'pipe', 'inherit'], signal: remote.signal })
  const packed = ended(tar, 'tar')
  const receiver = startRemote(remote, `tar -C ${target} -xpf -`)
  // tar stops reading where the archive ends, so the pipe may break behind it: whether all has
  // arrived the two programs say.
  const copied = pipeline(tar.stdout, receiver.stdin as NodeJS.WritableStream).catch(() => {})
  await settle([packed, ended(receiver, remote.command), copied])
}

/** The data directory; the file without which it cannot be started comes last. */
async function sendData(remote: Remote, from: string, destination: string): Promise<void> {
  await send(remote, from, destination)
  const control = shellQuote(join(destination, CONTROL_FILE_PATH))
  const naming = `sync; cat > ${control}.tmp && chmod 600 ${control}.tmp && sync && mv ${control}.tmp ${control} && sync`
  const last = startRemote(remote, naming)
  const bytes = createReadStream(join(from, CONTROL_FILE_PATH))
  await settle([ended(last, remote.command), pipeline(bytes, last.stdin as NodeJS.WritableStream)])
}

/** Waits for all; the first failure is thrown, a command's before a stream's. */
async function settle(works: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(works)
  const failure = results.find((result) => result.status === 'rejected')
  if (failure !== undefined) throw failure.reason as Error
}

async function runRemote(remote: Remote, script: string): Promise<void> {
  const child = startRemote(remote, script)
  child.stdin?.end()
  await ended(child, remote.command)
}

function startRemote({ command, signal }: Remote, script: string): ChildProcess {
  const words = ['-c', `${command} ${shellQuote(script)}`]
  return spawn('sh', words, { stdio: ['pipe', 'ignore', 'inherit'], signal })
}

async function ended(child: ChildProcess, what: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.on('error', reject)
  child.on('close', (code, signal) => {
    if (code === 0) return resolve()
    const text = `Cannot restore through "${what}": it ended with ${signal ?? code}`
    const hint = 'Is the destination empty, and may the user write there?'
    reject(new BackstayError('HOST_COMMAND', text, { hint }))
  })
  await promise
}
