/**
 * Settles a demo in its directory: finds the cluster file of an earlier start, or writes one for
 * ports and binaries that work.
 */
import { join } from 'node:path'
import { loadCluster, type LoadedCluster } from '../../config/load.ts'
import { checkTrusted, claimTrusted, type DirectoryUse } from '../../config/trusted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { findBinaries } from '../../host/binaries.ts'
import { embeddedDirectories } from '../../host/embedded-postgres.ts'
import type { Host } from '../../host/host.ts'
import { decideOsUser } from '../../host/os-user.ts'
import { isSupportedMajor, type PostgresMajor } from '../../postgres/version.ts'
import { findDistrust } from '../../util/trusted-path.ts'
import { packageFile } from '../version.ts'
import { DEMO_FILE, renderDemoFile } from './cluster-file.ts'
import { demoDirectory, demoPort, demoSocketDirectory } from './demo-place.ts'

const DEFAULT_MAJOR: PostgresMajor = 18
/** Open to the user PostgreSQL runs as. */
const DEMO: DirectoryUse = { what: 'the demo', mode: 0o755 }

/** What the command line says. */
export interface DemoWish {
  readonly directory: string | undefined
  readonly major: number | undefined
  readonly port: number | undefined
  readonly workingDirectory: string
  /** Where the user keeps data of programs; undefined without a home. */
  readonly dataHome: string | undefined
  /** Whose files are obeyed. */
  readonly trusted: ReadonlySet<number>
}

/** Where the demo is. */
export interface DemoPlace {
  readonly directory: string
  readonly loaded: LoadedCluster
  /** OS user that runs PostgreSQL. */
  readonly osUser: string
  /** Whether an earlier start left this cluster. */
  readonly isKnown: boolean
}

/** Settles. @throws BINARIES_MISSING, PORT_IN_USE, HOST_PRIVILEGE, USAGE, CONFIG_INVALID */
export async function settleDemo(host: Host, wish: DemoWish): Promise<DemoPlace> {
  const osUser = await decideOsUser(host, { configured: 'postgres', fallback: 'nobody' })
  const directory = await demoDirectory(host, { ...wish, given: wish.directory, osUser })
  const isMissing = findDistrust(directory, wish.trusted)?.isMissing === true
  if (!isMissing) checkTrusted(directory, DEMO.what, wish.trusted)
  const file = join(directory, DEMO_FILE)
  const isKnown = !isMissing && (await host.inspect(file)) !== undefined
  if (!isKnown) await settleNew(host, wish, { directory, file, osUser })
  const loaded = await loadCluster({ file, workingDirectory: directory, trusted: wish.trusted })
  if (isKnown) checkSame(loaded, wish)
  return { directory, loaded, osUser, isKnown }
}

async function settleNew(
  host: Host,
  wish: DemoWish,
  place: { readonly directory: string; readonly file: string; readonly osUser: string },
): Promise<void> {
  const { directory, file, osUser } = place
  const major = majorOf(wish.major)
  const port = await demoPort(wish.port)
  claimTrusted(directory, DEMO, wish.trusted)
  const content = await host.list(directory)
  if (content !== undefined && content.length > 0) {
    throw new BackstayError(
      'DIRECTORY_FOREIGN',
      `Cannot make the demo in "${directory}": it is not empty, and no demo is in it`,
      { hint: 'Name an empty or new directory with --directory.' },
    )
  }
  await host.makeDirectory(directory, { mode: 0o755 })
  const binaries = await findBinaries(host, {
    major,
    user: osUser,
    embedded: embeddedDirectories([packageFile('.'), wish.workingDirectory], wish.trusted),
    copyEmbeddedTo: directory,
  })
  const socketDirectory = demoSocketDirectory(directory)
  if (socketDirectory.startsWith(directory)) {
    await host.makeDirectory(socketDirectory, { mode: 0o755, owner: osUser })
  }
  const text = renderDemoFile({
    directory,
    major,
    osUser,
    port,
    socketDirectory,
    binaries: binaries.directory,
  })
  await host.writeFile(file, text, { mode: 0o644 })
}

function majorOf(major: number | undefined): PostgresMajor {
  const wanted = major ?? DEFAULT_MAJOR
  if (isSupportedMajor(wanted)) return wanted
  throw new BackstayError('USAGE', `Cannot run PostgreSQL ${wanted}: it must be from 11 to 18`)
}

/** A demo goes on as it began; another version or port is another demo. */
function checkSame({ wanted, path }: LoadedCluster, wish: DemoWish): void {
  const port = wanted.servers[0]?.port
  const [what, has, asked] =
    wish.major !== undefined && wish.major !== wanted.postgres.version
      ? ['PostgreSQL', wanted.postgres.version, wish.major]
      : ['port', port, wish.port ?? port]
  if (has === asked) return
  throw new BackstayError(
    'USAGE',
    `Cannot go on with the demo of "${path}" on ${what} ${asked}: it has ${what} ${has}`,
    { hint: 'Name another --directory for a second demo.' },
  )
}
