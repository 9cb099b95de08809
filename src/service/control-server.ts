/**
 * The service's end of the Unix socket: reads a call, has it answered, writes the answer.
 */
import { chmodSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { BackstayError } from '../errors/backstay-error.ts'
import { callService } from './control-client.ts'
import {
  type ControlAnswer,
  type ControlCall,
  LINE_BYTES_MAX,
  readCall,
  SOCKET_PATH_BYTES_MAX,
} from './control-protocol.ts'

const IDLE_TIMEOUT_MS = 60_000
const CONNECTIONS_MAX = 64
const PROBE_TIMEOUT_MS = 2000

/** Answers calls; what it throws is the answer too. */
export type ControlHandler = (call: ControlCall) => Promise<unknown>

/**
 * Listens until disposed. A socket left by a dead service is replaced.
 * @throws {BackstayError} REPOSITORY_LOCKED when a service listens there already, FAILED when the
 * path cannot be used.
 */
export async function listenForControl(
  socketPath: string,
  handler: ControlHandler,
): Promise<AsyncDisposable> {
  await refuseSecond(socketPath)
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serveSocket(socket, handler)
  })
  server.maxConnections = CONNECTIONS_MAX
  await listen(server, socketPath)
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function refuseSecond(socketPath: string): Promise<void> {
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX) {
    throw new BackstayError(
      'FAILED',
      `Cannot listen on "${socketPath}": a socket's path has at most ${SOCKET_PATH_BYTES_MAX} bytes`,
      { hint: 'Use a repository with a shorter path.' },
    )
  }
  const answer = await callService(socketPath, { call: 'status' }, PROBE_TIMEOUT_MS).catch(
    (error: unknown) => error,
  )
  if (answer === 'absent') return await rm(socketPath, { force: true })
  throw new BackstayError(
    'REPOSITORY_LOCKED',
    `Cannot start the service: another one listens on "${socketPath}"`,
    { hint: 'Stop it first.' },
  )
}

async function listen(server: Server, socketPath: string): Promise<void> {
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject)
  // The mode must be right from the first moment on: a later chmod would leave a gap.
  const mask = process.umask(0o177)
  try {
    server.listen(socketPath, listening.resolve)
    await listening.promise
    chmodSync(socketPath, 0o600)
  } catch (error) {
    throw new BackstayError(
      'FAILED',
      `Cannot listen on "${socketPath}": ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  } finally {
    process.umask(mask)
  }
}

function serveSocket(socket: Socket, handler: ControlHandler): void {
  let received = ''
  socket.setEncoding('utf8')
  socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('data', (text: string) => {
    received += text
    if (received.length > LINE_BYTES_MAX) socket.destroy()
  })
  socket.on('end', () => void answer(received, handler).then((text) => socket.end(text)))
}

async function answer(text: string, handler: ControlHandler): Promise<string> {
  let result: ControlAnswer
  try {
    result = { ok: true, result: (await handler(readCall(text))) ?? null }
  } catch (error) {
    const known = error instanceof BackstayError ? error : new BackstayError('BUG', String(error))
    const { code, message, hint } = known
    result = { ok: false, error: { code, message, hint } }
  }
  return `${JSON.stringify(result, spellBigint)}\n`
}

function spellBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
