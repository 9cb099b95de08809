/**
 * The standard cluster as one `up` built it, for tests that begin with a cluster: three hosts that were switched off in order, made
 * once for each version of what decides about it, and kept beside the image.
 */
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../integration/cli/programs.ts'
import { comesInOrder, json } from './answers.ts'
import { threeServers } from './cluster-file.ts'
import { FileLock } from './file-lock.ts'
import { TestHosts } from './hosts.ts'
import { buildImage, IMAGE } from './image.ts'

/** Holds a directory for each version, and for nobody else anything that is to stay. */
const CLUSTERS = join(IMAGE, 'clusters')
/** Relative to the checkout. */
const DECIDES = ['package.json', 'package-lock.json', 'bin', 'src', 'test/hosts/rig']
/** Building it takes two minutes, on a machine that has other work as well some more. */
const MAKE_TIMEOUT_S = 1800
/** Another checkout may be between two of its tests. */
const KEPT_UNUSED_MS = 3_600_000

/** Starts three hosts on which `up` of `threeServers()` was done, and waits until the cluster is in order. */
export async function startBuiltCluster(): Promise<TestHosts> {
  const from = await builtCluster()
  const hosts = await TestHosts.start({ withPostgres: true, from })
  try {
    await comesInOrder(hosts, 'db1')
    return hosts
  } catch (error) {
    await hosts[Symbol.asyncDispose]()
    throw error
  }
}

/** Its directory, which is there until this process ends. */
async function builtCluster(): Promise<string> {
  const reason = buildImage()
  if (reason !== undefined) throw new Error(reason)
  mkdirSync(CLUSTERS, { recursive: true })
  const directory = join(CLUSTERS, version())
  if (await hold(directory)) return directory
  using maker = await FileLock.take(CLUSTERS, {
    mode: 'exclusive',
    timeoutSeconds: MAKE_TIMEOUT_S,
  })
  if (maker === undefined) throw new Error(`another process makes a cluster in ${CLUSTERS} still`)
  if (await hold(directory)) return directory
  await removeUnused()
  await make(directory)
  await hold(directory)
  return directory
}

/** Keeps others from removing it. False when there is none. */
async function hold(directory: string): Promise<boolean> {
  if (!existsSync(directory)) return false
  const lock = await FileLock.take(directory, { mode: 'shared', timeoutSeconds: MAKE_TIMEOUT_S })
  // Whoever had it may have removed it.
  if (lock === undefined || !existsSync(directory)) {
    lock?.[Symbol.dispose]()
    return false
  }
  utimesSync(directory, new Date(), new Date())
  return true
}

async function make(directory: string): Promise<void> {
  const part = `${directory}.part`
  await using hosts = await TestHosts.start({ withPostgres: true })
  hosts.writeClusterFile(threeServers())
  json(await hosts.backstay('up', '--json'))
  await comesInOrder(hosts, 'db1')
  await hosts.moveTo(part)
  renameSync(part, directory)
}

/** Whoever makes one removes what others left: versions that nobody uses, and halves. */
async function removeUnused(): Promise<void> {
  for (const name of readdirSync(CLUSTERS)) {
    const path = join(CLUSTERS, name)
    const isHalf = name.includes('.')
    if (!isHalf && Date.now() - statSync(path).mtimeMs < KEPT_UNUSED_MS) continue
    using lock = await FileLock.take(path, { mode: 'exclusive', timeoutSeconds: 0 })
    if (lock === undefined) continue
    const removed = isHalf ? path : `${path}.removed`
    renameSync(path, removed)
    rmSync(removed, { recursive: true })
  }
}

function version(): string {
  const hash = createHash('sha256').update(process.version)
  for (const path of DECIDES.flatMap(filesOf)) {
    hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** The files at a path of the checkout, in an order that is always the same. */
function filesOf(path: string): readonly string[] {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path]
  const names = readdirSync(join(ROOT, path)).sort()
  return names.flatMap((name) => filesOf(join(path, name)))
}
