/**
 * Serves the directory of its first argument over its standard streams, as the gate does, until nobody has asked for its second argument of
 * milliseconds.
 */
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { servePipe } from '../../../src/store/pipe-server.ts'
import { endProcess, giveUpOutput } from '../../../src/util/end-process.ts'

const [directory = '', idleMs = ''] = process.argv.slice(2)
try {
  const idle = { limitMs: Number(idleMs), giveUp: giveUpOutput }
  const service = { store: new DiskStore(directory), sees: () => true, idle }
  await servePipe(service, process.stdin, process.stdout)
  await endProcess(0)
} catch (error) {
  process.stderr.write(`${error instanceof BackstayError ? error.code : String(error)}\n`)
  await endProcess(1)
}
