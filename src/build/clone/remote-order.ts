/**
 * What the operator's Backstay and the one on the standby's machine say to each other. There: the
 * order as one line of JSON, then an empty line every few seconds as long as the operator is there.
 * Back: lines of JSON with the progress. Both are the same version.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { readJson } from '../../util/read-json.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import type { StandbyOrder } from './make-standby.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** The order as it travels. Holds a secret: only for standard input. */
export interface RemoteOrder {
  /** What people call the machine: in messages. */
  readonly machine: string
  readonly wanted: ClusterWanted
  readonly server: string
  readonly primary: string
  readonly owner: string
  /** Of the replication role. */
  readonly password: string
}

/** How far the clone is. */
export interface RemoteProgress {
  readonly doneBytes: number
  readonly totalBytes?: number | undefined
}

/** Reads an order. @throws USAGE when the line is none */
export function parseRemoteOrder(line: string): RemoteOrder & { readonly clone: StandbyOrder } {
  const order = readObject(line) as RemoteOrder | undefined
  const names = order?.wanted?.servers?.map(({ name }) => name) ?? []
  if (order === undefined || !names.includes(order.server) || !names.includes(order.primary)) {
    throw new BackstayError('USAGE', 'Cannot clone: standard input holds no order', {
      hint: 'This command is started by `backstay up` on another machine; it is not for people.',
    })
  }
  const { wanted, owner } = order
  const server = wantedServer(wanted, order.server)
  const primary = wantedServer(wanted, order.primary)
  return { ...order, clone: { wanted, server, primary, owner } }
}

/** Reads a line of progress; undefined for every other line. */
export function parseProgress(line: string): RemoteProgress | undefined {
  const { doneBytes, totalBytes } = (readObject(line) ?? {}) as Partial<RemoteProgress>
  if (typeof doneBytes !== 'number') return undefined
  return { doneBytes, totalBytes: typeof totalBytes === 'number' ? totalBytes : undefined }
}

function readObject(line: string): unknown {
  const value = readJson(line)
  return typeof value === 'object' ? (value ?? undefined) : undefined
}
