/**
 * Whether sudo's list of a user's rules says that he may do everything as root anyway. The listings are those of sudo 1.9.13.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowsEverything } from '../../../src/util/sudo-rules.ts'

const HEAD = 'User ann may run the following commands on vm:\n'
/** One rule; lines of its own after `RunAsUsers`. */
function rule(runAs: string, commands: readonly string[], ...lines: readonly string[]): string {
  const facts = lines.map((line) => `    ${line}\n`).join('')
  const list = commands.map((command) => `\t${command}\n`).join('')
  return `\nSudoers entry:\n    RunAsUsers: ${runAs}\n${facts}    Commands:\n${list}`
}
const ALL = rule('ALL', ['ALL'], 'RunAsGroups: ALL')
const ALL_FREE = rule('ALL', ['ALL'], 'RunAsGroups: ALL', 'Options: !authenticate')
const STATUS_FREE = rule('root', ['/usr/bin/backstay status'], 'Options: !authenticate')
function defaults(text: string): string {
  return `Matching Defaults entries for ann on vm:\n    ${text}\n\n`
}
const DEBIAN = defaults(
  'env_reset, mail_badpass,\n    secure_path=/usr/local/sbin\\:/usr/local/bin\\:/usr/sbin\\:/usr/bin\\:/sbin\\:/bin,\n    use_pty, env_keep+="COLORS DISPLAY\n    LC_ADDRESS"',
)

const YES: Record<string, string> = {
  'everything with his password': `${DEBIAN}${HEAD}${ALL}`,
  'everything without': `${HEAD}${ALL_FREE}`,
  'everything as root': `${HEAD}${rule('root', ['ALL'])}`,
  'everything without, and a rule beside it': `${HEAD}${ALL}${STATUS_FREE}${ALL_FREE}`,
  'no password for anything': `${defaults('!authenticate')}${HEAD}${ALL}`,
  'whose option is taken back': `${defaults('env_reset, !targetpw')}${HEAD}${ALL}`,
  'a rule for another user after it': `${HEAD}${ALL}${rule('postgres', ['ALL'])}`,
  'where the file is named': `${HEAD}${ALL.replace('entry:', 'entry: /etc/sudoers.d/ann')}`,
  'on a host with a long name': `${HEAD.replace(' vm', `\n        ${'x'.repeat(70)}`)}${ALL}`,
  'defaults that touch no password': `Runas and Command-specific defaults for ann:\n    Defaults!/usr/bin/visudo env_keep+=SUDO_EDITOR\n\n${HEAD}${ALL}`,
}
const NO: Record<string, string> = {
  'nothing was said': '',
  'may run nothing': 'User ann is not allowed to run sudo on vm.\n',
  'one command': `${HEAD}${STATUS_FREE}`,
  'everything with the password of who is run as': `${defaults('targetpw')}${HEAD}${ALL}`,
  'everything with root’s': `${defaults('env_reset, rootpw,\n    use_pty')}${HEAD}${ALL}`,
  'everything with that of the default user': `${defaults('runaspw')}${HEAD}${ALL}`,
  'everything with his password, Backstay without': `${HEAD}${ALL}${STATUS_FREE}`,
  'the same in the other order': `${HEAD}${STATUS_FREE}${ALL}`,
  'the same by another option': `Runas and Command-specific defaults for ann:\n    Defaults!/usr/bin/backstay !authenticate\n\n${HEAD}${ALL}`,
  'everything with his password, Backstay without by default': `${defaults('!authenticate')}${HEAD}${rule('ALL', ['ALL'], 'Options: authenticate')}${rule('root', ['/usr/bin/backstay'])}`,
  'a proof that lasts longer for Backstay': `${defaults('timestamp_timeout=0')}Runas and Command-specific defaults for ann:\n    Defaults!/usr/bin/backstay timestamp_timeout=-1\n\n${HEAD}${ALL}`,
  'a proof of another kind for Backstay': `Runas and Command-specific defaults for ann:\n    Defaults!/usr/bin/backstay pam_service=free\n\n${HEAD}${ALL}`,
  'everything but something': `${HEAD}${rule('ALL', ['ALL', '!/bin/su'])}`,
  'everything as another': `${HEAD}${rule('postgres', ['ALL'])}`,
  'everything as all but root': `${HEAD}${rule('ALL, !root', ['ALL'])}`,
  'everything, and then less of it': `${HEAD}${ALL}${rule('ALL', ['ALL'], 'Options: noexec')}`,
  'everything for a time': `${HEAD}${rule('ALL', ['ALL'], 'NotAfter: 20300101000000Z')}`,
  'everything of one digest': `${HEAD}${rule('ALL', ['sha224:0GomF8mNN3wl ALL'])}`,
  'a command whose last word is ALL': `${HEAD}${rule('ALL', ['/bin/x a\n        ALL'])}`,
  'an unknown option': `${HEAD}${rule('ALL', ['ALL'], 'Options: rootpw')}`,
  'a line that is none': `${HEAD}${ALL}whatever\n`,
  'another language': `L’utilisateur ann peut :\n${ALL}`,
}

test('a caller is trusted who may do everything by what he needed for this', () => {
  for (const [what, listing] of Object.entries(YES)) {
    assert.equal(allowsEverything(listing), true, what)
  }
})

test('nobody else is, nor where that cannot be told', () => {
  for (const [what, listing] of Object.entries(NO)) {
    assert.equal(allowsEverything(listing), false, what)
  }
})
