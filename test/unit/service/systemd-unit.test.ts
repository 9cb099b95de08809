/** The unit file: words are quoted as systemd reads them. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemdUnit } from '../../../src/service/systemd-unit.ts'

void it('the unit starts the service with its cluster file and may write only where it must', () => {
  const unit = systemdUnit({
    command: ['/usr/bin/node', '/opt/back stay/bin/backstay.js'],
    configFile: '/etc/backstay/100%.yaml',
    user: 'backstay',
    writablePaths: ['/var/lib/backstay', '/var/lib/state'],
  })
  assert.match(
    unit,
    /^ExecStart=\/usr\/bin\/node "\/opt\/back stay\/bin\/backstay\.js" --config \/etc\/backstay\/100%%\.yaml serve$/m,
  )
  assert.match(unit, /^ReadWritePaths=\/var\/lib\/backstay \/var\/lib\/state$/m)
  assert.match(unit, /^Type=notify$/m)
  assert.match(unit, /^NotifyAccess=all$/m)
  assert.match(unit, /^SyslogIdentifier=backstay$/m)
  assert.doesNotMatch(unit, /man:backstay/)
})
