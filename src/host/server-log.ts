/**
 * The end of a server's log: what it said about why it did not start.
 */
import type { Host } from './host.ts'
import type { PostgresInstance } from './postgres-instance.ts'

const READ_BYTES = 65_536

/** Remembers where the log file ends now, to read only what comes after. */
export async function logPosition(host: Host, path: string): Promise<number> {
  return (await host.inspect(path))?.sizeBytes ?? 0
}

/**
 * What was written to the file `path` after `position` (the end of it, when that is much). When the
 * server said there that it goes on elsewhere (logging_collector), the end of its newest file in
 * that directory comes after it.
 */
export async function readLogAfter(
  instance: PostgresInstance,
  path: string,
  position: number,
): Promise<string> {
  const { host, user, directory } = instance
  const command = ['sh', '-c', 'tail -c "+$1" -- "$2" | tail -c "$3"', 'sh']
  const words = [String(position + 1), path, String(READ_BYTES)]
  const { stdout } = await host.run([...command, ...words], { user })
  const elsewhere = /will appear in directory "([^"]+)"/.exec(stdout)?.[1]
  if (elsewhere === undefined) return stdout
  const newest = 'cd "$1" && cd "$2" && tail -c "$3" -- "$(ls -t | head -n 1)"'
  const more = await host.run(
    ['sh', '-c', newest, 'sh', directory, elsewhere, String(READ_BYTES)],
    { user },
  )
  return stdout + sinceStart(more.stdout)
}

/** What a log holds of the last start; all of it when it does not say where that begins. Pure. */
export function sinceStart(log: string): string {
  // The first line of 12 and later; the first of the startup process in all.
  const begin = log.lastIndexOf('  starting PostgreSQL ')
  const at = begin < 0 ? log.lastIndexOf('  database system was ') : begin
  return at < 0 ? log : log.slice(log.lastIndexOf('\n', at) + 1)
}

/**
 * The lines of a log that tell why: from the first FATAL or PANIC on, else the last ones; at most
 * `count`.
 */
export function tellingLines(log: string, count = 12): string {
  const lines = log.trimEnd().split('\n')
  const first = lines.findIndex((line) => /\b(FATAL|PANIC):/.test(line))
  return (first < 0 ? lines.slice(-count) : lines.slice(Math.max(0, first - 3)).slice(0, count))
    .join('\n')
    .trim()
}
