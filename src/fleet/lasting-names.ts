/**
 * The programs with Barman's names, where `install-names` put them. Those that an earlier Backstay
 * wrote name the version that wrote them, and would end with 127 once that is removed: they are led
 * through the link.
 */
import { posix } from 'node:path'
import type { Host } from '../host/host.ts'
import { CURRENT_NAME } from '../util/lasting-path.ts'

/** Stands in each of them. */
export const NAMES_MARK = '# Written by backstay install-names.'

const NAMES = ['barman', 'barman-wal-archive', 'barman-wal-restore']
/** Where PATH looks, whoever asks. */
const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin']

/** Rewrites those that name a version below `folder`. @throws HOST_UNREACHABLE */
export async function letNamesLast(host: Host, folder: string): Promise<void> {
  const paths = FOLDERS.flatMap((place) => NAMES.map((name) => posix.join(place, name)))
  const find = ['grep', '-lsF', '--', NAMES_MARK, ...paths]
  const { stdout } = await host.run(find)
  for (const path of stdout.split('\n').filter((line) => paths.includes(line))) {
    const text = (await host.readFile(path))?.toString() ?? ''
    const lasting = lastingText(text, folder)
    if (lasting !== text) await host.writeFile(path, lasting, { mode: 0o755 })
  }
}

/** The program with the link in place of a version of `folder`. Pure. */
export function lastingText(text: string, folder: string): string {
  const version = String.raw`/\d+\.\d+\.\d+[^/\s]*-[0-9a-f]{10}/`
  const escaped = folder.replaceAll(/[.+*?^$()[\]{}|\\]/g, String.raw`\$&`)
  return text.replaceAll(new RegExp(`${escaped}${version}`, 'g'), `${folder}/${CURRENT_NAME}/`)
}
