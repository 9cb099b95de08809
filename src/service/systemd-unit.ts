/**
 * The text of the systemd unit that runs `backstay serve`.
 */
import { systemdPath, systemdWord } from '../host/postgres-unit.ts'
import { UNIT_HARDENING } from '../host/unit-hardening.ts'

/** What differs between machines. */
export interface UnitOptions {
  /**
   * Absolute path of the program with its leading words: `["/usr/bin/node", "/opt/…/backstay.js"]`.
   */
  readonly command: readonly string[]
  readonly configFile: string
  /** OS user that owns the repository. */
  readonly user: string
  /** Paths the service writes to: repository and state directory. */
  readonly writablePaths: readonly string[]
  /**
   * Names what the service runs, so that another unit is written when it changes. Default: nothing
   * is said.
   */
  readonly version?: string
}

/** `backstay.service` as a file's content. Source: systemd.service(5), systemd.exec(5). */
export function systemdUnit(options: UnitOptions): string {
  const command = [...options.command, '--config', options.configFile, 'serve'].map(systemdWord)
  const paths = [...options.command, options.configFile, ...options.writablePaths]
  const about = options.version === undefined ? '' : `# Backstay ${options.version}\n`
  return `${about}[Unit]
Description=Backstay: WAL receiver and backup schedule
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
# The notification is sent by systemd-notify, a child of the service.
NotifyAccess=all
ExecStart=${command.join(' ')}
User=${options.user}
# Without it the journal has the lines under the name of the program, node.
SyslogIdentifier=backstay
RuntimeDirectory=backstay
RuntimeDirectoryMode=0700
Restart=always
RestartSec=2
# On stop the receiver syncs and acknowledges what it has; children get their signal from the service.
KillMode=mixed
TimeoutStopSec=60
WatchdogSec=60
UMask=0077
${UNIT_HARDENING}
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths=${options.writablePaths.map(systemdPath).join(' ')}
PrivateTmp=${paths.some(isTemporary) ? 'no' : 'yes'}

[Install]
WantedBy=multi-user.target
`
}

/** Whether a private /tmp would hide it. */
function isTemporary(path: string): boolean {
  return path.startsWith('/tmp/') || path.startsWith('/var/tmp/')
}
