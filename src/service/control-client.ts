/**
 * Calls a running service. Loads next to nothing, because `wal get` starts anew for every file.
 */
import { connect } from 'node:net'
import { BackstayError } from '../errors/backstay-error.ts'
import { ERROR_KINDS, type ErrorCode } from '../errors/codes.ts'
import { formatSize } from '../util/size.ts'
import { ANSWER_BYTES_MAX, type ControlCall, readAnswer } from './control-protocol.ts'

/**
 * Sends one call and returns the result; `absent` when no service listens there.
 * @throws {BackstayError} what the service answered; TIMEOUT; FAILED when the connection breaks.
 */
export async function callService(
  socketPath: string,
  call: ControlCall,
  timeoutMs: number,
): Promise<{ readonly result: unknown } | 'absent'> {
  const text = await exchange(socketPath, `${JSON.stringify(call)}\n`, timeoutMs)
  if (text === undefined) return 'absent'
  const answer = readAnswer(text)
  if (answer.ok) return { result: answer.result }
  const { code, message, hint } = answer.error
  throw new BackstayError(
    Object.hasOwn(ERROR_KINDS, code) ? (code as ErrorCode) : 'FAILED',
    message,
    { hint },
  )
}

function exchange(
  socketPath: string,
  request: string,
  timeoutMs: number,
): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  let received = ''
  const fail = (code: ErrorCode, problem: string): void =>
    reject(new BackstayError(code, `Cannot call the service at "${socketPath}": ${problem}`))
  const socket = connect(socketPath)
  // Of the whole: whoever answers could send a letter a minute.
  const timer = setTimeout(() => {
    fail('TIMEOUT', 'it did not answer in time')
    socket.destroy()
  }, timeoutMs)
  socket.setEncoding('utf8')
  socket.on('connect', () => socket.end(request))
  socket.on('data', (text: string) => {
    received += text
    if (received.length <= ANSWER_BYTES_MAX) return
    fail('FAILED', `it answers with more than ${formatSize(ANSWER_BYTES_MAX)}`)
    socket.destroy()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const isAbsent = error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
    if (isAbsent) resolve(undefined)
    else fail('FAILED', error.message)
  })
  socket.on('close', () => clearTimeout(timer))
  socket.on('close', () => (received === '' ? fail('FAILED', 'it hung up') : resolve(received)))
  return promise
}
