/**
 * The cluster file of the how-to's three servers.
 */

/** What a test changes of it. */
export interface ClusterFileOptions {
  /** Data directory of both servers; Backstay's choice when left out. */
  readonly directory?: string
  /** Lines below `ssh:` beside the configuration file. */
  readonly ssh?: readonly string[]
  /** Whole sections at the end. */
  readonly more?: string
}

/** db1 at .10, db2 at .11, the backup server at .12; PostgreSQL 15, as the distribution of the hosts has it. */
export function threeServers({ directory, ssh = [], more = '' }: ClusterFileOptions = {}): string {
  const place = directory === undefined ? '' : `, directory: ${directory}`
  return `cluster: shop
ssh:
  config: ssh_config
${ssh.map((line) => `  ${line}\n`).join('')}postgres:
  version: 15
  parameters: { max_connections: 50, shared_buffers: 32MB }
  access: [ "host all all 192.168.100.0/24 scram-sha-256" ]
servers:
  db1: { role: primary, host: 192.168.100.10${place} }
  db2: { role: standby, host: 192.168.100.11${place} }
backup:
  server: vault
  host: 192.168.100.12
  retention: { window: 14d, minimum: 2 }
${more}`
}
