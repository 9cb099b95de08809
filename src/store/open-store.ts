/**
 * From an address to a store, in any thread. What a pipe needs is loaded for a pipe only.
 */
import { DiskStore } from './disk-store.ts'
import type { Store, StoreAddress } from './store.ts'

/** Opens the store at `address`. Nothing is read or written yet. */
export async function openStore(address: StoreAddress): Promise<Store> {
  if (address.kind === 'disk') return new DiskStore(address.directory)
  const [{ PipeClient }, { PipeStore }] = await Promise.all([
    import('./pipe-client.ts'),
    import('./pipe-store.ts'),
  ])
  return new PipeStore(new PipeClient(address.command))
}
