/**
 * The demo's cluster file: a primary, a hot standby and the backup server, all on this machine.
 */
import { join } from 'node:path'
import { stringify } from 'yaml'

/** What differs from one demo to another. */
export interface DemoCluster {
  readonly directory: string
  readonly major: number
  readonly osUser: string
  /** The primary's port; the standby has the next one. */
  readonly port: number
  readonly socketDirectory: string
  /** Directory with initdb, pg_ctl and postgres. */
  readonly binaries: string
}

/** Name of the cluster file in the demo's directory. */
export const DEMO_FILE = 'backstay.yaml'

/** Renders the cluster file. */
export function renderDemoFile(demo: DemoCluster): string {
  const server = (role: 'primary' | 'standby', port: number, name: string): object => ({
    role,
    host: '127.0.0.1',
    port,
    directory: join(demo.directory, name),
    socketDirectory: demo.socketDirectory,
  })
  const file = {
    cluster: 'demo',
    postgres: {
      version: demo.major,
      binaries: demo.binaries,
      osUser: demo.osUser,
      parameters: { max_connections: 50, shared_buffers: '64MB' },
    },
    servers: {
      db1: server('primary', demo.port, 'db1'),
      db2: server('standby', demo.port + 1, 'db2'),
    },
    backup: {
      server: 'vault',
      host: '127.0.0.1',
      repository: join(demo.directory, 'repository'),
      schedule: { backup: '0 2 * * *' },
      retention: { window: '14d', minimum: 2 },
    },
  }
  return `# Made by "backstay demo". It is a cluster file like any other: change it, then "backstay plan".\n${stringify(file, { lineWidth: 0 })}`
}
