/**
 * Every problem of a cluster file is named with its place, all of them at once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { problemsOf, read } from './machine.ts'

/** A file without problems; each test breaks it somewhere. Line numbers count from `cluster`. */
const GOOD = `cluster: shop
postgres:
  version: 15
servers:
  db1: { role: primary, host: 10.0.0.1 }
  db2: { host: 10.0.0.2 }
backup:
  host: 10.0.0.3
`

/** One broken file a row: what was changed, into what, and the problems it must have. */
const BROKEN: readonly [claim: string, from: string, to: string, problems: readonly string[]][] = [
  [
    'a cluster with a word of Barman’s as its name, and Barman’s seat',
    GOOD,
    GOOD.replace('shop', 'all').replace('backup:\n', 'backup:\n  barman: true\n'),
    ['1:10 cluster cannot be "all" with "barman: true": that is a word of Barman\'s own'],
  ],
  [
    'a backup that may read nothing',
    'backup:\n  host: 10.0.0.3',
    'backup:\n  rateLimit: 0\n  host: 10.0.0.3',
    ['8:14 backup.rateLimit must be more than 0; leave it out for no limit'],
  ],
  [
    'an unknown key, with the one that was meant',
    'backup:\n  host: 10.0.0.3',
    'backup:\n  host: 10.0.0.3\n  repositry: /x',
    ['9:3 backup.repositry is no key of the cluster file: did you mean "repository"?'],
  ],
  [
    'an unknown key that resembles none',
    'cluster: shop',
    'cluster: shop\nwhatsoever: 1',
    ['2:1 whatsoever is no key of the cluster file'],
  ],
  [
    'a number where text is wanted',
    'host: 10.0.0.3',
    'host: 7',
    ['8:9 backup.host must be text: found 7'],
  ],
  [
    'text where a map is wanted',
    'backup:\n  host: 10.0.0.3',
    'backup: yes please',
    ['7:9 backup must be a map of keys: found text "yes please"'],
  ],
  [
    'a list where text is wanted',
    'cluster: shop',
    'cluster: [shop]',
    ['1:10 cluster must be text: found a list'],
  ],
  [
    'a key without value',
    'host: 10.0.0.3',
    'host:',
    ['8:8 backup.host has no value: give it one or take the key out'],
  ],
  [
    'certificates that are to be checked with nothing',
    'servers:',
    'ssl: { mode: verify-full }\nservers:',
    ['4:14 ssl.mode says verify-full: give rootCert, the file to check certificates with'],
  ],
  [
    'a certificate without its key, at a path that holds nowhere',
    'servers:',
    'ssl: { cert: certs/c.crt }\nservers:',
    [
      '4:14 ssl.cert must start with "/", for it holds on every machine: found "certs/c.crt"',
      '4:14 ssl.cert needs its key: give key too',
    ],
  ],
  [
    "the system's certificates where standbys do not know them",
    'servers:',
    'ssl: { mode: require, rootCert: system }\nservers:',
    [
      '4:33 ssl.rootCert says system: standbys know that from PostgreSQL 16 on; name a file',
      '4:33 ssl.rootCert says system: that needs mode: verify-full',
    ],
  ],
  [
    'TLS that the servers turn off',
    'version: 15\n',
    'version: 15\n  parameters: { ssl: off }\nssl: {}\n',
    ['5:1 ssl.mode says require, and postgres.parameters turn ssl off: set ssl: on there'],
  ],
  [
    'a missing host',
    '{ host: 10.0.0.2 }',
    '{ role: standby }',
    ['6:3 servers.db2.host is missing'],
  ],
  ['a missing version', 'version: 15', 'superuser: x', ['2:1 postgres.version is missing']],
  ['a missing part', 'postgres:\n  version: 15\n', '', ['1:1 postgres is missing']],
  [
    'a version that is not supported',
    'version: 15',
    'version: 10',
    ['3:12 postgres.version must be a major version from 11 to 18: found 10'],
  ],
  [
    'a version in quotes',
    'version: 15',
    'version: "15"',
    ['3:12 postgres.version must be a major version from 11 to 18: found text "15"'],
  ],
  [
    'a role that is none',
    'role: primary',
    'role: master',
    ['5:16 servers.db1.role must be primary or standby: found text "master"'],
  ],
  [
    'no primary',
    'role: primary, ',
    '',
    ['4:1 servers has no primary: give one server "role: primary"'],
  ],
  [
    'a second primary',
    '{ host: 10.0.0.2 }',
    '{ role: primary, host: 10.0.0.2 }',
    ['6:16 servers.db2.role makes a second primary: "db1" is one already'],
  ],
  [
    'the same server twice',
    '  db2: {',
    '  db1: { host: 10.0.0.4 }\n  db2: {',
    [
      '6:3 "db1" stands here a second time',
      '4:1 servers has no primary: give one server "role: primary"',
    ],
  ],
  [
    'the name of a server',
    'db2:',
    'Db-2:',
    [
      '6:3 servers.Db-2 must start with a small letter and have at most 40 small letters, digits, "-" or "_"',
    ],
  ],
  [
    'two servers that would share a slot',
    '  db2: {',
    '  db-x: { host: 10.0.0.4 }\n  db_x: {',
    ['7:3 servers.db_x would share the replication slot "backstay_db_x" with "db-x": rename one'],
  ],
  [
    'two servers on one port and in one directory',
    'host: 10.0.0.2',
    'host: 10.0.0.1',
    [
      '6:3 servers.db2.port is taken: "db1" listens on 10.0.0.1:5432 already',
      '6:3 servers.db2.directory is taken: "db1" has "/var/lib/postgresql/15/shop" on 10.0.0.1 already',
    ],
  ],
  [
    'two servers on one port of this machine, under two of its names',
    'host: 10.0.0.1 }\n  db2: { host: 10.0.0.2 }',
    'host: localhost }\n  db2: { host: 127.0.0.1, directory: /data }',
    ['6:3 servers.db2.port is taken: "db1" listens on localhost:5432 already'],
  ],
  [
    'a port out of range',
    '{ host: 10.0.0.2 }',
    '{ host: 10.0.0.2, port: 70000 }',
    ['6:32 servers.db2.port must be between 1 and 65535: found 70000'],
  ],
  [
    'a path from home',
    '{ host: 10.0.0.2 }',
    '{ host: 10.0.0.2, directory: ~/data }',
    ['6:37 servers.db2.directory "~" is not expanded: write the path in full'],
  ],
  [
    'a relative path on another machine',
    '{ host: 10.0.0.2 }',
    '{ host: 10.0.0.2, directory: data }',
    ['6:37 servers.db2.directory must start with "/" on another machine: found "data"'],
  ],
  [
    'a socket directory that is too long',
    '{ host: 10.0.0.2 }',
    `{ host: 10.0.0.2, socketDirectory: /${'x'.repeat(95)} }`,
    [
      `6:43 servers.db2.socketDirectory is too long for a socket: "/${'x'.repeat(95)}" may have 92 bytes`,
    ],
  ],
  [
    'a cron expression with too few fields',
    'host: 10.0.0.3',
    'host: 10.0.0.3\n  schedule: { backup: "0 2 * *" }',
    [
      '9:23 backup.schedule.backup "0 2 * *" is not a cron expression: it has 4 fields, wanted are 5 (minute hour day month weekday)',
    ],
  ],
  [
    'a cron expression with a wrong minute',
    'host: 10.0.0.3',
    'host: 10.0.0.3\n  schedule: { backup: "61 2 * * *" }',
    [
      '9:23 backup.schedule.backup "61 2 * * *" is not a cron expression: Invalid value for minute: 61',
    ],
  ],
  [
    'a cron expression for a day that never comes',
    'host: 10.0.0.3',
    'host: 10.0.0.3\n  schedule: { verify: "0 0 31 2 *" }',
    ['9:23 backup.schedule.verify "0 0 31 2 *" is not a cron expression: that moment never comes'],
  ],
  [
    'a duration without unit',
    'host: 10.0.0.3',
    'host: 10.0.0.3\n  retention: { window: 14 }',
    ['9:24 backup.retention.window must be a duration with its unit, such as "14d": found 14'],
  ],
  [
    'a duration with an unknown unit',
    'host: 10.0.0.3',
    'host: 10.0.0.3\n  retention: { window: 14 days }',
    [
      '9:24 backup.retention.window "14 days" is not a duration: write a number with s, m, h, d or w, such as "14d"',
    ],
  ],
  [
    'a size that is none',
    'version: 15',
    'version: 15\n  segmentSize: big',
    [
      '4:16 postgres.segmentSize "big" is not a size: write a number with kB, MB, GB or TB, such as "64MB"',
    ],
  ],
  [
    'a segment size PostgreSQL does not have',
    'version: 15',
    'version: 15\n  segmentSize: 24MB',
    ['4:16 postgres.segmentSize must be a power of two from 1MB to 1GB'],
  ],
  [
    'a pg_hba.conf line',
    'version: 15',
    'version: 15\n  access:\n    - local all all peer\n    - hots all all samenet md5',
    [
      '6:7 postgres.access.1 is no pg_hba.conf line (type): type "hots" is none of local, host, hostssl, hostnossl, hostgssenc, hostnogssenc',
    ],
  ],
  [
    'more confirmations than standbys',
    'backup:',
    'replication: { synchronous: { standbys: 2 } }\nbackup:',
    [
      '7:41 replication.synchronous.standbys asks for 2 confirmations: only 1 can confirm, so every commit would wait for ever',
    ],
  ],
  [
    'a data directory, a socket and an archive among what root runs or obeys',
    'host: 10.0.0.2 }\nbackup:',
    'host: 10.0.0.2, directory: /opt/backstay, socketDirectory: /var/run/../run }\nreplication: { archive: /usr/local/bin/wal }\nbackup:',
    [
      '6:37 servers.db2.directory must have nothing to do with "/opt/backstay", from which root runs or obeys what it finds: found "/opt/backstay"',
      '6:69 servers.db2.socketDirectory must have nothing to do with "/run/backstay-permits", from which root runs or obeys what it finds: found "/var/run/../run"',
      '7:25 replication.archive must have nothing to do with "/usr/local/bin", from which root runs or obeys what it finds: found "/usr/local/bin/wal"',
    ],
  ],
  [
    'roots of tablespaces and a repository around what root runs or obeys',
    'version: 15',
    'version: 15\n  tablespaceRoots: [/opt]',
    [
      '4:21 postgres.tablespaceRoots.0 must have nothing to do with "/opt/backstay", from which root runs or obeys what it finds: found "/opt"',
    ],
  ],
  [
    'a backup server nobody knows',
    'host: 10.0.0.3',
    'server: db3',
    ['8:11 backup.server must name one of the servers, or "host" must be given: found "db3"'],
  ],
  [
    'a backup server with another host than its server',
    'host: 10.0.0.3',
    'host: 10.0.0.3\n  server: db2',
    ['8:9 backup.host must be left out: "db2" is one of the servers, on 10.0.0.2'],
  ],
  [
    'a repository inside a data directory',
    'host: 10.0.0.3',
    'server: db1\n  repository: /var/lib/postgresql/15/shop/backups',
    [
      '9:15 backup.repository and the data directory of "db1" must lie apart: found "/var/lib/postgresql/15/shop/backups" and "/var/lib/postgresql/15/shop"',
    ],
  ],
]

