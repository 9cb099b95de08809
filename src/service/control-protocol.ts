/**
 * What is said over the service's Unix socket: one JSON object a line, one answer for each call, in order. The socket's mode
 * (0600) is the permission: who may open it may do everything.
 */
import { join } from 'node:path'

/** Longest line either side accepts. */
export const LINE_BYTES_MAX = 1024 * 1024

/** Longest path a Unix socket can have on Linux, without the zero byte. */
export const SOCKET_PATH_BYTES_MAX = 107

/** A call. */
export type ControlCall =
  | { readonly call: 'status' }
  | { readonly call: 'trigger'; readonly job: string }
  /** Puts a WAL file at `target`, an absolute path the service can write to, and prefetches what follows. */
  | {
      readonly call: 'get-wal'
      readonly cluster: string
      readonly name: string
      readonly target: string
    }

/** An answer. */
export type ControlAnswer =
  | { readonly ok: true; readonly result: unknown }
  | {
      readonly ok: false
      readonly error: { readonly code: string; readonly message: string; readonly hint: string }
    }

/** Where the service that works on a repository listens. */
export function controlSocketOf(repositoryDirectory: string): string {
  return join(repositoryDirectory, '.service.sock')
}
