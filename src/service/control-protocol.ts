/**
 * What is said over the service's Unix socket: one JSON object a line, one answer for each call, in
 * order. The socket's mode (0600) is the permission: who may open it may do everything.
 */
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'

/** Longest call the service accepts. */
export const LINE_BYTES_MAX = 1024 * 1024
/** Longest answer that is read; a status grows with the number of clusters. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024

/** Longest path a Unix socket can have on Linux, without the zero byte. */
export const SOCKET_PATH_BYTES_MAX = 107

/** What may be asked of the service: a line of JSON. */
export type ControlCall =
  | { readonly call: 'status' }
  | { readonly call: 'trigger'; readonly job: string }
  /**
   * Puts a WAL file at `target`, an absolute path the service can write to, and prefetches what
   * follows.
   */
  | {
      readonly call: 'get-wal'
      readonly cluster: string
      readonly name: string
      readonly target: string
    }

/** What the service answers a call with; an error's `code` is one of the catalogue. */
export type ControlAnswer =
  | { readonly ok: true; readonly result: unknown }
  | {
      readonly ok: false
      readonly error: { readonly code: string; readonly message: string; readonly hint: string }
    }

/** The words each call needs. */
const CALLS: ReadonlyMap<string, readonly string[]> = new Map<ControlCall['call'], string[]>([
  ['status', []],
  ['trigger', ['job']],
  ['get-wal', ['cluster', 'name', 'target']],
])

/** Where the service that works on a repository listens. */
export function controlSocketOf(repositoryDirectory: string): string {
  return join(repositoryDirectory, '.service.sock')
}

/** Reads what came of a call. @throws {BackstayError} USAGE when it is none. */
export function readCall(text: string): ControlCall {
  const call = objectOf(text)
  if (call === undefined) {
    throw new BackstayError('USAGE', 'Cannot answer the call: it is not JSON')
  }
  const name = call['call']
  const words = typeof name === 'string' ? CALLS.get(name) : undefined
  if (words?.every((word) => typeof call[word] === 'string') === true) {
    return call as unknown as ControlCall
  }
  if (words !== undefined) {
    throw new BackstayError(
      'USAGE',
      `Cannot answer the call: ${JSON.stringify(call['call'])} needs ${words.join(', ')}`,
    )
  }
  throw new BackstayError(
    'USAGE',
    `Cannot answer the call: ${JSON.stringify(call['call'])} is unknown`,
  )
}

/** Reads what came as the answer. @throws {BackstayError} FAILED when it is none. */
export function readAnswer(text: string): ControlAnswer {
  const answer = objectOf(text)
  if (answer?.['ok'] === true) return { ok: true, result: answer['result'] ?? null }
  const error = Object(answer?.['error']) as Record<string, unknown>
  const { code, message, hint } = error
  if (typeof code === 'string' && typeof message === 'string' && typeof hint === 'string') {
    return { ok: false, error: { code, message, hint } }
  }
  throw new BackstayError('FAILED', 'Cannot read the answer of the service: it is no answer', {
    hint: 'Another program listens there, or a Backstay of another version: restart the service.',
  })
}

/** The JSON object a text is. */
function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    return undefined
  }
}
