import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { redact } from '../../../src/errors/redact.ts'
import { formatConfLine } from '../../../src/postgres/conf-file.ts'
import { formatConninfo } from '../../../src/postgres/conninfo.ts'

/** Every text here holds a secret with this in it, or parts of it: none of them may survive. */
const MARK = /s3cret|hunter|tail/

/** Shapes of a secret that is one word, as commands, settings, headers and addresses hold them. */
const SHAPES: Readonly<Record<string, (secret: string) => string>> = {
  'curl -u': (x) => `curl -u anna:${x} https://h/`,
  'curl -u quoted': (x) => `curl -u "anna:${x}" https://h/`,
  'curl -uuser': (x) => `curl -uanna:${x} https://h/`,
  'curl --user=': (x) => `curl --user=anna:${x} https://h/`,
  'curl --proxy-user': (x) => `curl --proxy-user anna:${x} https://h/`,
  bearer: (x) => `Authorization: Bearer ${x}`,
  'bearer in a header option': (x) => `curl -H 'Authorization: Bearer ${x}' https://h/`,
  basic: (x) => `authorization: Basic ${x}`,
  'authorization without a scheme': (x) => `Authorization: ${x}`,
  'authorization in JSON': (x) => `{"Authorization": "Bearer ${x}"}`,
  'proxy-authorization': (x) => `Proxy-Authorization: Basic ${x}`,
  cookie: (x) => `Cookie: session=${x}`,
  'x-api-key': (x) => `curl -H "X-Api-Key: ${x}" h`,
  'x-vault-token': (x) => `X-Vault-Token: ${x}`,
  'sshpass -p': (x) => `sshpass -p ${x} ssh db1`,
  'sshpass -p without a blank': (x) => `sshpass -p${x} ssh db1`,
  '--secret-key': (x) => `push --secret-key ${x} %p`,
  '--secret-key=': (x) => `push --secret-key=${x} %p`,
  '--access-key=': (x) => `push --access-key=${x} %p`,
  '--aws-secret-access-key': (x) => `push --aws-secret-access-key ${x} %p`,
  '--private-key': (x) => `push --private-key ${x} %p`,
  '--api-key': (x) => `push --api-key ${x} %p`,
  '--credentials': (x) => `push --credentials ${x} %p`,
  'PGPASSWORD without =': (x) => `SetEnv PGPASSWORD ${x}`,
  'PGPASSWORD without = quoted': (x) => `ENV PGPASSWORD "${x}"`,
  'a variable without =': (x) => `setenv AWS_SECRET_ACCESS_KEY ${x}`,
  'ssl_passphrase_command without =': (x) => `ssl_passphrase_command 'echo ${x}'`,
  private_key: (x) => `private_key=${x}`,
  'private_key in JSON': (x) => `{"private_key":"${x}"}`,
  'private_key in YAML': (x) => `private_key: ${x}`,
  AccountKey: (x) => `AccountName=a;AccountKey=${x};EndpointSuffix=core`,
  SharedAccessKey: (x) => `SharedAccessKeyName=a;SharedAccessKey=${x}`,
  'pwd=': (x) => `Server=h;Uid=anna;Pwd=${x};`,
  'pg_tde.key': (x) => `pg_tde.key = '${x}'`,
  'pg_tde.principal_key': (x) => `pg_tde.principal_key = ${x}`,
  'password in YAML': (x) => `password: ${x}`,
  'PGPASSWORD in YAML': (x) => `env: { PGPASSWORD: ${x}, A: b }`,
  'pw=': (x) => `user=anna pw=${x}`,
  'a hash in Ruby': (x) => `:password => "${x}"`,
  'a hash without quotes': (x) => `password => ${x},`,
  credentials: (x) => `credentials=${x}`,
  secret_id: (x) => `role_id=a secret_id=${x}`,
  'X-Amz-Signature': (x) => `https://s3/x?X-Amz-Credential=a&X-Amz-Signature=${x}&X-Amz-Date=1`,
  'X-Amz-Security-Token': (x) => `https://s3/x?X-Amz-Security-Token=${x}`,
  'Azure sig': (x) => `https://blob/x?sv=1&sig=${x}`,
  'https with a password': (x) => `https://anna:${x}@h/`,
  'a scheme of no kind': (x) => `git+x.y-z://anna:${x}@h/`,
  'redis without a name': (x) => `redis://:${x}@h:6379/0`,
  'amqp in capitals': (x) => `AMQPS://anna:${x}@h`,
  'a key in PEM': (x) => `-----BEGIN RSA PRIVATE KEY-----\n${x}\n-----END RSA PRIVATE KEY-----`,
  'a key in PEM cut off': (x) => `-----BEGIN PRIVATE KEY-----\n${x} -----END PRIVATE KEY-----`,
}

