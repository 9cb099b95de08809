/**
 * Commands about WAL.
 */
import type { BarmanCommandSpec } from './spec.ts'

const SERVER = '<server_name>'

/** The commands about WAL files, the ones with which a passive server follows included. */
export const WAL_COMMANDS: readonly BarmanCommandSpec[] = [
  {
    name: 'archive-wal',
    help: 'Store the WAL files that wait in the incoming directory',
    arguments: [SERVER],
    load: () => import('../actions/archive-wal.ts'),
  },
  {
    name: 'get-wal',
    help: 'Write a WAL file to standard output, or into a directory',
    arguments: [SERVER, '<wal_name>'],
    options: [
      { flags: '-o, --output-directory <DIR>', help: 'put the file into this directory' },
      { flags: '-P, --partial', help: 'give unfinished segments as well' },
      { flags: '-z, --gzip', help: 'compress with gzip' },
      { flags: '-x', help: 'the same as --gzip' },
      { flags: '-j, --bzip2', help: 'compress with bzip2' },
      { flags: '--keep-compression', help: 'give the file as it is stored: zstd' },
      {
        flags: '-p, --peek <SIZE>',
        help: 'list up to SIZE names that are held from here on',
        kind: 'positive',
      },
      { flags: '-t, --test', help: 'only say whether WAL can be fetched' },
    ],
    load: () => import('../actions/get-wal.ts'),
  },
  {
    name: 'put-wal',
    help: 'Store the WAL files that come as a tar stream on standard input',
    arguments: [SERVER],
    options: [{ flags: '-t, --test', help: 'only say whether WAL would be taken' }],
    load: () => import('../actions/put-wal.ts'),
  },
  {
    name: 'rebuild-xlogdb',
    help: 'Nothing to do here: says why',
    arguments: ['<server_name...>'],
    load: async () => (await import('../actions/nothing-to-do.ts')).rebuildXlogdb,
  },
  {
    name: 'sync-info',
    help: 'Say what of a server is here, for a passive Barman',
    arguments: [SERVER, '[last_wal]', '[last_position]'],
    options: [{ flags: '--primary', help: 'ask the primary of a passive server' }],
    load: () => import('../actions/sync-info.ts'),
  },
  {
    name: 'sync-serve',
    isHidden: true,
    help: 'Let a passive Backstay read what of a server is here, through standard input and output',
    arguments: [SERVER],
    load: () => import('../actions/sync-serve.ts'),
  },
  {
    name: 'sync-wals',
    stopsInOrder: true,
    help: 'Copy WAL of a passive server from its primary',
    arguments: [SERVER],
    load: () => import('../actions/sync-wals.ts'),
  },
]
