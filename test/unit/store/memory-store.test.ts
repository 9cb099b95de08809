import { MemoryStore } from '../../harness/memory-store.ts'
import { describeStore } from '../../conformance/store.ts'

describeStore('MemoryStore', async () => ({
  store: new MemoryStore(),
  [Symbol.asyncDispose]: async () => {},
}))
