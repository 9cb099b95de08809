/**
 * From an address to a store, in any thread.
 */
import { DiskStore } from './disk-store.ts'
import type { Store, StoreAddress } from './store.ts'

/** Opens the store at `address`. Nothing is read or written yet. */
export function openStore(address: StoreAddress): Store {
  return new DiskStore(address.directory)
}