suite('redaction', () => {
  for (const text of [
    'postgres://anna:s3cret@db1/shop',
    'postgresql://anna:s3c/ret:hunter@db1:5432/shop?sslmode=require',
    'postgresql://anna:s3cret@tail@db1/shop',
    'https://user:s3cret@host/x and ftp://u:hunter@h',
    'postgresql://db1/shop?user=anna&password=s3cret&sslmode=require',
    'host=db1 password=s3cret user=anna',
    'password = s3cret',
    "password='s3cret hunter' user=anna",
    String.raw`password='s3cret\'s tail' user=anna`,
    String.raw`password=s3cret\ tail user=anna`,
    'password=s3cret,tail;tail user=anna',
    "password='s3cret tail",
    String.raw`primary_conninfo = 'host=a password=''s3cret tail'' user=b'`,
    String.raw`primary_conninfo = 'host=a password=\'s3cret tail\' user=b'`,
    String.raw`primary_conninfo = 'host=a password=''it\\''s3cret tail'' user=b'`,
    'sslpassword=s3cret',
    'PGPASSWORD=s3cret psql',
    'BACKSTAY_PASSWORD=s3cret',
    'passwd=s3cret pass=hunter passphrase=tail',
    'host all all 10.0.0.0/8 ldap ldapbindpasswd="s3cret tail" ldapserver=x',
    'host all all 10.0.0.0/8 radius radiussecrets="s3cret","tail"',
    "ALTER ROLE anna PASSWORD 's3cret'",
    "ALTER ROLE anna ENCRYPTED PASSWORD E's3cret\\'tail'",
    "CREATE ROLE anna LOGIN password  's3cret''tail'",
    'ALTER ROLE anna PASSWORD $$s3cret$$',
    'ALTER ROLE anna PASSWORD $tag$s3cret$tail$tag$',
    '{"password":"s3cret","user":"anna"}',
    '{ "PGPASSWORD": "s3cret\\"tail" }',
    "{ password: 's3cret' }",
    "ssl_passphrase_command = 'echo s3cret'",
    'aws --secret s3cret cp %p x',
    "archive_command = 'push --password=s3cret %p'",
    'archive_command = \'push --password "s3cret tail" %p\'',
    'AWS_SECRET_ACCESS_KEY=s3cret GITHUB_TOKEN=hunter API_KEY=tail push %p',
    `WALG_LIBSODIUM_KEY=s3cret B2_APPLICATION_KEY="hunter tail" wal-g wal-push %p`,
    'openssl enc -aes-256-cbc -pbkdf2 -k s3cret -in %p | openssl enc -d -pass pass:hunter -K tail',
    `openssl rsa -passin 'pass:s3cret hunter tail'`,
  ]) {
    test(`takes the secret out of ${text}`, () => {
      assert.doesNotMatch(redact(text), MARK)
      assert.match(redact(text), /\*\*\*/)
    })
  }

  // Without =: `pw=` in one begins a secret of its own, and more of the text goes.
  for (const [shape, text] of Object.entries(SHAPES)) {
    test(`no secret survives in the shape: ${shape}`, () => {
      fc.assert(
        fc.property(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9+/._~!%^*-]{7,40}$/), (secret) => {
          const all = redact(`before ${text(secret)}\nafter`)
          assert.ok(!all.includes(secret), all)
          assert.match(all, /^before [^]*\*\*\*[^]*after$/)
          assert.equal(redact(all), all)
        }),
        { numRuns: 200 },
      )
    })
  }

  test('a secret with blanks and colons in quotes is taken whole', () => {
    for (const text of [
      `curl -u 'anna:s3cret hunter' https://x`,
      `curl --user "anna:s3cret: hunter tail" https://x`,
      `sshpass -p 's3cret hunter' ssh x`,
      `sshpass -v -p "s3cret \\" tail" ssh x`,
      `push --secret-key 's3cret tail' %p`,
      `push --access-key="s3cret tail" %p`,
      `curl -H "Authorization: Digest username=anna, response=s3cret, opaque=tail" x`,
      "ssl_passphrase_command 'echo s3cret tail'",
    ]) {
      assert.doesNotMatch(redact(text), MARK, text)
    }
  })

  test('hostile text takes no longer than its length', () => {
    const parts = [
      'a-',
      'a_',
      '-u ',
      'sshpass -v ',
      '--a-',
      'key.',
      'Authorization: ',
      'pwd',
      '-----BEGIN PRIVATE KEY-----',
      '"',
      "-u 'a:",
      '\\',
      'x_token ',
    ]
    for (const part of parts) {
      const text = part.repeat(Math.ceil(100_000 / part.length))
      const startedAtMs = performance.now()
      redact(text)
      assert.ok(performance.now() - startedAtMs < 5000, part)
    }
  })

  test('verifiers are secrets too', () => {
    const scram = `SCRAM-SHA-256$4096:${'a'.repeat(22)}==$${'b'.repeat(43)}=:${'c'.repeat(43)}=`
    assert.equal(redact(`rolpassword ${scram} end`), 'rolpassword SCRAM-SHA-256$*** end')
    assert.equal(redact(`md5${'0123456789abcdef'.repeat(2)}`), 'md5***')
  })

  for (const text of [
    'Cannot connect to "db1": password authentication failed for user "anna"',
    'passfile=/home/anna/.pgpass host=db1',
    'Check password file and role.',
    'postgres://db1:5432/shop',
    'postgresql://anna@db1:5432/shop',
    'at 2026-11-22 08:30:00 on 10.0.0.1:5432, LSN 0/3000060',
    'password_encryption = scram-sha-256',
    'segment 000000010000000000000003',
    'host all all all md5',
    'PGPASSWORD is not set, and PGPASSFILE names no file',
    'ssl_passphrase_command needs a terminal',
    'psql -U anna -h db1: no password',
    'sort -u /srv/x:y',
    'id -u postgres',
    'ssh -p 22 db1',
    'Authorization is by pg_hba.conf',
    'the primary key of table "t"; sslkey=/srv/client.key',
    'Cannot parse: unexpected token',
    'ssl_key_file = server.key, ssl_cert_file = server.crt',
    'openssl version; gzip -k -c %p',
    'SSH_KEY_FILE=/srv/key push -k %p',
    'a certificate whose signature is wrong: it is of another authority',
    'https://docs.example/x?page=1 and http://h:80/a',
    'push --keep-archiving --hold-for 2d --tablespace 16384:/srv/x',
    'the bearer of this key may push: see docs',
  ]) {
    test(`leaves alone: ${text}`, () => assert.equal(redact(text), text))
  }

  test('twice is as once', () => {
    const text = "postgres://a:b@c password='d e' PASSWORD 'f'"
    assert.equal(redact(redact(text)), redact(text))
  })

  test('no password survives in a conninfo string, alone or as a setting', () => {
    const noise = fc.oneof(fc.string({ unit: 'grapheme' }), fc.stringMatching(/^['"\\ =,]{0,6}$/))
    const password = fc.tuple(noise, noise).map(([one, other]) => `${one}s3cret${other}tail`)
    fc.assert(
      fc.property(password, (secret) => {
        const conninfo = formatConninfo({ host: 'db1', password: secret, user: 'anna' })
        for (const text of [conninfo, formatConfLine('primary_conninfo', conninfo)]) {
          assert.doesNotMatch(redact(text), MARK)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
