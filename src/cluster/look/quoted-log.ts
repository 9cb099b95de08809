/**
 * The end of a server's own log, to quote the reason it gives.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import type { Machine } from '../context.ts'

const READ_BYTES = 128 * 1024

/** A place in a log. */
export interface LogPlace {
  readonly path: string
  readonly sizeBytes: number
}

/**
 * The newest file of the log directory and its end; undefined when there is none. `logDirectory`
 * may be relative.
 */
export async function findLogEnd(
  host: Host,
  dataDirectory: string,
  logDirectory: string,
): Promise<LogPlace | undefined> {
  const directory = posix.resolve(dataDirectory, logDirectory)
  let newest: (LogPlace & { readonly modifiedAtMs: number }) | undefined
  for (const name of (await host.list(directory)) ?? []) {
    const path = posix.join(directory, name)
    const info = await host.inspect(path)
    if (info?.kind !== 'file' || info.modifiedAtMs < (newest?.modifiedAtMs ?? 0)) continue
    newest = { path, sizeBytes: info.sizeBytes, modifiedAtMs: info.modifiedAtMs }
  }
  return newest
}

/**
 * What a log holds after `since`: the end of it, when that is much; all of the end when the log has
 * changed files.
 */
export async function readLog(
  { host, osUser }: Machine,
  now: LogPlace,
  since: LogPlace | undefined,
): Promise<string> {
  const from = since?.path === now.path ? Math.min(since.sizeBytes, now.sizeBytes) : 0
  const bytes = Math.min(READ_BYTES, now.sizeBytes - from)
  if (bytes <= 0) return ''
  const command = ['tail', '-c', String(bytes), '--', now.path]
  const { stdout } = await host.run(command, { user: osUser })
  return stdout
}

/**
 * The message of a log line without its prefix: `FATAL:  password authentication failed for user
 * "x"`.
 */
export function logMessages(log: string): readonly string[] {
  return log.split('\n').flatMap((line) => {
    const match = /\b(PANIC|FATAL|ERROR|WARNING|LOG|DETAIL|HINT):\s+(.*)$/.exec(line)
    return match === null ? [] : [`${match[1]}: ${match[2]}`]
  })
}
