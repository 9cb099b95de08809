/**
 * The text of the systemd unit that runs `backstay serve`.
 */
import { systemdPath, systemdWord } from '../host/postgres-unit.ts'

/** What differs between machines. */
export interface UnitOptions {
  /** Absolute path of the program with its leading words: `["/usr/bin/node", "/opt/…/backstay.js"]`. */
  readonly command: readonly string[]
  readonly configFile: string
  /** OS user that owns the repository. */
  readonly user: string
  /** Paths the service writes to: repository and state directory. */
  readonly writablePaths: readonly string[]
}

/** `backstay.service` as a file's content. Source: systemd.service(5), systemd.exec(5). */
export function systemdUnit(options: UnitOptions): string {
  const command = [...options.command, '--config', options.configFile, 'serve'].map(systemdWord)
  return `[Unit]
Description=Backstay: WAL receiver and backup schedule
Documentation=man:backstay(1)
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
# The notification is sent by systemd-notify, a child of the service.
NotifyAccess=all
ExecStart=${command.join(' ')}
User=${options.user}
RuntimeDirectory=backstay
RuntimeDirectoryMode=0700
Restart=always
RestartSec=2
# On stop the receiver syncs and acknowledges what it has; children get their signal from the service.
KillMode=mixed
TimeoutStopSec=60
WatchdogSec=60
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${options.writablePaths.map(systemdPath).join(' ')}
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
`
}
