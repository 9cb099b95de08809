/**
 * Pushed WAL that had to make room for what the primary has, as durable objects: somebody has to
 * look at the server whose key it came with. Told until the object is deleted
 * (docs/repository-format.md §9).
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { putSealed, readSealed } from '../repository/sealed-object.ts'
import { clearPushed, pushedBy } from './pushed-mark.ts'

/** One file of that kind. */
export interface ContestedWal {
  /** A segment or history file, as PostgreSQL names it. */
  readonly name: string
  /** The server whose key it came with. */
  readonly server: string
  /** The object it is kept as now. */
  readonly keptAs: string
  /** The object that says so. */
  readonly record: string
  /** ISO 8601 UTC. */
  readonly recordedAt: string
}

/** Whoever pushes again in between loses again; for ever is nobody served by it. */
const ATTEMPTS = 3

/**
 * Does `store`, the receiver's storing of WAL file `name`: what is there with other content and was
 * pushed makes room. Returns it.
 * @throws {BackstayError} WAL_CONFLICT when it was not pushed; what `store` throws.
 */
export async function storeOverPushed(
  repository: ClusterRepository,
  name: string,
  store: () => Promise<unknown>,
): Promise<ContestedWal | undefined> {
  let contested: ContestedWal | undefined
  for (let attempt = 1; ; attempt += 1) {
    try {
      await store()
      await clearPushed(repository, name)
      return contested
    } catch (error) {
      if (!isBackstayError(error, 'WAL_CONFLICT') || attempt === ATTEMPTS) throw error
      const server = await pushedBy(repository, name)
      if (server === undefined) throw error
      contested = await setAsidePushed(repository, name, server)
    }
  }
}

/** Keeps a pushed file out of the way, and tells of it. */
export async function setAsidePushed(
  repository: ClusterRepository,
  name: string,
  server: string,
): Promise<ContestedWal | undefined> {
  let contested: ContestedWal | undefined
  await repository.wal.setAside(name, 'pushed', async (keptAs) => {
    contested = await recordContested(repository, { name, server, keptAs })
  })
  return contested
}

async function recordContested(
  { store, names, clock }: ClusterRepository,
  found: Pick<ContestedWal, 'name' | 'server' | 'keptAs'>,
): Promise<ContestedWal> {
  const [fingerprint = ''] = /[0-9A-F]{16}(?=\.pushed\.zst$)/.exec(found.keptAs) ?? []
  const record = `${names.contested}/${found.name}-${fingerprint}.json`
  const recordedAt = new Date(clock.now()).toISOString()
  await putSealed(store, record, { ...found, recordedAt })
  return { ...found, record, recordedAt }
}

/** Everything recorded, by name. @throws {BackstayError} REPOSITORY_DAMAGED */
export async function listContested({
  store,
  names,
}: ClusterRepository): Promise<readonly ContestedWal[]> {
  const all: ContestedWal[] = []
  for (const object of await store.listObjects(names.contested)) {
    const record = `${names.contested}/${object}`
    const value = await readSealed(store, record)
    if (value === undefined) continue
    const text = (key: string): string => String(value[key])
    const [name, server] = [text('name'), text('server')]
    all.push({ name, server, keptAs: text('keptAs'), record, recordedAt: text('recordedAt') })
  }
  return all
}

/** One sentence without full stop. */
export function describeContested({ name, server, keptAs, record }: ContestedWal): string {
  return `server "${server}" pushed WAL file ${name} with other content than the primary has; it is kept as "${keptAs}". Find out who has used its key, then delete "${record}"`
}
