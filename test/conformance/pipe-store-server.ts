/**
 * Serves the directory that it is given through its standard input and output: the other end of pipe-store.test.ts.
 */
import { DiskStore } from '../../src/store/disk-store.ts'
import { servePipe } from '../../src/store/pipe-server.ts'

const store = new DiskStore(process.argv[2] ?? '')
const calls = { echo: async (given: object) => given }
const sees = (name: string): boolean => !name.startsWith('secret')
await servePipe({ store, sees, calls }, process.stdin, process.stdout)
