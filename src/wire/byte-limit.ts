/**
 * Bounds what a server can make `pg` hold in memory: the library gathers whole messages and whole
 * results, however long they are.
 */
import type { Socket } from 'node:net'

/**
 * How often is looked; what comes in between is the memory a hostile server can take beyond the
 * limit.
 */
const LOOK_EVERY_MS = 50

/** Calls `exceeded` once when more than `maxBytes` have come since this call, until disposed. */
export function limitBytes(socket: Socket, maxBytes: number, exceeded: () => void): Disposable {
  const before = socket.bytesRead
  const timer = setInterval(() => {
    if (socket.bytesRead - before <= maxBytes) return
    clearInterval(timer)
    exceeded()
  }, LOOK_EVERY_MS)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
