/**
 * What a database server may ask of the gate to the repository, in a grammar of its own: whatever
 * ssh brings is words here, never shell (docs/adr/0044).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { parseWalFileName } from '../postgres/segment-name.ts'

/** A request that is in the grammar: nothing else gets through the gate. */
export type GateRequest =
  | { readonly request: 'hello' }
  /** Reads of the repository follow, framed (src/store/pipe-frames.ts). */
  | { readonly request: 'read' }
  /** The content follows on standard input, exactly `sizeBytes` of it. */
  | { readonly request: 'push'; readonly name: string; readonly sizeBytes: number }
  /** The content goes to standard output. */
  | { readonly request: 'get'; readonly name: string }

/** No WAL segment is larger. */
const SIZE_MAX = 1024 ** 3
const SHOWN = 80

/**
 * Reads SSH_ORIGINAL_COMMAND.
 * @throws {BackstayError} HOST_PRIVILEGE for everything that is not in the grammar
 */
export function parseGateRequest(text: string | undefined): GateRequest {
  if (text === 'hello' || text === 'read') return { request: text }
  const push = /^wal push ([0-9A-Za-z.]{1,64})\s+([0-9]{1,10})$/.exec(text ?? '')
  if (push !== null && isWalFile(push[1]) && Number(push[2]) <= SIZE_MAX) {
    return { request: 'push', name: push[1], sizeBytes: Number(push[2]) }
  }
  const get = /^wal get ([0-9A-Za-z.]{1,64})$/.exec(text ?? '')
  if (get !== null && isWalFile(get[1])) return { request: 'get', name: get[1] }
  throw new BackstayError('HOST_PRIVILEGE', `This key may not ask for ${shown(text)}`, {
    hint: 'It may only: hello, read, wal push NAME SIZE, wal get NAME.',
  })
}

function isWalFile(name: string | undefined): name is string {
  return name !== undefined && parseWalFileName(name) !== undefined
}

/** It stands in logs: nothing in it may look like another line. */
function shown(text: string | undefined): string {
  return text === undefined ? 'a shell' : JSON.stringify(text.slice(0, SHOWN))
}
