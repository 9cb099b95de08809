/**
 * Readers of text that comes from elsewhere, each with right examples to start from.
 */
import { namesAhead } from '../../src/barman/client/wal-spool.ts'
import { parsePythonLiteral } from '../../src/barman/import/python-literal.ts'
import { parseBarmanBackup } from '../../src/barman/import/barman-backup.ts'
import { connectionOf } from '../../src/barman/server/connections.ts'
import { parseBackupStatus } from '../../src/report/ask-backup-status.ts'
import { parseProgress, parseRemoteOrder } from '../../src/build/clone/remote-order.ts'
import { parseRestoreTold } from '../../src/fleet/restore-order.ts'
import { parseXlogdb } from '../../src/barman/import/xlogdb.ts'
import { interpolate } from '../../src/config/barman/interpolate.ts'
import { decodePlan } from '../../src/fleet/told-plan.ts'
import { readIni } from '../../src/config/barman/ini.ts'
import { readCluster } from '../../src/config/read.ts'
import { printable } from '../../src/errors/printable.ts'
import { redact } from '../../src/errors/redact.ts'
import { readErrorJson } from '../../src/errors/render.ts'
import { parseHostKey } from '../../src/host/host-key.ts'
import { splitNames } from '../../src/host/read-limit.ts'
import { hostKeyProblem, sshError, sudoError } from '../../src/host/ssh-error.ts'
import { parseReply, remotePid } from '../../src/host/ssh-reply.ts'
import { parseInspect } from '../../src/host/shell-files.ts'
import { parseBackupLabel } from '../../src/postgres/backup-label.ts'
import { scanConf } from '../../src/postgres/conf-scanner.ts'
import { formatConninfo, parseConninfo } from '../../src/postgres/conninfo.ts'
import { findHbaProblems, parseHba } from '../../src/postgres/hba-file.ts'
import { lookupPassword, upsertPassfileLine } from '../../src/postgres/passfile.ts'
import { parseTablespaceMap } from '../../src/postgres/tablespace-map.ts'
import { parseTimelineHistory } from '../../src/postgres/timeline.ts'
import { readAnswer, readCall } from '../../src/service/control-protocol.ts'
import { parseGateRequest } from '../../src/service/gate-request.ts'
import { MACHINE } from '../unit/config/machine.ts'
import type { Target } from './target.ts'

const LABEL = `START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
CHECKPOINT LOCATION: 0/2000060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-28 10:00:00 UTC
LABEL: nightly
START TIMELINE: 1
`
const YAML = `cluster: shop
postgres: { version: 15, parameters: { max_connections: 50 } }
servers:
  db1: { role: primary, host: 10.0.0.1 }
  db2: { host: 10.0.0.2, tablespaces: { /a: /b } }
backup: { host: 10.0.0.3, retention: { window: 14d } }
`
const INFO = `backup_label='START WAL LOCATION: 0/2000028\\n'
begin_time=2026-11-28 10:00:00.000000+00:00
begin_wal=000000010000000000000002
begin_xlog=0/2000028
end_wal=000000010000000000000002
end_xlog=0/2000138
status=DONE
tablespaces=[['ts', 16385, '/srv/ts']]
timeline=1
version=150018
xlog_segment_size=16777216
`
const SSH_TARGET = { host: 'db1', address: '10.0.0.1', began: false, shownHostKey: undefined }
const source = { file: 'backstay.yaml', directory: '/etc/shop', machine: MACHINE }
const place = { id: '20261128T100000', directory: '/barman/base/x', keep: undefined }

