/**
 * Settings that may not be given as parameters are refused with the key to use or the reason.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problemsOf, read } from './machine.ts'

function fileWith(parameters: string, more = ''): string {
  return `cluster: shop
postgres:
  version: 15
  parameters:
    ${parameters}
servers:
  db1: { role: primary, host: 10.0.0.1 }
  db2: { host: 10.0.0.2 }
backup: { host: 10.0.0.3 }
${more}`
}

const REFUSED: readonly [parameters: string, problem: string][] = [
  ['port: 5433', '5:5 postgres.parameters.port is set through servers.<name>.port'],
  [
    'Data_Directory: /x',
    '5:5 postgres.parameters.Data_Directory is set through servers.<name>.directory',
  ],
  [
    'unix_socket_directories: /tmp',
    '5:30 postgres.parameters.unix_socket_directories must hold servers.db1.socketDirectory, which is "/var/run/postgresql": found "/tmp"',
  ],
  [
    'max_slot_wal_keep_size: 1GB',
    '5:5 postgres.parameters.max_slot_wal_keep_size is set through replication.slotKeep',
  ],
  [
    'synchronous_standby_names: db2',
    '5:5 postgres.parameters.synchronous_standby_names is set through replication.synchronous',
  ],
  ['primary_conninfo: x', '5:5 postgres.parameters.primary_conninfo is written by Backstay'],
  [
    'recovery_target_time: now',
    '5:5 postgres.parameters.recovery_target_time is written by Backstay',
  ],
  ['include: other.conf', '5:5 postgres.parameters.include is written by Backstay'],
  ['wrong-name: 1', '5:5 postgres.parameters.wrong-name is no name of a setting'],
  [
    'work_mem: 4MB\n    Work_Mem: 8MB',
    '6:5 postgres.parameters.Work_Mem stands here twice: case does not count',
  ],
  [
    'wal_level: minimal',
    '5:16 postgres.parameters.wal_level must be replica or logical, standbys need it: found "minimal"',
  ],
  [
    'hot_standby: false',
    '5:18 postgres.parameters.hot_standby must be on, standbys could not be read or checked: found "off"',
  ],
  [
    'fsync: n',
    '5:12 postgres.parameters.fsync must be on, a crash would destroy the data: found "n"',
  ],
  [
    'full_page_writes: off',
    '5:23 postgres.parameters.full_page_writes must be on, a crash could destroy pages, and pg_rewind needs it: found "off"',
  ],
  [
    'max_wal_senders: 3',
    '5:22 postgres.parameters.max_wal_senders must be at least 4 for this cluster: found "3"',
  ],
  [
    'max_replication_slots: 1',
    '5:28 postgres.parameters.max_replication_slots must be at least 2 for this cluster: found "1"',
  ],
  [
    'listen_addresses: localhost',
    '5:23 postgres.parameters.listen_addresses must hold an address that the other machines reach: found "localhost"',
  ],
  [
    'work_mem: [1]',
    '5:15 postgres.parameters.work_mem must be text, a number, true or false: found a list',
  ],
  ['work_mem: "a\\nb"', '5:15 postgres.parameters.work_mem must be one line of text'],
]

for (const [parameters, problem] of REFUSED) {
  test(`the loader refuses ${JSON.stringify(parameters)}`, () => {
    assert.deepEqual(problemsOf(fileWith(parameters)), [problem])
  })
}

test('archive settings are the operator’s own until replication.archive is given', () => {
  const parameters = 'archive_mode: on\n    archive_command: cp %p /archive/%f'
  assert.deepEqual(problemsOf(fileWith(parameters)), [])
  assert.deepEqual(problemsOf(fileWith(parameters, 'replication: { archive: /archive }\n')), [
    '5:19 postgres.parameters.archive_mode is set by replication.archive: found "on"',
    '6:22 postgres.parameters.archive_command is set by replication.archive: found "cp %p /archive/%f"',
  ])
})

test('wal_log_hints may be off only with checksums', () => {
  const file = fileWith('wal_log_hints: off')
  assert.deepEqual(problemsOf(file), [])
  assert.deepEqual(problemsOf(file.replace('version: 15', 'version: 15\n  checksums: false')), [
    '6:20 postgres.parameters.wal_log_hints must be on without checksums, pg_rewind needs one of them: found "off"',
  ])
})

test('a server’s own parameters are judged as well', () => {
  const file = fileWith('work_mem: 4MB').replace(
    '{ host: 10.0.0.2 }',
    '{ host: 10.0.0.2, parameters: { port: 1 } }',
  )
  assert.deepEqual(problemsOf(file), [
    '8:40 servers.db2.parameters.port is set through servers.<name>.port',
  ])
})

test('numbers keep their spelling, booleans become on and off, names become small', () => {
  const file = fileWith(
    'unix_socket_permissions: 0700\n    Random_Page_Cost: 1.10\n    jit: false\n    a.b: "x"',
  )
  assert.deepEqual(read(file).wanted.postgres.parameters, {
    unix_socket_permissions: '0700',
    random_page_cost: '1.10',
    jit: 'off',
    'a.b': 'x',
  })
})

test('a server may have sockets beside the one that Backstay uses', () => {
  const more = 'unix_socket_directories: "/tmp, /var/run/postgresql"'
  assert.equal(
    read(fileWith(more)).wanted.postgres.parameters['unix_socket_directories'],
    '/tmp, /var/run/postgresql',
  )
  const own = fileWith('work_mem: 4MB').replace(
    '{ host: 10.0.0.2 }',
    '{ host: 10.0.0.2, socketDirectory: /run/x, parameters: { unix_socket_directories: "/run/x, /tmp" } }',
  )
  assert.deepEqual(problemsOf(own), [])
})