test('a file without problems has none', () => {
  assert.deepEqual(problemsOf(GOOD), [])
})

for (const [claim, from, to, problems] of BROKEN) {
  test(`the loader names ${claim}`, () => {
    assert.ok(GOOD.includes(from), 'the test changes something')
    assert.deepEqual(problemsOf(GOOD.replace(from, to)).sort(), [...problems].sort())
  })
}

test('all problems are reported at once, in the order of the file, those between keys included', () => {
  const text = `cluster: Shop
postgres:
  version: 15
  segmentSize: 2x
  parameters: { wal_level: minimal }
servers:
  db1: { role: primary, host: 10.0.0.1 }
  db2: { role: primary, host: 10.0.0.1, port: 5433, directory: /x }
  db3: { host: }
backup: { host: 10.0.0.3, color: red }
`
  assert.deepEqual(problemsOf(text), [
    '1:10 cluster must start with a small letter and have at most 40 small letters, digits, "-" or "_": found text "Shop"',
    '4:16 postgres.segmentSize "2x" is not a size: write a number with kB, MB, GB or TB, such as "64MB"',
    '5:28 postgres.parameters.wal_level must be replica or logical, standbys need it: found "minimal"',
    '8:16 servers.db2.role makes a second primary: "db1" is one already',
    '9:16 servers.db3.host has no value: give it one or take the key out',
    '10:27 backup.color is no key of the cluster file',
  ])
})

