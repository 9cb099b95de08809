/**
 * The text of the cluster file of a cluster that was taken over: what is there, spelled out, so
 * that `plan` shows only what is missing.
 */
import { stringify } from 'yaml'
import type { AdoptedCluster, AdoptedServer } from '../cluster/adopted.ts'

const MB = 1024 * 1024
const DEFAULT_PORT = 5432

/** What the operator adds to what was found. */
export interface AdoptedFile {
  readonly cluster: string
  readonly found: AdoptedCluster
  readonly backupHost: string | undefined
  readonly repository: string | undefined
  /** Where editors find the schema. */
  readonly schemaPath: string
}

/** The text of the file: YAML under a line that names its schema. Sizes are in MB, rounded up. */
export function renderAdoptedFile(file: AdoptedFile): string {
  const { cluster, found, backupHost, repository, schemaPath } = file
  const { slotKeepBytes } = found
  const content = {
    cluster,
    postgres: {
      version: found.major,
      superuser: found.superuser,
      checksums: found.hasChecksums,
      segmentSize: megabytes(found.segmentBytes),
      authentication: found.authentication,
      install: false,
      parameters: found.parameters,
    },
    servers: Object.fromEntries(found.servers.map((server) => [server.name, serverOf(server)])),
    replication: {
      keep: megabytes(found.walKeepBytes),
      slotKeep: slotKeepBytes === undefined ? 'unlimited' : megabytes(slotKeepBytes),
    },
    ...(backupHost === undefined
      ? {}
      : { backup: { host: backupHost, ...(repository === undefined ? {} : { repository }) } }),
  }
  return [
    `# yaml-language-server: $schema=${schemaPath}`,
    '# Written by "backstay adopt" from the running servers. "backstay plan" shows what is missing; your own settings and',
    '# access lines stay where they are.',
    stringify(content, { lineWidth: 0 }),
  ].join('\n')
}

function serverOf(server: AdoptedServer): object {
  const { isPrimary, host, port, directory, configFile, hbaFile } = server
  const { socketDirectory, socketDirectories: sockets } = server
  return {
    role: isPrimary ? 'primary' : 'standby',
    host,
    ...(port === DEFAULT_PORT ? {} : { port }),
    directory,
    adopted: true,
    ...(configFile === undefined ? {} : { configFile }),
    ...(hbaFile === undefined ? {} : { hbaFile }),
    ...(socketDirectory === undefined ? {} : { socketDirectory }),
    ...(sockets === undefined ? {} : { parameters: { unix_socket_directories: sockets } }),
  }
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / MB)}MB`
}
