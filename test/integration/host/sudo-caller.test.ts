/**
 * Whose files root obeys, asked of real sudo with the rules that distributions and operators write.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { IMAGE } from '../../hosts/rig/image.ts'

const BASE = join(IMAGE, 'base')
const NOBODY = 65_534
const SOURCE = join(import.meta.dirname, '../../../src/util/trusted-path.ts')
/** The sudo of the hosts' image stands where sudo is looked for, with these rules in a file and nothing else of the machine changed. */
const WITH_SUDO = `
mount -t tmpfs -o mode=755 none /usr/local/sbin || exit
printf '#!/bin/sh\\nexec chroot %s /usr/bin/sudo "$@"\\n' "$1" >/usr/local/sbin/sudo && chmod 755 /usr/local/sbin/sudo || exit
mount --bind "$2" "$1/etc/sudoers" && mount -t tmpfs none "$1/etc/sudoers.d" && shift 2 && exec "$@"
`
const TRUSTED = `
const { trustedUids } = await import(process.argv[1])
console.log([...trustedUids(0, '${NOBODY}')].join())
`

async function isTrusted(rules: readonly string[]): Promise<boolean> {
  await using base = temporaryDirectory()
  const sudoers = join(base.path, 'sudoers')
  writeFileSync(sudoers, `${rules.join('\n')}\n`)
  chmodSync(sudoers, 0o440)
  const program = [process.execPath, '--input-type=module', '-e', TRUSTED, SOURCE]
  const words = ['-m', 'sh', '-c', WITH_SUDO, 'sh', BASE, sudoers, ...program]
  const { stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', timeout: 30_000 })
  assert.match(stdout, /^0(?:,65534)?\n$/, stderr)
  return stdout.includes(String(NOBODY))
}

const NO_SUDO = existsSync(join(BASE, 'usr/bin/sudo')) ? false : 'the image of hosts is not built'

test('root obeys the caller’s files where sudo gives him everything for what he gave already', async (t) => {
  if (!isRoot) return t.skip('needs root')
  if (NO_SUDO !== false) return t.skip(NO_SUDO)
  const password = 'nobody ALL=(ALL:ALL) ALL'
  const status = 'nobody ALL=(root) NOPASSWD: /usr/bin/backstay status'
  const debian = [
    'Defaults env_reset, mail_badpass, use_pty',
    'Defaults secure_path="/usr/bin:/bin"',
  ]
  const cases: readonly (readonly [string, boolean, readonly string[]])[] = [
    ['Debian’s', true, [...debian, '%nogroup ALL=(ALL:ALL) ALL']],
    ['Red Hat’s', true, ['Defaults !visiblepw', '%nogroup ALL=(ALL) ALL']],
    ['a cloud’s', true, [password, 'nobody ALL=(ALL) NOPASSWD:ALL']],
    ['openSUSE’s', false, ['Defaults targetpw', 'ALL ALL=(ALL) ALL']],
    ['with root’s password', false, ['Defaults:nobody rootpw', password]],
    ['Backstay for less than the rest', false, [password, status]],
    [
      'Backstay for less, said otherwise',
      false,
      ['Defaults!/usr/bin/backstay !authenticate', password],
    ],
    [
      'Backstay for less, said by a default',
      false,
      [
        'Defaults !authenticate',
        'nobody ALL=(ALL:ALL) PASSWD: ALL',
        'nobody ALL=(root) /usr/bin/backstay',
      ],
    ],
    ['one command', false, [status]],
    ['all but one', false, ['nobody ALL=(ALL) ALL, !/bin/su']],
    ['nothing', false, ['root ALL=(ALL) ALL']],
  ]
  for (const [what, isExpected, rules] of cases) {
    assert.equal(await isTrusted(rules), isExpected, what)
  }
})