/** Each takes the text; throws what it may throw. */
export const TEXTS: readonly Target[] = [
  text('conf', ["a = 'it''s'\nshared_buffers 128MB # x\ninclude 'b'\n"], scanConf),
  text('hba', ['host all "a b",c 10.0.0.0/8 scram-sha-256 x=1\nlocal all all peer\n'], (t) => [
    parseHba(t, 18),
    findHbaProblems(t.split('\n'), 18),
  ]),
  text(
    'conninfo',
    [
      "host=a port=1 password='it\\'s' sslmode=require",
      'postgresql://u:p@h:1,g/db?sslmode=require',
    ],
    (t) => formatConninfo(parseConninfo(t)),
  ),
  text(
    'barman conninfo',
    ['host=a require_auth=!none,!md5 sslmode=verify-full sslrootcert=/r'],
    (t) => connectionOf(t, {}),
  ),
  text('passfile', ['a\\:b:1:*:u:secret\n# x\nh:*:replication:u:p\n'], (t) => [
    lookupPassword(t, { host: 'a:b', port: 1, database: 'd', user: 'u' }),
    upsertPassfileLine(t, { host: 'a', user: 'u', password: 'p' }),
  ]),
  text('history', ['1\t0/3000000\tno recovery target specified\n2\t0/5000000\tx\n'], (t) =>
    parseTimelineHistory(3, t),
  ),
  text('backup_label', [LABEL], parseBackupLabel),
  text('tablespace_map', ['16385 /srv/ts\n16386 /a\\\nb\n'], (t) => parseTablespaceMap(t)),
  text('cluster file', [YAML], (t) => readCluster(t, source)),
  text('barman.conf', ['[shop]\nconninfo = host=a\n  dbname=b\n; x\n[x]\na: 1\n'], (t) =>
    readIni(t, 'x', new Map()),
  ),
  text('python literal', ["[('a', 1, None), {'b': True}]", '"x\\u0041\\n"'], parsePythonLiteral),
  text('backup.info', [INFO], (t) => parseBarmanBackup(t, place)),
  text('names of a Barman host', ['000000010000000000000003\n000000010000000000000004\n'], (t) =>
    namesAhead(t, '000000010000000000000003', 8),
  ),
  text('gate request', ['wal push 000000010000000000000001 16777216', 'hello'], parseGateRequest),
  text(
    'call of the service',
    [
      '{"call":"get-wal","cluster":"shop","name":"00000002.history","target":"/a"}',
      '{"call":"status"}',
    ],
    readCall,
  ),
  text(
    'answer of the service',
    [
      '{"ok":true,"result":{"a":[1]}}',
      '{"ok":false,"error":{"code":"BUG","message":"m","hint":"h"}}',
    ],
    readAnswer,
  ),
  text('remote order', ['{"server":"a","primary":"b","wanted":{"servers":[]}}'], (t) => [
    parseProgress(t),
    parseRemoteOrder(t),
  ]),
  text(
    'what a restore elsewhere tells',
    [
      '{"told":"progress","bytes":5}',
      '{"told":"plan","plan":"{}","osUser":"u","bytesToWrite":1,"warnings":["w"]}',
    ],
    (t) => [parseRestoreTold(t), decodePlan(t)],
  ),
  text(
    'status of a repository elsewhere',
    ['{"server":"b","problems":["p"],"lastBackup":{"id":"i","endedAt":"e","status":"done"}}'],
    parseBackupStatus,
  ),
  text('host key', ['|1|5pHo=|vDpz= ssh-ed25519 AAAAC3Nz\n'], parseHostKey),
  text(
    'error of a Backstay elsewhere',
    ['{"error":{"code":"FAILED","message":"m","hint":"h"}}'],
    (t) => readErrorJson(t),
  ),
  text('ssh reply', ['x\nabc pid 12\nout\nabc exit 0\n'], (t) => [
    parseReply(t, 'abc'),
    remotePid(t, 'abc'),
  ]),
  text(
    'words of ssh',
    [
      'No ED25519 host key is known for db1\nHost key verification failed.\n',
      'Received disconnect from 10.0.0.1 port 22:11: bye\nOffending ED25519 key in /x:1\n',
    ],
    (t) => [hostKeyProblem(t), sshError(SSH_TARGET, t), sudoError('db1', t)],
  ),
  text("Barman's references", ['%(b)s and 100%%', '%(a)s%(b)s'], (t) =>
    interpolate(t, (name) => ({ a: '%(b)s%(b)s', b: t })[name], 'a place'),
  ),
  text('xlog.db', ['000000010000000000000003\t16777216\t1.0\tcustom\tNone\n'], (t) =>
    parseXlogdb(Buffer.from(t), { has: (name) => name.endsWith('3') }, 'xlog.db'),
  ),
  text('names in a directory', ['fa\0db c\0'], (t) => splitNames('/d', Buffer.from(t))),
  text('inspect reply', ['81a4 12 0 root 1.5\n', 'a1ff 1 0 UNKNOWN 1\n/target'], parseInspect),
  text(
    'redaction',
    ['postgres://u:secret@h/d password=\'s\' "password": "x" PASSWORD $$x$$ SCRAM-SHA-256$1:a'],
    (t) => printable(redact(t)),
  ),
]

function text(name: string, examples: readonly string[], read: (input: string) => unknown): Target {
  const words = examples.flatMap((example) => example.split(/(?<=\W)|(?=\W)/)).filter(Boolean)
  return {
    name,
    seeds: examples.map((example) => Buffer.from(example)),
    words: [...new Set(words)],
    read: (input) => read(input.toString()),
  }
}
