/**
 * Makes embedded PostgreSQL packages work where npm left them unfinished (install scripts blocked)
 * or out of reach.
 */
import { dirname, join, normalize } from 'node:path/posix'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from './host.ts'
import { runChecked } from './run-checked.ts'
import { AS_WAY_OWNER } from './way-owner.ts'

interface LibraryLink {
  readonly source: string
  readonly target: string
}

/** Whether `problem` is what the dynamic linker says when a library's version link is missing. */
export function hasMissingLibraries(problem: string | undefined): boolean {
  return problem?.includes('error while loading shared libraries') === true
}

/**
 * Arguments: a directory, then pairs of what a link says and its name. What has a name already
 * stays, whatever it is.
 */
const LINK =
  'cd -P -- "$1" && shift && while [ $# -gt 1 ]; do { [ -e "$2" ] || [ -L "$2" ]; } || ln -s -- "$1" "./$2" || exit; shift 2; done'

/**
 * Makes the links between library versions that the package's install script would have made
 * (native/pg-symlinks.json), as root by the hands of who has the way there (way-owner.ts). Only for
 * a directory that was judged before it was looked into. False when there is nothing to make, or we
 * may not write there.
 */
export async function linkLibraries(host: Host, binDirectory: string): Promise<boolean> {
  const native = dirname(binDirectory)
  const list = await host.readFile(join(native, 'pg-symlinks.json'))
  if (list === undefined) return false
  const links = parseLinks(list.toString())
  const words = links.flatMap(({ source, target }) => [source, target])
  const lib = join(native, 'lib')
  const way = ['use', `${lib}/.`, '', LINK, lib]
  const result = await host.run(['sh', '-c', AS_WAY_OWNER, 'sh', ...way, ...words])
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

/**
 * In a directory that nobody else can enter, which `mkdir` makes or fails, and moved to its name
 * whole. Whoever installed the package has nothing to say about the copy, and a power loss must not
 * leave the name with half of the programs behind it. Leftovers of killed ones go.
 */
const COPY = `
set -e
source=$1 folder=$2 target=$3
cd -P -- "$folder"
find . -mindepth 1 -maxdepth 1 -name '.postgresql.*' -user "$(id -u)" -mmin +60 -exec rm -rf -- {} +
work=$(mktemp -d -- "$folder/.postgresql.XXXXXXXXXX")
trap 'rm -rf -- "$work"' EXIT
cp -a --no-preserve=ownership -- "$source" "$work/new"
chmod -R go+rX,go-w -- "$work/new"
sync -f -- "$work/new"
# Another process may have been first.
mv -T -- "$work/new" "$target" || [ -d "$target" ]
sync -- "$folder"
`

/**
 * Copies a package's programs, libraries and shared files to `folder`/postgresql-VERSION, once; its
 * program directory. The folder must be one in which nobody else can make anything.
 * @throws DIRECTORY_OWNER when what has the copy's name is somebody else's.
 */
export async function copyEmbedded(
  host: Host,
  binaries: { readonly directory: string; readonly version: string },
  folder: string,
): Promise<string> {
  const target = join(folder, `postgresql-${binaries.version}`)
  if (!(await hasCopy(host, target))) {
    await host.makeDirectory(folder, { mode: 0o755 })
    const words = [dirname(binaries.directory), folder, target]
    await runChecked(host, ['sh', '-c', COPY, 'sh', ...words], { timeoutMs: 300_000 })
    await hasCopy(host, target)
  }
  return join(target, 'bin')
}

async function hasCopy(host: Host, target: string): Promise<boolean> {
  const found = await host.inspect(target)
  if (found === undefined) return false
  const isOwn = found.owner === host.user || found.owner === 'root'
  if (found.kind === 'directory' && isOwn && (found.mode & 0o022) === 0) return true
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot use the copy of PostgreSQL in "${target}": it is a ${found.kind} of "${found.owner}" with mode ${found.mode.toString(8)}`,
    { hint: 'Remove it: it is made anew.', details: { path: target } },
  )
}
