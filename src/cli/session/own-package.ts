/**
 * This Backstay as a package for another machine: its own files, what it depends on, and the
 * Node.js it runs on. From a checkout as well as from an installed package.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { arch } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import type { PackageFile } from '../../cluster/machine/service-source.ts'
import { packageFile, readVersion } from '../version.ts'

/** The files and what names them all. */
export interface OwnPackage {
  /** Version of Backstay and a fingerprint of every file. */
  readonly version: string
  /** As `uname -m` says it. */
  readonly architecture: string
  readonly files: readonly PackageFile[]
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** What a program does not need. */
const LEFT_OUT = /\.(?:md|map|d\.[cm]?ts|tsbuildinfo)$/
const NODE_NAME = 'node'
const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }

/** Reads the directories; cheap enough for every `plan`. */
export function ownPackage(): OwnPackage {
  const root = packageFile('.')
  const code = import.meta.filename.endsWith('.ts') ? 'src' : 'dist'
  const own = ['package.json', 'bin', code].flatMap((name) => filesOf(join(root, name), name))
  const files = [...own, ...dependenciesOf(root), nodeFile()].toSorted((a, b) =>
    a.path < b.path ? -1 : 1,
  )
  return {
    version: `${readVersion()}-${fingerprint(files)}`,
    architecture: MACHINES[arch()] ?? arch(),
    files,
  }
}

function nodeFile(): PackageFile {
  const { size } = statSync(process.execPath)
  return { path: NODE_NAME, source: process.execPath, mode: 0o755, sizeBytes: size }
}

/** A file, or every file below a directory. */
function filesOf(source: string, path: string): PackageFile[] {
  const found = statSync(source)
  if (!found.isDirectory()) {
    return [{ path, source, mode: 0o644, sizeBytes: found.size }]
  }
  return readdirSync(source)
    .filter((name) => name !== 'node_modules' && !LEFT_OUT.test(name))
    .flatMap((name) => filesOf(join(source, name), `${path}/${name}`))
}

/** Everything the package depends on, each once, in the place where Node.js will look for it. */
function dependenciesOf(root: string): PackageFile[] {
  const placed = new Map<string, string>()
  const place = (from: string, at: string): void => {
    const { dependencies = {}, optionalDependencies = {} } = manifestOf(from)
    const optional = from === root ? {} : optionalDependencies
    for (const name of Object.keys({ ...dependencies, ...optional })) {
      const directory = findPackage(from, name)
      if (directory === undefined) continue
      const nested = relative(from, directory)
      const isNested = from !== root && nested === join('node_modules', name)
      const target = isNested ? `${at}/node_modules/${name}` : `node_modules/${name}`
      if (placed.has(target)) continue
      placed.set(target, directory)
      place(directory, target)
    }
  }
  place(root, '.')
  return [...placed].flatMap(([target, directory]) => filesOf(directory, target))
}

/** Where Node.js finds the package `name` when a file of `from` asks for it. */
function findPackage(from: string, name: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name)
    if (basename(folder) !== 'node_modules' && existsSync(join(candidate, 'package.json'))) {
      return candidate
    }
    if (dirname(folder) === folder) return undefined
  }
}

function manifestOf(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
}

/** Node.js is named by its version: reading a hundred megabytes for every look would be felt. */
function fingerprint(files: readonly PackageFile[]): string {
  const hash = createHash('sha256')
  for (const { path, source, sizeBytes } of files) {
    hash.update(`${path}\0${sizeBytes}\0`)
    hash.update(path === NODE_NAME ? process.version : readFileSync(source))
  }
  return hash.digest('hex').slice(0, 10)
}