test('a wrong server does not make the others look wrong', () => {
  const text = GOOD.replace('role: primary, host: 10.0.0.1', 'role: primary, port: x')
  assert.deepEqual(problemsOf(text), [
    '5:3 servers.db1.host is missing',
    '5:31 servers.db1.port must be a port number: found text "x"',
  ])
})

test('a file that is no YAML is reported where YAML stops to understand it', () => {
  const problems = problemsOf('cluster: shop\nservers: [\n')
  assert.equal(problems.length, 1)
  assert.match(problems[0] ?? '', /^3:1 /)
})

test('an empty file and a file of something else are reported', () => {
  assert.deepEqual(problemsOf(''), ['1:1 the file is empty'])
  assert.deepEqual(problemsOf('- a\n'), ['1:1 the file must be a map of keys: found a list'])
})

test('the error text holds every problem as file:line:col, and its details hold them as data', () => {
  assert.throws(
    () => read(GOOD.replace('shop', '7').replace('version: 15', 'version: 99')),
    (error) =>
      isBackstayError(error, 'CONFIG_INVALID') &&
      error.message ===
        'Cannot use "backstay.yaml": 2 problems\n' +
          '  backstay.yaml:1:10 cluster must be text: found 7\n' +
          '  backstay.yaml:3:12 postgres.version must be a major version from 11 to 18: found 99' &&
      error.exitCode === 2,
  )
})

test('a host or address is one word that says nothing else in pg_hba.conf, conninfo or to ssh', () => {
  const text = (host: string, address: string) =>
    `cluster: shop\npostgres: { version: 18 }\nservers: { db1: { role: primary, host: ${JSON.stringify(host)}, address: ${JSON.stringify(address)} } }\n`
  for (const good of ['db1', '10.0.0.9', 'db-1.example.com', '::1', 'fe80::1%eth0', 'DB_1', 'x.']) {
    assert.doesNotThrow(() => read(text(good, good)), good)
  }
  const hostile = [
    '10.0.0.9/0 trust #',
    'a b',
    '-oProxyCommand=id',
    "a' b",
    'a\tb',
    'a#b',
    'a,b',
    '',
  ]
  for (const bad of hostile) {
    for (const [host, address] of [
      [bad, 'db1'],
      ['db1', bad],
    ] as const) {
      assert.throws(() => read(text(host, address)), { code: 'CONFIG_INVALID' }, bad)
    }
  }
})
