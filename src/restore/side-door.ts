/**
 * A login to a restored server for whoever restores it, of which no password is known: for as long
 * as its recovery is watched the OS user of this process is let in through the Unix socket as a
 * superuser, and only he. The lines stand first and are taken away again.
 */
import { join } from 'node:path'
import { isBackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { reloadServer } from '../host/postgres-control.ts'
import type { PostgresInstance } from '../host/postgres-instance.ts'
import { authidPath, SHARED_MAP_PATH, superuserNames } from '../postgres/role-names.ts'
import { quietSession } from '../postgres/session-settings.ts'
import { SqlClient } from '../wire/sql-client.ts'
import { DOOR_FILES, doorBlock, withoutDoorLines } from './door-lines.ts'

/** The largest file of a relation. */
const RELATION_FILE_BYTES = 1024 ** 3
const MAP_NAME = 'backstay_start'
const [HBA, IDENT] = DOOR_FILES
/** Names tried at most. */
const NAMES_MAX = 8
/** Always there, and never in the way of a role's own database. */
const DATABASE = 'template1'

/** A data directory and whose it is. */
export interface DoorPlace {
  readonly directory: string
  readonly user: string
}

/**
 * Opened before the server is started. Dispose takes the lines away and has a running server read
 * its files again.
 */
export class SideDoor implements AsyncDisposable {
  readonly #instance: PostgresInstance
  readonly #names: readonly string[]
  readonly #files: ReadonlyMap<string, Buffer>

  private constructor(
    instance: PostgresInstance,
    names: readonly string[],
    files: ReadonlyMap<string, Buffer>,
  ) {
    this.#instance = instance
    this.#names = names
    this.#files = files
  }

  static async open(instance: PostgresInstance): Promise<SideDoor> {
    const { host, directory } = instance
    const names = await namesOf(instance)
    const files = new Map<string, Buffer>()
    for (const [file, lines] of Object.entries(linesFor(host.user, names))) {
      const content = await host.readFile(join(directory, file))
      if (content === undefined || names.length === 0) continue
      files.set(file, withoutOurs(content))
      await writeBack(instance, file, Buffer.concat([Buffer.from(lines), withoutOurs(content)]))
    }
    return new SideDoor(instance, names, files)
  }

  /**
   * A connection through the socket in `socketDirectory`; undefined while the server lets nobody
   * in.
   * @throws {BackstayError} POSTGRES_AUTH, POSTGRES_HBA when it lets none of the superusers in.
   */
  async connect(socketDirectory: string, port: number): Promise<SqlClient | undefined> {
    let refusal: unknown
    for (const user of this.#names) {
      try {
        const host = socketDirectory
        const settings = quietSession(this.#instance.binaries.major)
        return await SqlClient.connect({ host, port, user, database: DATABASE, settings })
      } catch (error) {
        refusal = error
        if (!isBackstayError(error)) throw error
        const isRefused = error.code === 'POSTGRES_AUTH' || error.code === 'POSTGRES_HBA'
        if (!isRefused) return undefined
      }
    }
    if (refusal !== undefined) throw refusal as Error
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [file, content] of this.#files) await writeBack(this.#instance, file, content)
    if (this.#files.size > 0) await reloadServer(this.#instance)
  }
}

/** Takes away what one that died has left in a directory. */
export async function closeLeftDoor(host: Host, place: DoorPlace): Promise<void> {
  for (const file of DOOR_FILES) {
    const content = await host.readFile(join(place.directory, file))
    if (content === undefined) continue
    const closed = withoutOurs(content)
    if (!closed.equals(content)) await writeBack({ host, ...place }, file, closed)
  }
}

async function writeBack(
  { host, directory, user }: DoorPlace & { readonly host: Host },
  file: string,
  content: Buffer,
): Promise<void> {
  const path = join(directory, file)
  const mode = (await host.inspect(path))?.mode ?? 0o600
  await host.writeFile(path, content, { mode, owner: user })
}

/** Names that can stand between double quotes in both files. */
async function namesOf({ host, directory, binaries }: PostgresInstance): Promise<string[]> {
  const map = await host.readFile(join(directory, SHARED_MAP_PATH))
  const authid = await host.readFile(join(directory, authidPath(map)), RELATION_FILE_BYTES)
  const names = authid === undefined ? [] : superuserNames(authid, binaries.major)
  return names.filter((name) => /^[^"\\\s]+$/.test(name)).slice(0, NAMES_MAX)
}

function linesFor(osUser: string, names: readonly string[]): Readonly<Record<string, string>> {
  const hba = names.map((name) => `local ${DATABASE} "${name}" peer map=${MAP_NAME}`)
  const ident = names.map((name) => `${MAP_NAME} "${osUser}" "${name}"`)
  return { [HBA]: doorBlock(hba), [IDENT]: doorBlock(ident) }
}

/** Byte by byte: whatever else is in the file stays. */
function withoutOurs(content: Buffer): Buffer {
  return Buffer.from(withoutDoorLines(content.toString('latin1')), 'latin1')
}
