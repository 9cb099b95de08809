/**
 * From an address to a store: the only place that opens one. What a pipe needs is loaded for a pipe
 * only.
 */
import { isAbsolute } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { DiskStore } from './disk-store.ts'
import type { Store, StoreAddress } from './store.ts'

/**
 * The store that an operator's address names: the absolute path of a directory. Nothing is read or
 * written yet.
 * @throws {BackstayError} CONFIG_INVALID for anything else
 */
export function storeAt(address: string): Store {
  if (isAbsolute(address)) return new DiskStore(address)
  throw new BackstayError('CONFIG_INVALID', `Cannot open a repository in "${address}"`, {
    hint: 'Name a directory by its absolute path.',
  })
}

/** The store that another thread or process was told of. */
export async function openStore(address: StoreAddress): Promise<Store> {
  if (address.kind === 'disk') return storeAt(address.directory)
  const [{ PipeClient }, { PipeStore }] = await Promise.all([
    import('./pipe-client.ts'),
    import('./pipe-store.ts'),
  ])
  return new PipeStore(new PipeClient(address.command))
}
