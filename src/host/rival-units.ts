/**
 * Units of systemd that would start the data directory of one of our servers beside our own unit:
 * the distribution's, the operator's, one of ours under an earlier name. They ask no guard, and two
 * units that start one directory end each other's server. They are held back by a drop-in for as
 * long as our unit is there; nothing of theirs is changed.
 */
import { posix } from 'node:path'
import type { Host } from './host.ts'
import { unitPathOf } from './postgres-unit.ts'
import { runChecked } from './run-checked.ts'

/** Another unit for the same data directory. */
export interface RivalUnit {
  readonly unit: string
  /** Whether it starts nothing while our unit is there. */
  readonly isHeld: boolean
}

const UNIT_NAME = /^[A-Za-z0-9][A-Za-z0-9:_.@-]*\.service$/

/**
 * Prints the units: those whose files name the directory, Debian's for a configuration that names
 * it, and the one that the running server belongs to. That one is believed only when it is the OS
 * user's own: the process file lies in his directory. Arguments: data directory, OS user.
 */
const FIND = `
directory=\${1%/} user=$2
units() {
  # One program for hundreds of files. Of pipes and devices nothing is read.
  grep -D skip -lsF -e "$directory" -- /etc/systemd/system/*.service /etc/systemd/system/*.service.d/*.conf \\
    /run/systemd/system/*.service /usr/lib/systemd/system/*.service /lib/systemd/system/*.service |
  while IFS= read -r file; do
    tr -s ' \\t"'"'"'=;:' '\\n' <"$file" | sed 's|/*$||' | grep -Fxq -e "$directory" || continue
    case $file in
    *.d/*) name=\${file%.d/*}; echo "\${name##*/}" ;;
    *) echo "\${file##*/}" ;;
    esac
  done
  for file in /etc/postgresql/*/*/postgresql.conf; do
    [ -f "$file" ] || continue
    dd if="$file" iflag=nonblock,fullblock count=1 bs=1M status=none 2>/dev/null |
      sed -n "s/^[[:space:]]*data_directory[[:space:]]*=\\{0,1\\}[[:space:]]*'\\([^']*\\)'.*/\\1/p" | sed 's|/*$||' |
      grep -Fxq -e "$directory" || continue
    cluster=\${file%/*} major=\${file%/*/*}
    # The directories are PostgreSQL's user's: no name of his may read as another unit.
    case \${major##*/}\${cluster##*/} in *[!A-Za-z0-9_.-]*) continue ;; esac
    printf 'postgresql@%s-%s.service\\n' "\${major##*/}" "\${cluster##*/}"
  done
  pid=$(dd if="$directory/postmaster.pid" iflag=nofollow,nonblock count=1 status=none 2>/dev/null | sed -n 1p)
  case $pid in
  ''|*[!0-9]*) ;;
  *) unit=$(sed -n 's|^.*/\\([^/]*\\.service\\)$|\\1|p' "/proc/$pid/cgroup" 2>/dev/null | sed -n 1p)
    [ -z "$unit" ] || [ "$(systemctl show -p User --value -- "$unit")" != "$user" ] || echo "$unit" ;;
  esac
}
units | sort -u
`

/** Finds them. `own` is not among them. */
export async function findRivals(
  host: Host,
  server: { readonly directory: string; readonly osUser: string; readonly unit: string },
): Promise<readonly RivalUnit[]> {
  const { directory, osUser, unit: own } = server
  const { stdout } = await runChecked(host, ['sh', '-c', FIND, 'sh', directory, osUser])
  const units = stdout.split('\n').filter((unit) => unit !== own && UNIT_NAME.test(unit))
  const text = dropInText(own)
  return await Promise.all(
    units.map(async (unit) => {
      const found = (await host.readFile(dropInPath(unit)))?.toString()
      return { unit, isHeld: found === text }
    }),
  )
}

/** Holds them back from their next start on. systemd has to read its files again afterwards. */
export async function holdRivals(
  host: Host,
  rivals: readonly RivalUnit[],
  own: string,
): Promise<void> {
  for (const { unit } of rivals) {
    const path = dropInPath(unit)
    await host.makeDirectory(posix.dirname(path), { mode: 0o755, owner: 'root' })
    await host.writeFile(path, dropInText(own), { mode: 0o644, owner: 'root' })
  }
}

/**
 * Takes the drop-in of a unit away that is gone itself; what else lies beside it is somebody's own.
 */
export async function removeHold(host: Host, unit: string): Promise<void> {
  const path = dropInPath(unit)
  if ((await host.inspect(path)) === undefined) return
  await host.remove(path)
  await host.run(['rmdir', '--ignore-fail-on-non-empty', '--', posix.dirname(path)])
  await runChecked(host, ['systemctl', 'daemon-reload'])
}

/** Where the drop-in of a unit lies. */
export function dropInPath(unit: string): string {
  return `${unitPathOf(unit)}.d/backstay.conf`
}

function dropInText(own: string): string {
  return `# Written by Backstay: ${own} starts this data directory, and asks first whether another server is primary.
# When that unit is removed, this one starts it again.
[Unit]
AssertPathExists=!${unitPathOf(own)}
`
}
