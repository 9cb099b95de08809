/**
 * The text of a new cluster file: what `backstay init` was told, with comments that say what else
 * there is.
 */
import { stringify } from 'yaml'
import type { PostgresMajor } from '../postgres/version.ts'

/** A machine with a port of PostgreSQL. */
export interface ServerAddress {
  readonly host: string
  /** Left out: 5432, or the next free one where an earlier server is on the same machine. */
  readonly port?: number | undefined
}

/** What a new cluster file is made of. */
export interface NewCluster {
  readonly cluster: string
  readonly version: PostgresMajor
  readonly primary: ServerAddress
  readonly standbys: readonly ServerAddress[]
  /** The machine of the backup server; left out: no backup part. */
  readonly backupHost?: string | undefined
  readonly repository?: string | undefined
  /** Data directory; several servers of one machine get directories of their own in it. */
  readonly directory?: string | undefined
  /** Where editors find the schema. */
  readonly schemaPath: string
}

const FIRST_PORT = 5432

interface NamedServer {
  readonly name: string
  readonly role: 'primary' | 'standby'
  readonly host: string
  readonly port: number
  readonly directory: string | undefined
}

/** Renders the file. It passes the loader when names, addresses and paths are right. */
export function renderClusterFile(cluster: NewCluster): string {
  return [
    `# yaml-language-server: $schema=${cluster.schemaPath}`,
    `# The cluster as it should be. "backstay plan" shows what "backstay up" would do; "backstay config explain" lists`,
    `# every key with its value and default.`,
    `cluster: ${scalar(cluster.cluster)}`,
    '',
    'postgres:',
    `  version: ${cluster.version}`,
    '  # Settings of every server, as in postgresql.conf:',
    '  parameters:',
    '    max_connections: 100',
    '    shared_buffers: 128MB',
    '  # Lines of pg_hba.conf for your clients, such as "host all all 192.168.100.0/24 scram-sha-256".',
    '  # Those of replication and backup are added by Backstay.',
    '  access: []',
    '',
    '# "role" is what to build at first; after a switchover what is found on the servers counts.',
    'servers:',
    ...nameServers(cluster).flatMap(serverLines),
    ...backupLines(cluster),
    '',
  ].join('\n')
}

function nameServers(cluster: NewCluster): NamedServer[] {
  const addresses = [cluster.primary, ...cluster.standbys]
  const usedPorts = new Set(
    addresses.flatMap(({ host, port }) => (port ? [`${host}:${port}`] : [])),
  )
  return addresses.map(({ host, port }, index) => {
    const name = `db${index + 1}`
    return {
      name,
      role: index === 0 ? 'primary' : 'standby',
      host,
      port: port ?? takeFreePort(host, usedPorts),
      directory: directoryOf(cluster, host, name),
    }
  })
}

function takeFreePort(host: string, usedPorts: Set<string>): number {
  let port = FIRST_PORT
  while (usedPorts.has(`${host}:${port}`)) port += 1
  usedPorts.add(`${host}:${port}`)
  return port
}

function directoryOf(cluster: NewCluster, host: string, name: string): string | undefined {
  const neighbours = [cluster.primary, ...cluster.standbys].filter((other) => other.host === host)
  if (neighbours.length === 1) return cluster.directory
  return `${cluster.directory ?? `/var/lib/postgresql/${cluster.version}/${cluster.cluster}`}/${name}`
}

function serverLines({ name, role, host, port, directory }: NamedServer): string[] {
  return [
    `  ${name}:`,
    `    role: ${role}`,
    `    host: ${scalar(host)}`,
    ...(port === FIRST_PORT ? [] : [`    port: ${port}`]),
    ...(directory === undefined ? [] : [`    directory: ${scalar(directory)}`]),
  ]
}

function backupLines({ backupHost, repository, primary }: NewCluster): string[] {
  if (backupHost === undefined) return []
  return [
    '',
    ...(backupHost === primary.host
      ? [
          '# On the machine of the primary: it helps against mistakes, not against the loss of that machine.',
        ]
      : []),
    'backup:',
    `  host: ${scalar(backupHost)}`,
    `  repository: ${scalar(repository ?? '/var/lib/backstay')}`,
    '  # Minute, hour, day, month, weekday: every night at two.',
    '  schedule: { backup: "0 2 * * *" }',
    '  # Every moment of the last two weeks stays restorable, and at least two backups stay.',
    '  retention: { window: 14d, minimum: 2 }',
  ]
}

function scalar(value: string): string {
  return stringify(value, { lineWidth: 0 }).trimEnd()
}
