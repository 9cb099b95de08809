/**
 * Makes embedded PostgreSQL packages work where npm left them unfinished (install scripts blocked) or out of reach.
 */
import { dirname, join, normalize } from 'node:path/posix'
import type { Host } from './host.ts'
import { runChecked } from './run-checked.ts'

interface LibraryLink {
  readonly source: string
  readonly target: string
}

/** Whether `problem` is what the dynamic linker says when a library's version link is missing. */
export function hasMissingLibraries(problem: string | undefined): boolean {
  return problem?.includes('error while loading shared libraries') === true
}

/**
 * Makes the links between library versions that the package's install script would have made (native/pg-symlinks.json).
 * False when there is nothing to make, or we may not write there.
 */
export async function linkLibraries(host: Host, binDirectory: string): Promise<boolean> {
  const native = dirname(binDirectory)
  const list = await host.readFile(join(native, 'pg-symlinks.json'))
  if (list === undefined) return false
  const links = parseLinks(list.toString())
  const words = links.flatMap(({ source, target }) => [source, target])
  const script =
    'cd "$1" && shift && while [ $# -gt 1 ]; do ln -sfn "$1" "$2" || exit; shift 2; done'
  const result = await host.run(['sh', '-c', script, 'sh', join(native, 'lib'), ...words])
  return links.length > 0 && result.exitCode === 0
}

/** The links as names inside `native/lib`; entries that point anywhere else are left out. */
export function parseLinks(json: string): readonly LibraryLink[] {
  const entries = JSON.parse(json) as readonly LibraryLink[]
  const inLib = (path: string): string | undefined =>
    /^native\/lib\/([A-Za-z0-9_.+-]+)$/.exec(normalize(path))?.[1]
  return entries.flatMap((entry) => {
    const [source, target] = [inLib(entry.source), inLib(entry.target)]
    return source === undefined || target === undefined ? [] : [{ source, target }]
  })
}

/** Copies a package's programs, libraries and shared files to `folder`/postgresql-VERSION, once; its program directory. */
export async function copyEmbedded(
  host: Host,
  binaries: { readonly directory: string; readonly version: string },
  folder: string,
): Promise<string> {
  const target = join(folder, `postgresql-${binaries.version}`)
  if ((await host.inspect(target)) !== undefined) return join(target, 'bin')
  const temporary = `${target}.tmp`
  await host.makeDirectory(folder, { mode: 0o755 })
  await host.remove(temporary)
  const command = ['cp', '-a', '--', dirname(binaries.directory), temporary]
  await runChecked(host, command, { timeoutMs: 300_000 })
  await runChecked(host, ['chmod', '-R', 'go+rX,go-w', '--', temporary])
  // A power loss must not leave the name with half of the programs behind it.
  await host.run(['sync', '-f', '--', temporary], { timeoutMs: 300_000 })
  await host.rename(temporary, target)
  return join(target, 'bin')
}
