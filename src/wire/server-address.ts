/**
 * A server's address as the socket layer wants it and as people read it.
 */
import type { ConnectionOptions } from './connection-options.ts'

type LabelledAddress = Pick<ConnectionOptions, 'host' | 'port' | 'label'>

/** Whether `host` is the directory of a Unix socket. */
export function isSocketDirectory(host: string): boolean {
  return host.startsWith('/')
}

/** The socket file that a server with this directory and port listens on. */
export function socketPath(address: LabelledAddress): string {
  return `${address.host.replace(/\/+$/, '')}/.s.PGSQL.${address.port}`
}

/** `db1:5432`, `[::1]:5432` or the path of the Unix socket; the label where there is one. */
export function describeServer(address: LabelledAddress): string {
  if (address.label !== undefined) return address.label
  if (isSocketDirectory(address.host)) return socketPath(address)
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`
}
